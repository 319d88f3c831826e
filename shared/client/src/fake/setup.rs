//! A manifest, an API in memory and all that connects them.

use std::sync::Arc;

use manifest::query::QueryScope;
use manifest::{Manifest, Query, Resource, Settings};
use serde_json::{Value, json};

use super::{FakeApi, Spec, TestClock};
use crate::Interrupt;
use crate::api::{Api, Connection};
use crate::budget::Budget;
use crate::limits::{MemoryQuota, SharedQuota};
use crate::secret::{SecretStore, Secrets};

/// A manifest, an API in memory, and all that connects them. The API lives at `https://api.example/v1/events`.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) fake: FakeApi,
    pub(crate) manifest: Manifest,
    pub(crate) secrets: Secrets,
    pub(crate) clock: TestClock,
    pub(crate) quota: MemoryQuota,
    pub(crate) budget: Budget,
    pub(crate) interrupt: Interrupt,
}

impl Setup {
    /// Connects the API of `spec` with a manifest whose only endpoint has the members of `endpoint`.
    pub(crate) fn new(spec: Spec, endpoint: &Value) -> Self {
        Self::with_client(spec, endpoint, &json!({}))
    }

    /// As [`Setup::new`], with more members of `client`.
    pub(crate) fn with_client(spec: Spec, endpoint: &Value, client: &Value) -> Self {
        let mut manifest = json!({
            "name": "mine",
            "client": {"base_url": "https://api.example/v1"},
            "resources": [{"name": "events", "primary_key": "id", "endpoint": {"data_selector": "events"}}],
        });
        merge(&mut manifest["client"], client);
        merge(&mut manifest["resources"][0]["endpoint"], endpoint);
        let manifest = Manifest::parse("mine.json", &manifest.to_string()).unwrap_or_else(|faults| panic!("{faults}"));
        Self {
            fake: FakeApi::new(spec),
            manifest,
            secrets: Secrets::new(Settings::default(), None),
            clock: TestClock::new(),
            quota: MemoryQuota::default(),
            budget: Budget::default(),
            interrupt: Interrupt::default(),
        }
    }

    /// Sets environment variables with secrets.
    pub(crate) fn set_variables(&mut self, variables: &[(&str, &str)]) {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.secrets = Secrets::new(variables.collect(), None);
    }

    /// Keeps the secrets in a store.
    pub(crate) fn set_store(&mut self, store: Arc<dyn SecretStore>) {
        self.secrets = Secrets::new(Settings::default(), Some(store));
    }

    pub(crate) fn resource(&self) -> &Resource {
        &self.manifest.resources[0]
    }

    pub(crate) fn api(&self) -> Api<'_> {
        let quota: &dyn SharedQuota = &self.quota;
        let connection = Connection {
            transport: &self.fake,
            secrets: &self.secrets,
            clock: &self.clock,
            quota: Some(quota),
            dates: None,
            interrupt: &self.interrupt,
        };
        Api::new(connection, &self.manifest, self.budget)
    }

    /// The query for all records.
    pub(crate) fn query(&self) -> Arc<Query> {
        let mut query = Query::new(QueryScope::default(), "all");
        query.path = "events".into();
        Arc::new(query)
    }
}

/// Adds the members of `other` to `value`; null removes one.
fn merge(value: &mut Value, other: &Value) {
    let members = value.as_object_mut().unwrap();
    for (name, member) in other.as_object().unwrap() {
        if member.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), member.clone());
        }
    }
}
