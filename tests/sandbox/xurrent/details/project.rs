//! The fields of a project.

use serde_json::{Value, json};

use super::{
    super::vocabulary::{
        COMPLETION_REASONS, JUSTIFICATIONS, PROGRAMS, PROJECT_CATEGORIES, STATUSES, SUBJECTS, TIME_ZONES,
    },
    Draft,
};
use crate::clock::DAY;

impl Draft<'_> {
    pub(super) fn project(&mut self) {
        let subject = *self.dice.pick(SUBJECTS);
        let phase = 1 + self.index % 7;
        self.put("subject", format!("{subject}, phase {phase}"));
        let category = *self.dice.weighted(PROJECT_CATEGORIES);
        self.put("category", category);
        let status = *self.news.weighted(STATUSES);
        self.put("status", status);
        let program = self.maybe(0.8, |draft| *draft.dice.pick(PROGRAMS));
        self.put("program", program);
        let justification = *self.dice.pick(JUSTIFICATIONS);
        self.put("justification", justification);
        let zone = *self.dice.pick(TIME_ZONES);
        self.put("time_zone", zone);
        let risk = self.maybe(0.7, |draft| *draft.dice.pick(&["low", "significant", "high"]));
        self.put("risk_level", risk);

        let service = self.service();
        self.put("service", service);
        let customer = self.some_organization();
        self.put("customer", customer);
        let manager = self.person();
        self.put("manager", manager);
        self.put("work_hours", json!({"id": 42, "name": "Monday through Friday, 9:00am until 5:00pm"}));

        self.costs();
        self.ends(status == "completed");
    }

    fn ends(&mut self, completed: bool) {
        let target = self.times.created + (20 + self.dice.below(200) as i64) * DAY;
        let target = self.maybe(0.8, |draft| draft.stamp(target));
        self.put("completion_target_at", target);
        if completed {
            let at = self.times.created + (self.times.updated - self.times.created) / 2;
            let reason = *self.dice.weighted(COMPLETION_REASONS);
            let stamp = self.stamp(at);
            self.put("completed_at", stamp);
            self.put("completion_reason", reason);
            self.put("resolution_duration", (at - self.times.created) / 60);
        } else {
            for name in ["completed_at", "completion_reason", "resolution_duration"] {
                self.put(name, Value::Null);
            }
        }
    }

    /// Decimals are texts, whole numbers are numbers.
    fn costs(&mut self) {
        if self.dice.chance(0.25) {
            let names =
                ["cost_of_effort", "cost_of_purchases", "effort", "roi", "total_cost", "value", "value_currency"];
            for name in names {
                self.put(name, Value::Null);
            }
            return;
        }
        let effort = 40 * (1 + self.dice.below(80) as i64);
        let cost_of_effort = effort * 100;
        let purchases = 500 * self.dice.below(5_000) as i64;
        let total = cost_of_effort + purchases;
        let value = total * (90 + self.dice.below(40) as i64) / 100;
        self.put("effort", effort);
        self.put("roi", (value - total) * 100 / total);
        for (name, amount) in [
            ("cost_of_effort", cost_of_effort),
            ("cost_of_purchases", purchases),
            ("total_cost", total),
            ("value", value),
        ] {
            self.put(name, format!("{amount}.0"));
        }
        self.put("value_currency", "usd");
    }
}
