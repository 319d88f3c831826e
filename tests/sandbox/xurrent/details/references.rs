//! References to other records: `{id, name}`, with the account where it is another one.

use serde_json::{Value, json};

use super::{
    super::{
        Resource,
        population::Population,
        vocabulary::{COMPANIES, DEPARTMENTS, FIRST_NAMES, LAST_NAMES, SERVICES, TEAMS},
    },
    Draft,
};
use crate::dice::{Dice, Purpose};

/// A record's `source` and `sourceID`, which others who refer to it tell too.
pub(super) fn source(population: &Population, resource: Resource, index: usize) -> (Value, Value) {
    let mut dice = population.dice(Purpose::Record, resource, index | 1 << 38);
    if dice.chance(0.6) {
        return (Value::Null, Value::Null);
    }
    let (source, prefix) = *dice.pick(&[("SAP", "1000"), ("Active Directory", "AD-"), ("4me", "")]);
    (source.into(), format!("{prefix}{index:05}").into())
}

/// An organization's name.
pub(super) fn organization_name(population: &Population, index: usize) -> String {
    let mut dice = population.dice(Purpose::Record, Resource::Organizations, index | 1 << 37);
    let (company, department) = (dice.pick(COMPANIES), dice.pick(DEPARTMENTS));
    format!("{company}, {department}")
}

/// A reference to an organization of this account.
pub(super) fn organization(population: &Population, index: usize) -> Value {
    let id = Population::id(Resource::Organizations, index);
    let mut reference = json!({"id": id, "name": organization_name(population, index)});
    let (_, source_id) = source(population, Resource::Organizations, index);
    if !source_id.is_null() {
        reference["sourceID"] = source_id;
    }
    reference
}

fn elsewhere(mut reference: Value, dice: &mut Dice) -> Value {
    if dice.chance(0.2) {
        reference["account"] = json!({"id": "quayside", "name": "Quayside Services"});
    }
    reference
}

impl Draft<'_> {
    /// A reference to any organization.
    pub(super) fn some_organization(&mut self) -> Value {
        let count = self.population.count(Resource::Organizations, 0).max(1);
        let index = self.dice.skewed_below(count, 2);
        elsewhere(organization(self.population, index), &mut self.dice)
    }

    /// A reference to a person, who may be another one in another version.
    pub(super) fn person(&mut self) -> Value {
        let number = self.news.below(FIRST_NAMES.len() * LAST_NAMES.len());
        let (first, last) = (FIRST_NAMES[number % FIRST_NAMES.len()], LAST_NAMES[number / FIRST_NAMES.len()]);
        elsewhere(json!({"id": 6 + 3 * number, "name": format!("{first} {last}")}), &mut self.dice)
    }

    /// A reference to a team, which may be another one in another version.
    pub(super) fn team(&mut self) -> Value {
        let number = self.news.below(TEAMS.len());
        elsewhere(json!({"id": 9 + number, "name": TEAMS[number]}), &mut self.dice)
    }

    /// A reference to a service, which tells its provider and its name in the reader's language too.
    pub(super) fn service(&mut self) -> Value {
        let number = self.dice.below(SERVICES.len());
        let provider = elsewhere(organization(self.population, number), &mut self.dice);
        let name = SERVICES[number];
        json!({"id": 21 + number, "name": name, "provider": provider, "localized_name": name})
    }
}
