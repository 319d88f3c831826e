//! Records, each made from its index when it is asked for. Names and types are those that Eventzilla's clients declare.

use serde_json::{Value, json};

use super::Options;
use crate::{
    clock::{self, DAY},
    dice::{Dice, Purpose, cents},
    event_management::{
        Child, Population,
        vocabulary::{
            COMPANIES, FIRST_NAMES, LAST_NAMES, OPENING, PAYMENTS, QUESTIONS, TICKET_TITLES, TITLE_FIRST, TITLE_LAST,
            VENUES, category, two_categories,
        },
    },
};

/// The number of the first event, and how far they are apart.
const EVENTS: (usize, usize) = (2_138_940_001, 13);

/// The number of the first user.
const FIRST_USER: usize = 310_001;

/// So many checkouts are an event's own: their numbers are the only ones that no two events share.
const CHECKOUTS_OF_EVENT: usize = 1_000_000;

/// Name, code and offset of the zones that events are in.
const ZONES: &[(&str, &str, &str)] =
    &[("US/Central", "CST", "-06:00"), ("US/Eastern", "EST", "-05:00"), ("Europe/London", "GMT", "+00:00")];

/// Everything that the server holds.
#[derive(Debug)]
pub(super) struct Records {
    seed: u64,
    population: Population,
}

impl Records {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seed: options.seed,
            population: Population {
                events: options.events,
                users: options.users,
                categories: options.categories,
                attendees_per_event: options.attendees_per_event,
                tickets_per_event: options.tickets_per_event,
                transactions_per_event: options.transactions_per_event,
                added_per_revision: options.added_per_revision,
                childless: options.without_children.iter().copied().collect(),
                deleted: options.deleted.iter().copied().collect(),
            },
        }
    }

    pub(super) fn population(&self) -> &Population {
        &self.population
    }

    /// The event that a path's segment names, unless it was deleted.
    pub(super) fn find(&self, id: &str, revision: u32) -> Option<usize> {
        let (first, apart) = EVENTS;
        let index = id.parse::<usize>().ok()?.checked_sub(first)? / apart;
        let there = index < self.population.events(revision) && !self.population.deleted.contains(&index);
        (there && event_id(index).to_string() == id).then_some(index)
    }

    pub(super) fn event(&self, index: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedEvent, index as u64);
        let starts = OPENING + (index * 7 % 300) as i64 * DAY;
        let tickets_total = 50 * (1 + dice.below(10));
        let title = format!("{} {}", dice.pick(TITLE_FIRST), dice.pick(TITLE_LAST));
        let (zone, code, offset) = *dice.pick(ZONES);
        let picture = |kind: &str| format!("https://cdn.example.com/{kind}/{index}.jpg");
        json!({
            "id": event_id(index),
            "title": title,
            "description": dice.chance(0.8).then(|| format!("{title}: an evening for everyone.")),
            "description_html": dice.chance(0.8).then(|| format!("<p>{title}: an evening for <b>everyone</b>.</p>")),
            "currency": dice.pick(&["$", "£", "€"]),
            "start_date": clock::without_zone(starts),
            "start_time": format!("{:02}:00", 9 + index % 11),
            "end_date": clock::without_zone(starts + (index % 3) as i64 * DAY),
            "end_time": format!("{:02}:30", 12 + index % 11),
            "time_zone": zone,
            "timezone_code": code,
            "utc_offset": offset,
            "tickets_sold": dice.below(tickets_total - 1) + self.population.changes_of_event(index, revision) as usize,
            "tickets_total": tickets_total,
            "status": dice.weighted(&[("Live", 6), ("Completed", 2), ("Draft", 1), ("Unpublished", 1)]),
            "show_remaining": dice.chance(0.5),
            "twitter_hashtag": dice.chance(0.3).then(|| format!("#event{index}")),
            "invite_code": dice.chance(0.1).then(|| dice.letters(6)),
            "url": format!("https://events.example.com/e/{index}"),
            "logo_url": picture("logo"),
            "bgimage_url": dice.chance(0.5).then(|| picture("background")),
            "venue": dice.chance(0.9).then(|| *dice.pick(VENUES)),
            "dateid": 4_000_001 + index,
            "categories": two_categories(index, self.population.categories).join(","),
            "language": dice.pick(&["en", "es", "fr"]),
        })
    }

    pub(super) fn category(&self, index: usize) -> Value {
        json!({"category": category(index)})
    }

    pub(super) fn user(&self, index: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedUser, index as u64);
        let changes = self.population.changes_of_user(index, revision);
        let seen = OPENING - 30 * DAY + dice.below(86_400) as i64 + i64::from(changes) * DAY;
        json!({
            "id": FIRST_USER + index,
            "username": format!("user{index}"),
            "first_name": dice.pick(FIRST_NAMES),
            "last_name": dice.pick(LAST_NAMES),
            "email": format!("user{index}@mail.example"),
            "company": dice.chance(0.4).then(|| *dice.pick(COMPANIES)),
            "user_type": dice.weighted(&[("Organizer", 8), ("Sub-organizer", 2)]),
            "last_seen": clock::without_zone(seen),
            "timezone": dice.pick(ZONES).0,
            "phone_primary": dice.chance(0.5).then(|| format!("555-01{:02}", dice.below(100))),
            "website": dice.chance(0.3).then(|| format!("https://user{index}.example.com")),
            "avatar_url": null,
            "facebook_id": null,
            "twitter_id": null,
            "address_line1": dice.chance(0.6).then(|| format!("{} Main Street", 1 + dice.below(200))),
            "address_line2": null,
            "address_locality": dice.chance(0.6).then_some("Springfield"),
            "address_region": dice.chance(0.6).then_some("IL"),
            "address_country": dice.chance(0.6).then_some("US"),
            // A code and not a number: the first digit may be a 0.
            "zip_code": dice.chance(0.6).then(|| format!("{:05}", dice.below(20_000))),
        })
    }

    pub(super) fn child(&self, kind: Child, event: usize, nth: usize, revision: u32) -> Value {
        match kind {
            Child::Attendee => self.attendee(event, nth, revision),
            Child::Ticket => self.ticket(event, nth, revision),
            Child::Transaction => self.transaction(event, nth, revision),
        }
    }

    fn attendee(&self, event: usize, nth: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedAttendee, checkout_id(event, nth) as u64);
        let changed = self.population.changes_of_child(event, nth, revision) > 0;
        let came = dice.chance(0.3) && !self.population.child_changes(event, nth);
        // By the number at the start: a transaction that comes later does not take over attendees.
        let transactions = self.population.transactions_per_event;
        let bought_with = (transactions > 0).then(|| refno(nth % transactions));
        json!({
            "id": nth + 1,
            "refno": bought_with,
            "event_id": event_id(event),
            "event_date": clock::without_zone(OPENING + (event * 7 % 300) as i64 * DAY),
            "first_name": dice.pick(FIRST_NAMES),
            "last_name": dice.pick(LAST_NAMES),
            "email": format!("guest{event}-{nth}@mail.example"),
            "bar_code": format!("{:012}", dice.below(1_000_000_000_000)),
            "ticket_type": dice.pick(TICKET_TITLES),
            "is_attended": if changed || came { "Yes" } else { "No" },
            "questions": QUESTIONS.iter().take(dice.below(3)).map(|question| json!({
                "question": question,
                "answer": dice.chance(0.7).then_some("None"),
            })).collect::<Vec<Value>>(),
            "transaction_date": clock::without_zone(bought(&mut dice)),
            "transaction_amount": dice.money(5.0, 150.0),
            "transaction_status": "Confirmed",
            "payment_type": dice.weighted(PAYMENTS),
            "buyer_first_name": dice.pick(FIRST_NAMES),
            "buyer_last_name": dice.pick(LAST_NAMES),
        })
    }

    fn ticket(&self, event: usize, nth: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedTicket, checkout_id(event, nth) as u64);
        let changes = self.population.changes_of_child(event, nth, revision);
        let price = dice.money(5.0, 150.0);
        let group = dice.chance(0.2);
        let partial = dice.chance(0.1);
        json!({
            "id": nth + 1,
            "title": TICKET_TITLES[nth % TICKET_TITLES.len()],
            "description": dice.chance(0.5).then_some("One person, one entry."),
            "additional_instructions": null,
            "ticket_type": dice.weighted(&[("Paid", 8), ("Free", 1), ("Donation", 1)]),
            "price": price,
            "quantity_total": 25 * (1 + dice.below(8)) + 10 * changes as usize,
            "limit_minimum": 1,
            "limit_maximum": dice.chance(0.7).then_some(10),
            "sales_start_date": clock::without_zone(OPENING - 90 * DAY),
            "sales_start_time": "08:00",
            "sales_end_date": clock::without_zone(OPENING),
            "sales_end_time": "23:30",
            "is_visible": dice.chance(0.9),
            "boxoffice_only": dice.chance(0.05),
            "group_price": group.then(|| cents(price * 0.8)),
            "group_percentage": group.then_some(20),
            "group_discount": group.then(|| cents(price * 0.2)),
            "allow_partial_payment": partial,
            "partial_payment_amount": partial.then(|| cents(price / 4.0)),
            "partial_payment_frequency": partial.then_some("Monthly"),
            "partial_payment_installments": partial.then_some(4),
            "unlock_code": dice.chance(0.1).then(|| dice.letters(6)),
        })
    }

    fn transaction(&self, event: usize, nth: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedTransaction, checkout_id(event, nth) as u64);
        let changed = self.population.changes_of_child(event, nth, revision) > 0;
        let pending = self.population.child_changes(event, nth) && !changed;
        let amount = dice.money(5.0, 400.0);
        json!({
            "refno": refno(nth),
            "checkout_id": checkout_id(event, nth),
            "event_id": event_id(event),
            "event_date": clock::without_zone(OPENING + (event * 7 % 300) as i64 * DAY),
            "title": self.event(event, 0)["title"],
            "user_id": FIRST_USER + dice.below(self.population.users.max(1)),
            "buyer_first_name": dice.pick(FIRST_NAMES),
            "buyer_last_name": dice.pick(LAST_NAMES),
            "email": format!("buyer{event}-{nth}@mail.example"),
            "transaction_date": clock::without_zone(bought(&mut dice)),
            "transaction_amount": amount,
            "transaction_discount": if dice.chance(0.1) { cents(amount / 10.0) } else { 0.0 },
            "transaction_tax": cents(amount * 0.07),
            "transaction_status": if pending { "Pending" } else { "Confirmed" },
            "eventzilla_fee": cents(amount * 0.029),
            "tickets_in_transaction": 1 + dice.below(4),
            "payment_type": dice.weighted(PAYMENTS),
            "promo_code": dice.chance(0.1).then_some("FRIENDS"),
            "comments": null,
        })
    }
}

fn event_id(index: usize) -> usize {
    let (first, apart) = EVENTS;
    first + index * apart
}

fn checkout_id(event: usize, nth: usize) -> usize {
    (event + 1) * CHECKOUTS_OF_EVENT + nth
}

fn refno(nth: usize) -> String {
    format!("R{:04}", nth + 1)
}

/// Some time in the two months before the first event.
fn bought(dice: &mut Dice) -> i64 {
    OPENING - 1 - dice.below(60 * DAY as usize) as i64
}

/// What a server of the same options answers in all, computed without it. Each list is in the server's order.
#[derive(Debug)]
pub struct Truth(Records);

impl Truth {
    pub(super) fn new(records: Records) -> Self {
        Self(records)
    }

    /// Every event of a revision, those among them whose children are answered 404.
    pub fn events(&self, revision: u32) -> impl Iterator<Item = Value> {
        (0..self.0.population.events(revision)).map(move |index| self.0.event(index, revision))
    }

    /// Every category.
    pub fn categories(&self) -> impl Iterator<Item = Value> {
        (0..self.0.population.categories).map(|index| self.0.category(index))
    }

    /// Every user of a revision.
    pub fn users(&self, revision: u32) -> impl Iterator<Item = Value> {
        (0..self.0.population.users(revision)).map(move |index| self.0.user(index, revision))
    }

    /// Every attendee of a revision that can be read, after its event's id.
    pub fn attendees(&self, revision: u32) -> impl Iterator<Item = (Value, Value)> {
        self.children(Child::Attendee, revision)
    }

    /// Every ticket of a revision that can be read, after its event's id.
    pub fn tickets(&self, revision: u32) -> impl Iterator<Item = (Value, Value)> {
        self.children(Child::Ticket, revision)
    }

    /// Every transaction of a revision that can be read, after its event's id.
    pub fn transactions(&self, revision: u32) -> impl Iterator<Item = (Value, Value)> {
        self.children(Child::Transaction, revision)
    }

    /// The id of an event by its index, as its record has it.
    pub fn event_id(&self, index: usize) -> Value {
        event_id(index).into()
    }

    fn children(&self, kind: Child, revision: u32) -> impl Iterator<Item = (Value, Value)> {
        let readable = self.0.population.readable(kind, revision);
        readable.map(move |(event, nth)| (event_id(event).into(), self.0.child(kind, event, nth, revision)))
    }
}
