//! Records, each made from its index when it is asked for.

use serde_json::{Value, json};

use super::{IdKind, Options};
use crate::{
    clock::{self, DAY},
    dice::{Dice, Purpose},
    event_management::{
        Child, Population,
        vocabulary::{
            COMPANIES, FIRST_NAMES, LAST_NAMES, OPENING, PAYMENTS, QUESTIONS, TICKET_TITLES, TITLE_FIRST, TITLE_LAST,
            VENUES, category, two_categories,
        },
    },
};

/// So many ids of children are an event's own, where an id says which event it belongs to.
const IDS_OF_EVENT: usize = 1_000_000;

/// The number of the first event.
const FIRST_EVENT: usize = 1_001;

/// Everything that the server holds.
#[derive(Debug)]
pub(super) struct Records {
    seed: u64,
    ids: IdKind,
    ids_per_event: bool,
    population: Population,
}

impl Records {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            seed: options.seed,
            ids: options.ids,
            ids_per_event: options.ids_per_event,
            population: Population {
                events: options.events,
                users: options.users,
                categories: options.categories,
                attendees_per_event: options.attendees_per_event,
                tickets_per_event: options.tickets_per_event,
                transactions_per_event: options.transactions_per_event,
                added_per_revision: options.added_per_revision,
                childless: options.without_children.iter().copied().collect(),
                deleted: options.missing_child.iter().copied().collect(),
            },
        }
    }

    pub(super) fn population(&self) -> &Population {
        &self.population
    }

    /// The event that a path's segment names, unless it was deleted.
    pub(super) fn find(&self, id: &str, revision: u32) -> Option<usize> {
        // Every id ends with the event's number, and only the whole of it names the event.
        let digits = id.len() - id.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let number: usize = id[id.len() - digits..].parse().ok()?;
        let index = number.checked_sub(if self.ids == IdKind::Number { FIRST_EVENT } else { 0 })?;
        let named = match self.event_id(index) {
            Value::String(named) => named,
            number => number.to_string(),
        };
        let there = index < self.population.events(revision) && !self.population.deleted.contains(&index);
        (there && named == id).then_some(index)
    }

    fn event_id(&self, index: usize) -> Value {
        match (self.ids, index % 4) {
            (IdKind::Number, _) => (FIRST_EVENT + index).into(),
            (IdKind::Awkward, 0 | 1) => format!("a/../../admin?x=1#f-{index}").into(),
            // Encoded already, as it looks: decoded twice it is another one.
            (IdKind::Awkward, 2) => format!("50%25 off + 1;{index}").into(),
            (IdKind::Awkward, _) => format!("Zürich\\\"été\" & {{id}}-{index}").into(),
        }
    }

    pub(super) fn event(&self, index: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedEvent, index as u64);
        let changes = self.population.changes_of_event(index, revision);
        let starts = OPENING + (index * 7 % 300) as i64 * DAY + (9 + index % 11) as i64 * 3_600;
        let created = OPENING - (1 + index % 200) as i64 * DAY;
        let tickets_total = 50 * (1 + dice.below(10));
        let title = format!("{} {}", dice.pick(TITLE_FIRST), dice.pick(TITLE_LAST));
        json!({
            "id": self.event_id(index),
            "title": title,
            "description": dice.chance(0.8).then(|| format!("{title}: an evening for everyone.")),
            "status": dice.weighted(&[("live", 6), ("draft", 2), ("completed", 2)]),
            "starts_at": clock::utc(starts),
            "ends_at": clock::utc(starts + 4 * 3_600),
            "time_zone": dice.pick(&["America/Chicago", "Europe/Berlin", "UTC"]),
            "venue": dice.chance(0.9).then(|| *dice.pick(VENUES)),
            "currency": dice.pick(&["EUR", "GBP", "USD"]),
            "tickets_sold": dice.below(tickets_total - 1) + changes as usize,
            "tickets_total": tickets_total,
            "tags": two_categories(index, self.population.categories),
            "url": format!("https://events.example.com/{index}"),
            "created_at": clock::utc(created),
            "updated_at": clock::utc(created + i64::from(changes) * DAY),
        })
    }

    pub(super) fn category(&self, index: usize) -> Value {
        json!({"id": index + 1, "name": category(index)})
    }

    pub(super) fn user(&self, index: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedUser, index as u64);
        let changes = self.population.changes_of_user(index, revision);
        json!({
            "id": 501 + index,
            "username": format!("user{index}"),
            "first_name": dice.pick(FIRST_NAMES),
            "last_name": dice.pick(LAST_NAMES),
            "email": format!("user{index}@mail.example"),
            "company": dice.chance(0.4).then(|| *dice.pick(COMPANIES)),
            "is_admin": dice.chance(0.1),
            "last_seen_at": clock::utc(OPENING - 30 * DAY + dice.below(86_400) as i64 + i64::from(changes) * DAY),
        })
    }

    pub(super) fn child(&self, kind: Child, event: usize, nth: usize, revision: u32) -> Value {
        match kind {
            Child::Attendee => self.attendee(event, nth, revision),
            Child::Ticket => self.ticket(event, nth, revision),
            Child::Transaction => self.transaction(event, nth, revision),
        }
    }

    fn child_id(&self, event: usize, nth: usize) -> usize {
        if self.ids_per_event { nth + 1 } else { event_and(event, nth) + 1 }
    }

    fn attendee(&self, event: usize, nth: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedAttendee, event_and(event, nth) as u64);
        let changed = self.population.changes_of_child(event, nth, revision) > 0;
        let came = dice.chance(0.3) && !self.population.child_changes(event, nth);
        json!({
            "id": self.child_id(event, nth),
            "event_id": self.event_id(event),
            "first_name": dice.pick(FIRST_NAMES),
            "last_name": dice.pick(LAST_NAMES),
            "email": format!("guest{event}-{nth}@mail.example"),
            "bar_code": format!("{:012}", dice.below(1_000_000_000_000)),
            "ticket_title": dice.pick(TICKET_TITLES),
            "is_attended": changed || came,
            "registered_at": clock::utc(OPENING - (1 + dice.below(60 * 86_400)) as i64),
            "answers": QUESTIONS.iter().take(dice.below(3)).map(|question| json!({
                "question": question,
                "answer": dice.chance(0.7).then_some("None"),
            })).collect::<Vec<Value>>(),
        })
    }

    fn ticket(&self, event: usize, nth: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedTicket, event_and(event, nth) as u64);
        let changes = self.population.changes_of_child(event, nth, revision);
        json!({
            "id": self.child_id(event, nth),
            "title": TICKET_TITLES[nth % TICKET_TITLES.len()],
            "description": dice.chance(0.5).then_some("One person, one entry."),
            "price": dice.money(0.0, 150.0),
            "quantity_total": 25 * (1 + dice.below(8)) + 10 * changes as usize,
            "limit_maximum": dice.chance(0.7).then_some(10),
            "is_visible": dice.chance(0.9),
            "sales_start_at": clock::utc(OPENING - 90 * DAY),
            "sales_end_at": dice.chance(0.8).then(|| clock::utc(OPENING)),
        })
    }

    fn transaction(&self, event: usize, nth: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::ManagedTransaction, event_and(event, nth) as u64);
        let changed = self.population.changes_of_child(event, nth, revision) > 0;
        let pending = self.population.child_changes(event, nth) && !changed;
        json!({
            "id": self.child_id(event, nth),
            "event_id": self.event_id(event),
            "customer_id": 501 + dice.below(self.population.users.max(1)),
            "reference": format!("T{}", dice.letters(8)),
            "amount": dice.money(5.0, 400.0),
            "tickets": 1 + dice.below(4),
            "status": if pending { "pending" } else { "confirmed" },
            "payment_type": dice.weighted(PAYMENTS),
            "created_at": clock::utc(OPENING - (1 + dice.below(60 * 86_400)) as i64),
        })
    }
}

/// A number that no other child of the same kind has.
fn event_and(event: usize, nth: usize) -> usize {
    (event + 1) * IDS_OF_EVENT + nth
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
        self.0.event_id(index)
    }

    fn children(&self, kind: Child, revision: u32) -> impl Iterator<Item = (Value, Value)> {
        let readable = self.0.population.readable(kind, revision);
        readable.map(move |(event, nth)| (self.0.event_id(event), self.0.child(kind, event, nth, revision)))
    }
}
