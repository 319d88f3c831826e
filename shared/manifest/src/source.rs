//! A source: one API, its address, its key and its resources.

use std::collections::BTreeMap;

use crate::{Client, Resource, Setting};

/// A source: one API, its address, its key and its resources.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The source's name: `--source`, the first folder of the lake.
    pub name: String,
    /// Where and how it is reached.
    pub client: Client,
    /// What a user of the source may or must set, by name.
    pub settings: BTreeMap<String, Setting>,
    /// Their values, once [`Manifest::configure`] has found them.
    pub values: BTreeMap<String, String>,
    /// What can be read from it.
    pub resources: Vec<Resource>,
}

impl Manifest {
    /// The resource called `name`.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.name == name)
    }
}
