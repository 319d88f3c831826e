//! Sales and events, each made from its index when it is asked for.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex},
};

use serde_json::{Map, Value, json};

use super::{
    DateFormat, Options,
    vocabulary::{AFFILIATES, DELIVERIES, DEVICES, PAYMENTS, PLACES, PRICES, PROMOTERS, SHOW_FIRST, SHOW_LAST, VENUES},
};
use crate::{
    clock::{self, DAY},
    dice::{Alphabet, Dice, Purpose, cents, code},
};

/// All sales in the order of their dates. A sale's date grows with its index, so a window of dates is found by
/// halving, and nothing is kept per sale but its event.
#[derive(Debug)]
pub(super) struct Sales {
    seed: u64,
    count: usize,
    event_count: usize,
    begins: i64,
    last_hour: i64,
    pending_from: i64,
    date_format: DateFormat,
    broken: usize,
    added_per_revision: usize,
    event_of: Vec<u16>,
    selections: Mutex<Vec<Selection>>,
}

/// The sales of some events: a client reads one selection page by page.
#[derive(Clone, Debug)]
struct Selection {
    events: Vec<u16>,
    total: usize,
    sales: Arc<Vec<u32>>,
}

/// What is wrong with a broken record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    NoCode,
    WordForAmount,
    WordForCount,
    NullCode,
}

impl Sales {
    pub(super) fn new(options: &Options) -> io::Result<Self> {
        let midnight = clock::midnight(&options.until)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("not a date: {}", options.until)))?;
        let end = midnight + DAY;
        let event_count = options.events.clamp(1, usize::from(u16::MAX));
        let event_of = |index| {
            let mut dice = Dice::new(options.seed, Purpose::SaleEvent, index as u64);
            dice.skewed_below(event_count, 2) as u16
        };
        Ok(Self {
            seed: options.seed,
            count: options.sales,
            event_count,
            begins: end - i64::from(options.days.max(1)) * DAY,
            last_hour: end - 3_600,
            pending_from: end - i64::from(options.pending_days) * DAY,
            date_format: options.date_format,
            broken: options.broken,
            added_per_revision: options.added_per_revision,
            event_of: (0..options.sales).map(event_of).collect(),
            selections: Mutex::default(),
        })
    }

    pub(super) fn total(&self, revision: u32) -> usize {
        self.count + revision as usize * self.added_per_revision
    }

    pub(super) fn search(
        &self,
        codes: Option<&BTreeSet<String>>,
        from: i64,
        to: i64,
        offset: usize,
        limit: usize,
        revision: u32,
    ) -> Vec<Value> {
        let total = self.total(revision);
        let selected = codes.map(|codes| self.selection(codes, total));
        let (count, at): (usize, Box<dyn Fn(usize) -> usize>) = match &selected {
            Some(sales) => (sales.len(), Box::new(|position| sales[position] as usize)),
            None => (total, Box::new(|position| position)),
        };
        let first = partition(count, |position| self.date(at(position)) < from);
        let end = partition(count, |position| self.date(at(position)) <= to);
        (first..end).skip(offset).take(limit).map(|position| self.sale(at(position), revision)).collect()
    }

    fn selection(&self, codes: &BTreeSet<String>, total: usize) -> Arc<Vec<u32>> {
        let events: Vec<u16> =
            (0..self.event_count as u16).filter(|event| codes.contains(&self.event_id(*event))).collect();
        let mut selections = self.selections.lock().unwrap();
        if let Some(known) = selections.iter().find(|known| known.events == events && known.total == total) {
            return Arc::clone(&known.sales);
        }
        let mut wanted = vec![false; self.event_count];
        for event in &events {
            wanted[usize::from(*event)] = true;
        }
        let sales = (0..total as u32).filter(|index| wanted[usize::from(self.event(*index as usize))]).collect();
        let sales = Arc::new(sales);
        // One source's selections alternate at most between a few batches of events.
        if selections.len() == 16 {
            selections.remove(0);
        }
        selections.push(Selection { events, total, sales: Arc::clone(&sales) });
        sales
    }

    fn event(&self, index: usize) -> u16 {
        self.event_of.get(index).copied().unwrap_or_else(|| (index % self.event_count) as u16)
    }

    fn event_id(&self, event: u16) -> String {
        format!("DF-{}", 2_974_000 + u32::from(event) * 6)
    }

    /// Grows with the index: each sale has its own stretch of the time, and a place in it by chance.
    fn date(&self, index: usize) -> i64 {
        if index >= self.count {
            return self.last_hour + ((index - self.count) as i64).min(3_599);
        }
        let within = Dice::new(self.seed, Purpose::Sale, index as u64).unit();
        let share = (index as f64 + within) / self.count as f64;
        self.begins + (share * (self.last_hour - self.begins) as f64) as i64
    }

    fn break_of(&self, index: usize) -> Option<Break> {
        if self.broken == 0 || index >= self.count {
            return None;
        }
        // The k-th broken record stands in the middle of the k-th of `broken` equal stretches.
        let kth = index * self.broken / self.count;
        let stands_at = (2 * kth + 1) * self.count / (2 * self.broken);
        (index == stands_at).then_some(())?;
        Some([Break::NoCode, Break::WordForAmount, Break::WordForCount, Break::NullCode][kth % 4])
    }

    fn unique_code(&self, index: usize) -> String {
        format!("ST{}", code::<40>(self.seed, index as u64, Alphabet::Base36, 9))
    }

    fn sale(&self, index: usize, revision: u32) -> Value {
        let mut dice = Dice::new(self.seed, Purpose::SaleDetails, index as u64);
        let date = self.date(index);
        let event = self.event(index);

        let was_pending = date >= self.pending_from && dice.chance(0.5);
        let confirmed_at = 1 + dice.below(3) as u32;
        let pending = was_pending && revision < confirmed_at;
        let refunded = dice.chance(if was_pending { 0.08 } else { 0.02 }) && (!was_pending || revision >= confirmed_at);

        let (price_name, face_value) = *dice.weighted(PRICES);
        let count = *dice.weighted(&[(1_i64, 30), (2, 45), (3, 8), (4, 15), (6, 2)]);
        let sold = if refunded { -count } else { count };
        let fee = cents(face_value * 0.125);
        let gross_face = cents(face_value * sold as f64);
        let gross_sales = cents((face_value + fee) * sold as f64);
        let place = dice.weighted(PLACES);
        let (device, models) = *dice.weighted(DEVICES);
        let internet = dice.chance(0.97);
        let us = place.iso == "US";
        let mut sale = Map::new();
        let mut put = |name: &str, value: Value| sale.insert(name.to_owned(), value);

        put("uniqueCode", self.unique_code(index).into());
        put("date", self.date_format.write(date, index).into());
        put("eventDate", self.date_format.write(self.event_starts(event), index + 1).into());
        put("eventId", self.event_id(event).into());
        put("eventName", self.event_name(event).into());
        put("currency", ["GBP", "USD"][usize::from(us)].into());
        put("faceValue", face_value.into());
        put("ticketPrice", cents(face_value + fee).into());
        put("grossFace", gross_face.into());
        put("grossCost", cents(gross_sales - gross_face).into());
        put("grossSales", gross_sales.into());
        // A whole number now and then where the column is a FLOAT, as JSON writers do.
        put("taxTotal", if dice.chance(0.3) { json!(0) } else { json!(cents(gross_sales / 6.0)) });
        put("sold", sold.into());
        put("isInternetOrder", internet.into());
        put("isPending", pending.into());
        put("salesChannel", if internet { "Internet" } else { "Box Office" }.into());
        put("source", (*dice.pick(&["web", "app", "partner"])).into());
        put("paymentMethod", (*dice.weighted(PAYMENTS)).into());
        put("deliveryMethod", (*dice.weighted(DELIVERIES)).into());
        put("deviceType", device.into());
        put("priceId", format!("{}{:03}", 4_100 + u32::from(event), price_name.len()).into());
        put("priceName", price_name.into());
        let post_code =
            format!("{} {}{}", place.post_code, dice.below(10), "ABDEFGH".as_bytes()[dice.below(7)] as char);
        let mut location = json!({"country": place.country, "countryIso": place.iso, "postCode": post_code});
        for (number, region) in place.regions.iter().enumerate().filter(|(_, region)| !region.is_empty()) {
            location[format!("region{}", number + 1)] = (*region).into();
        }
        if dice.chance(0.98) {
            put("location", location);
        }

        // Optional fields: the value, null, or no such field.
        let mut maybe = |name: &str, value: &str, here: f64| match dice.unit() {
            throw if throw < here => _ = put(name, value.into()),
            throw if throw < here + 0.1 => _ = put(name, Value::Null),
            _ => {}
        };
        maybe("affiliate", AFFILIATES[index % AFFILIATES.len()], 0.6);
        maybe("deviceModel", models[index % models.len()], 0.85);
        maybe("offerCode", ["SPRING10", "FRIENDS", "2FOR1"][index % 3], 0.08);
        maybe("partnerSite", ["giglist.example", "townguide.example"][index % 2], 0.2);

        match self.break_of(index) {
            Some(Break::NoCode) => _ = sale.remove("uniqueCode"),
            Some(Break::NullCode) => _ = sale.insert("uniqueCode".into(), Value::Null),
            Some(Break::WordForAmount) => _ = sale.insert("faceValue".into(), "n/a".into()),
            Some(Break::WordForCount) => _ = sale.insert("sold".into(), "two".into()),
            None => {}
        }
        Value::Object(sale)
    }

    pub(super) fn events(&self) -> impl Iterator<Item = Value> {
        (0..self.event_count as u16).map(|event| {
            let mut dice = Dice::new(self.seed, Purpose::SaleEventDetails, u64::from(event));
            let starts = self.event_starts(event);
            let mut value = json!({
                "id": self.event_id(event),
                "name": self.event_name(event),
                "starts": self.date_format.write(starts, event.into()),
                "doorsOpen": self.date_format.write(starts - 3_600, event.into()),
                "promoterName": dice.pick(PROMOTERS),
                "venueName": dice.pick(VENUES),
                "timeslotEnabled": dice.chance(0.2),
            });
            if dice.chance(0.5) {
                value["tourId"] = format!("T-{}", 500 + event / 3).into();
                value["tourName"] = format!("{} Tour", self.event_name(event / 3 * 3)).into();
            } else {
                value["tourId"] = Value::Null;
            }
            value
        })
    }

    fn event_name(&self, event: u16) -> String {
        let mut dice = Dice::new(self.seed, Purpose::Event, u64::from(event));
        format!("{} {}", dice.pick(SHOW_FIRST), dice.pick(SHOW_LAST))
    }

    /// From a week to half a year after the last sale, in the evening.
    fn event_starts(&self, event: u16) -> i64 {
        let day = 7 + (i64::from(event) * 17) % 175;
        self.last_hour + 3_600 + day * DAY + 19 * 3_600 + i64::from(event % 4) * 900
    }
}

/// The first position that `before` is false for.
fn partition(count: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// What a server of the same options answers in all, computed without it.
#[derive(Debug)]
pub struct Truth(Sales);

impl Truth {
    pub(super) fn new(sales: Sales) -> Self {
        Self(sales)
    }

    /// Every sale of a revision in the server's order.
    pub fn sales(&self, revision: u32) -> impl Iterator<Item = Value> {
        (0..self.0.total(revision)).map(move |index| self.0.sale(index, revision))
    }

    /// How many sales a revision has, broken ones included.
    pub fn count(&self, revision: u32) -> usize {
        self.0.total(revision)
    }

    /// The `uniqueCode` of every sale of a revision that has one.
    pub fn unique_codes(&self, revision: u32) -> impl Iterator<Item = String> {
        (0..self.0.total(revision))
            .filter(|index| !matches!(self.0.break_of(*index), Some(Break::NoCode | Break::NullCode)))
            .map(|index| self.0.unique_code(index))
    }

    /// How many sales lack their `uniqueCode`.
    pub fn without_code(&self) -> usize {
        self.broken(|kind| matches!(kind, Break::NoCode | Break::NullCode))
    }

    /// How many sales have a value of a wrong type, and their `uniqueCode`.
    pub fn with_wrong_type(&self) -> usize {
        self.broken(|kind| matches!(kind, Break::WordForAmount | Break::WordForCount))
    }

    /// The `uniqueCode` of every sale that is in both revisions, has one, and differs.
    pub fn changed_codes(&self, before: u32, after: u32) -> Vec<String> {
        let both = self.0.total(before).min(self.0.total(after));
        let differs = |index: &usize| {
            let (old, new) = (self.0.sale(*index, before), self.0.sale(*index, after));
            new["uniqueCode"].is_string() && old != new
        };
        (0..both).filter(differs).map(|index| self.0.unique_code(index)).collect()
    }

    /// Every event.
    pub fn events(&self) -> Vec<Value> {
        self.0.events().collect()
    }

    fn broken(&self, which: impl Fn(Break) -> bool) -> usize {
        (0..self.0.count).filter_map(|index| self.0.break_of(index)).filter(|kind| which(*kind)).count()
    }
}

#[cfg(test)]
mod tests;
