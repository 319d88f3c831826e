//! The parts of the manifest that a resource refers to.

use std::collections::BTreeMap;

use crate::client::Setting;
use crate::yaml::Node;

/// The parts of the manifest that a resource refers to.
pub(super) struct Context<'c, 'y> {
    /// The declared settings, by name.
    pub(super) settings: &'c BTreeMap<String, Setting>,
    /// The names of all resources.
    pub(super) resources: &'c [String],
    /// The client's paginator.
    pub(super) paginator: Option<&'c Node<'y>>,
}
