//! A source: one API with its manifest.

use std::collections::BTreeMap;

use crate::client::{Client, Setting};
use crate::resource::Resource;

/// The manifest of a source: how one API is reached, and which lists are read from it.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The name of the source: the value of `--source`, and the first folder in the lake.
    pub name: String,
    /// How the API is reached.
    pub client: Client,
    /// The values that each user of the source chooses, by name.
    pub settings: BTreeMap<String, Setting>,
    /// The values of the settings, by name. It is empty until [`Manifest::configure`] fills it.
    pub values: BTreeMap<String, String>,
    /// The lists that can be read from the API.
    pub resources: Vec<Resource>,
}

impl Manifest {
    /// The resource with the name `name`.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.name == name)
    }

    /// The values of the settings that are secret.
    pub fn secret_settings(&self) -> Vec<String> {
        let values = self.values.iter();
        let secret = values.filter(|(name, _)| self.settings.get(*name).is_some_and(|setting| setting.secret));
        secret.map(|(_, value)| value.clone()).collect()
    }
}
