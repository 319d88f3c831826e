//! The fields of an organization.

use serde_json::{Value, json};

use super::{
    super::vocabulary::{REGIONS, TOWNS},
    Draft,
    references::{organization, organization_name},
};

/// Every so many organizations are one business unit: its first one, and those that belong to it.
const UNIT: usize = 10;

impl Draft<'_> {
    pub(super) fn organization(&mut self) {
        let index = self.index;
        let name = organization_name(self.population, index);
        self.put("name", name);
        let parent = if index == 0 { Value::Null } else { organization(self.population, (index - 1) / 4) };
        self.put("parent", parent);
        self.put("business_unit", index.is_multiple_of(UNIT));
        self.put("business_unit_organization", organization(self.population, index / UNIT * UNIT));
        self.put("region", REGIONS[index / UNIT % REGIONS.len()]);
        let privacy = self.dice.chance(0.1);
        self.put("end_user_privacy", privacy);
        let financial = self.maybe(0.5, |draft| format!("{}", 70_000 + draft.dice.below(9_999)));
        self.put("financialID", financial);
        let manager = self.maybe(0.9, Self::person);
        self.put("manager", manager);
        let substitute = self.maybe(0.4, Self::person);
        self.put("substitute", substitute);
        let template = self.maybe(0.3, |_| json!({"id": 612, "subject": "Purchase"}));
        self.put("order_template", template);

        let (addresses, contacts): (Vec<Value>, Vec<Value>) = (
            (0..self.dice.below(3)).map(|number| self.address(number)).collect(),
            (0..self.dice.below(4)).map(|number| self.contact(number)).collect(),
        );
        self.put("addresses", addresses);
        self.put("contacts", contacts);
    }

    fn address(&mut self, number: usize) -> Value {
        let (city, state, zip, country) = *self.dice.pick(TOWNS);
        json!({
            "id": 71 + 5 * self.index + number,
            "label": (["street", "mailing", "billing"][number % 3]),
            "address": format!("{} Park Avenue", 1 + self.dice.below(1_200)),
            "city": city,
            "state": state,
            "zip": zip,
            "country": country,
            "integration": false,
        })
    }

    fn contact(&mut self, number: usize) -> Value {
        let id = 225 + 5 * self.index + number;
        let line = 100 + self.dice.below(900);
        match number {
            0 => json!({"id": id, "label": "general", "telephone": format!("+1 (555) 010 {line:04}")}),
            1 => json!({"id": id, "label": "fax", "telephone": format!("+1 (555) 011 {line:04}")}),
            _ => json!({"id": id, "label": "general", "website": format!("www.{line}.example")}),
        }
    }
}
