//! What a record has in it.

mod organization;
mod product;
mod project;
mod references;

use serde_json::{Map, Value, json};

use super::{
    Resource,
    population::{Population, Times},
    vocabulary::REMARKS,
};
use crate::{
    clock,
    dice::{Dice, Purpose},
};

/// A record in the making.
pub(super) struct Draft<'p> {
    population: &'p Population,
    index: usize,
    times: Times,
    /// For what stays as it is.
    dice: Dice,
    /// For what another version has otherwise.
    news: Dice,
    /// The clock that the record's times are written by, hours ahead of UTC; none writes `Z`.
    offset: Option<i32>,
    fields: Map<String, Value>,
}

/// A record with every field that a collection gives.
pub(super) fn record(population: &Population, resource: Resource, index: usize, times: Times) -> Map<String, Value> {
    let mut dice = population.dice(Purpose::Record, resource, index);
    let mut news = population.dice(Purpose::RecordChange, resource, index);
    let news = Dice::new(news.next(), Purpose::RecordChange, times.version);
    let offset = *dice.pick(&[None, None, Some(-6), Some(-5), Some(1)]);
    let mut draft = Draft { population, index, times, dice, news, offset, fields: Map::new() };
    draft.common(resource);
    match resource {
        Resource::Organizations => draft.organization(),
        Resource::Products => draft.product(),
        Resource::Projects => draft.project(),
    }
    draft.fields
}

impl Draft<'_> {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// The value, or null.
    fn maybe<T: Into<Value>>(&mut self, here: f64, value: impl FnOnce(&mut Self) -> T) -> Value {
        let is_here = self.dice.chance(here);
        let value = value(self).into();
        if is_here { value } else { Value::Null }
    }

    fn stamp(&self, seconds: i64) -> String {
        self.offset.map_or_else(|| clock::utc(seconds), |hours| clock::with_offset(seconds, hours))
    }

    fn common(&mut self, resource: Resource) {
        let id = Population::id(resource, self.index);
        self.put("id", id);
        let node = self.dice.letters(26);
        self.put("nodeID", node);
        let (source, source_id) = references::source(self.population, resource, self.index);
        self.put("source", source);
        self.put("sourceID", source_id);
        let created = self.stamp(self.times.created);
        self.put("created_at", created);
        // A change may come from another place than the record.
        if self.times.version > 0 && self.news.chance(0.5) {
            self.offset = None;
        }
        let updated = self.stamp(self.times.updated);
        self.put("updated_at", updated);
        let extension = self.maybe(0.2, |_| json!({"id": 301, "name": "Asset details"}));
        let custom = match (extension.is_null(), self.dice.chance(0.8)) {
            (false, true) => json!([
                {"id": "cost_center", "value": format!("{}", 4_700 + self.dice.below(40))},
                {"id": "audited", "value": self.dice.chance(0.5)},
                {"id": "notes", "value": null},
            ]),
            (false, false) => json!([]),
            (true, _) => Value::Null,
        };
        self.put("ui_extension", extension);
        self.put("custom_fields", custom);
        let attachments = if self.dice.chance(0.1) {
            let key = format!("attachments/5/{}/scan.pdf", self.dice.letters(12));
            json!([{"id": 90_000 + id, "key": key, "name": "scan.pdf", "size": 1_024 + self.dice.below(90_000)}])
        } else {
            json!([])
        };
        self.put("attachments", attachments);
        if resource != Resource::Projects {
            let disabled = self.dice.chance(0.08);
            self.put("disabled", disabled);
            let remarks = if self.news.chance(0.7) { Value::from(*self.news.pick(REMARKS)) } else { Value::Null };
            self.put("remarks", remarks);
            let picture = self.maybe(0.2, |draft| {
                format!("https://pictures.example/{}/{}.png", resource.name(), draft.dice.letters(8))
            });
            self.put("picture_uri", picture);
        }
    }
}
