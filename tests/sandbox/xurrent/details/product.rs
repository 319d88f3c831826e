//! The fields of a product.

use serde_json::{Value, json};

use super::{
    super::vocabulary::{BRANDS, DEPRECIATION, PRODUCT_CATEGORIES},
    Draft,
};

impl Draft<'_> {
    pub(super) fn product(&mut self) {
        let (brand, models) = *self.dice.pick(BRANDS);
        let model = *self.dice.pick(models);
        let (category, rule_set) = *self.dice.pick(PRODUCT_CATEGORIES);
        self.put("name", format!("{brand} {model}"));
        self.put("brand", brand);
        self.put("category", category);
        self.put("rule_set", rule_set);
        let model = self.maybe(0.8, |_| model);
        self.put("model", model);
        let product_id = self.maybe(0.5, |draft| draft.dice.letters(9));
        self.put("productID", product_id);

        let service = self.maybe(0.8, Self::service);
        self.put("service", service);
        let team = self.maybe(0.9, Self::team);
        self.put("support_team", team);
        let owner = self.maybe(0.5, Self::some_organization);
        self.put("financial_owner", owner);
        let supplier = self.maybe(0.6, Self::some_organization);
        self.put("supplier", supplier);

        let method = self.maybe(0.7, |draft| *draft.dice.pick(DEPRECIATION));
        let depreciated = method.as_str().is_some_and(|method| !method.starts_with('n'));
        let rate = if method == "reducing_balance" { json!(10 + self.dice.below(20)) } else { Value::Null };
        self.put("rate", rate);
        self.put("depreciation_method", method);
        let years = if depreciated { json!(3 + self.dice.below(8)) } else { Value::Null };
        self.put("useful_life", years);
        // A decimal is a text.
        let salvage = if depreciated { format!("{:.1}", self.dice.money(0.0, 400.0)).into() } else { Value::Null };
        self.put("salvage_value_currency", if depreciated { "usd".into() } else { Value::Null });
        self.put("salvage_value", salvage);

        // The one field that is missing when there is none, and not null.
        if self.dice.chance(0.15) {
            let months = *self.dice.pick(&[3, 6, 12]);
            self.put("recurrence", json!({"frequency": "monthly", "interval": months, "time_zone": "London"}));
            self.put("workflow_template", json!({"id": 88, "subject": "Yearly maintenance"}));
            let manager = self.person();
            self.put("workflow_manager", manager);
        } else {
            self.put("workflow_template", Value::Null);
            self.put("workflow_manager", Value::Null);
        }
    }
}
