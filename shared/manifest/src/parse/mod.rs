//! Reads a manifest's text into a [`Manifest`], with every fault at once.

mod bind;
mod client;
mod context;
mod endpoint;
mod incremental;
mod paginator;
mod rate;
mod refresh;
mod slices;
mod table;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use self::context::Context;
use self::values::text_or_texts;
use crate::column::{Column, DataType, PartitionField};
use crate::fault::{Faults, nearest};
use crate::keys::MANIFEST;
use crate::keys::client::CLIENT;
use crate::keys::endpoint::ENDPOINT;
use crate::keys::resource::{EXPECT, RESOURCE};
use crate::name::is_same_name;
use crate::path::JsonPath;
use crate::refresh::Vanished;
use crate::resource::{Parent, RECORD_KEY, REJECTED_MAX, Resource, WriteDisposition};
use crate::source::Manifest;
use crate::yaml::{Document, Fields, Node};

impl Manifest {
    /// Reads and checks a manifest in YAML or JSON. Faults name the manifest `file`. If the manifest has no `name`, the source has the
    /// name of the file without its extension.
    ///
    /// # Errors
    ///
    /// Every fault of the manifest, each with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        Document::read(file, text, |root| manifest(&root, file))
    }
}

fn manifest(root: &Node<'_>, file: &str) -> Option<Manifest> {
    let fields = root.fields(&MANIFEST)?;
    let name = match fields.get("name") {
        Some(node) => node.name(),
        None => Some(file.split('.').next().unwrap_or(file).to_owned()),
    };
    let settings = client::settings(&fields);
    let client_fields = fields.required("client").and_then(|node| node.fields(&CLIENT));
    let client = client_fields.as_ref().and_then(|fields| client::client(fields, &settings));
    let paginator = client_fields.as_ref().and_then(|client| client.get("paginator"));
    let defaults = fields.get("resource_defaults").and_then(|node| node.fields(&RESOURCE));
    if let Some(node) = defaults.as_ref().and_then(|defaults| defaults.get("endpoint")) {
        // Each resource reads the endpoint of the defaults under its own one. Unknown keys are faults also if no resource does.
        let _ = node.fields(&ENDPOINT);
    }
    let nodes = fields.required("resources").and_then(|node| node.list()).unwrap_or_default();
    if nodes.is_empty() {
        root.fault("declares no resource");
    }
    let names: Vec<String> = nodes.iter().filter_map(resource_name).collect();
    let mut seen_names = BTreeSet::new();
    for (node, name) in nodes.iter().zip(&names).filter(|_| names.len() == nodes.len()) {
        if !seen_names.insert(name) {
            node.fault(format!("a resource named `{name}` is declared already"));
        }
    }
    let context = Context { settings: &settings, resources: &names, paginator: paginator.as_ref() };
    let mut resources: Vec<Resource> =
        nodes.iter().filter_map(|node| resource(node, defaults.as_ref(), &context)).collect();
    for (resource, node) in resources.iter().zip(&nodes).filter(|_| resources.len() == nodes.len()) {
        if let Some(cycle) = cycle(resource, &resources) {
            node.fault(format!("depends on itself: {}", cycle.join(" → ")));
        }
    }
    for (resource, node) in resources.iter().zip(&nodes).filter(|_| resources.len() == nodes.len()) {
        slices::check_values_from(node, resource, &resources);
    }
    for (resource, node) in resources.iter().zip(&nodes).filter(|_| resources.len() == nodes.len()) {
        check_folders(node, resource, &resources);
    }
    set_types_of_included_fields(&mut resources);
    Some(Manifest { name: name?, client: client?, settings, values: BTreeMap::new(), resources })
}

/// Reads the name of a resource. In dlt's shorthand, the resource is a text, which is its name.
fn resource_name(node: &Node<'_>) -> Option<String> {
    if node.is_text() {
        return node.name();
    }
    node.unchecked_fields(&RESOURCE)?.required("name").and_then(|node| node.name())
}

/// Adds a fault if the table of `resource` has the folder of another resource's history, or its name differs from that of an earlier
/// resource only in the case of letters. Some file systems do not tell such names apart.
fn check_folders(node: &Node<'_>, resource: &Resource, resources: &[Resource]) {
    let name = &resource.name;
    // A text is the name itself.
    let fields = if node.is_mapping() { node.unchecked_fields(&RESOURCE) } else { None };
    let name_node = fields.and_then(|fields| fields.get("name"));
    let fault = |message: String| name_node.as_ref().unwrap_or(node).fault(message);
    let earlier = resources.iter().take_while(|other| other.name != *name);
    for other in earlier.filter(|other| other.name.eq_ignore_ascii_case(name)) {
        let other = &other.name;
        fault(format!("`{name}` and `{other}` would be one folder where case does not count: give one another name"));
    }
    let with_history =
        |other: &&Resource| other.history && format!("{}_history", other.name).eq_ignore_ascii_case(name);
    for other in resources.iter().filter(with_history) {
        let other = &other.name;
        fault(format!(
            "`{name}` is the folder of the history of `{other}`: give this resource another name, or set `history: false` for `{other}`"
        ));
    }
}

/// Returns the names from `resource` through its parents back to itself, if they lead back to it.
fn cycle(resource: &Resource, resources: &[Resource]) -> Option<Vec<String>> {
    let mut names = vec![resource.name.clone()];
    let mut current = resource;
    while let Some(parent) = &current.parent {
        current = resources.iter().find(|candidate| candidate.name == parent.resource)?;
        names.push(current.name.clone());
        if current.name == resource.name {
            return Some(names);
        }
        if names.len() > resources.len() {
            return None;
        }
    }
    None
}

/// Gives each column that keeps a field of the parent's record the type that the field has in the parent's table.
fn set_types_of_included_fields(resources: &mut [Resource]) {
    let columns_by_resource: Vec<(String, Vec<Column>)> =
        resources.iter().map(|resource| (resource.name.clone(), resource.columns.clone())).collect();
    for resource in resources {
        let Some(parent) = &resource.parent else { continue };
        let Some((_, columns)) = columns_by_resource.iter().find(|(name, _)| *name == parent.resource) else {
            continue;
        };
        for field in &parent.include {
            let name = parent.column(field);
            let is_of_key = resource.primary_key.contains(&name);
            let data_type = JsonPath::parse(field)
                .ok()
                .and_then(|path| columns.iter().find(|column| column.path == path && !column.list))
                .map(|column| column.data_type)
                .filter(|kind| !is_of_key || matches!(kind, DataType::Text | DataType::Bigint | DataType::Date));
            let column = resource.columns.iter_mut().find(|column| column.name == name);
            if let (Some(column), Some(data_type)) = (column, data_type) {
                column.data_type = data_type;
            }
        }
    }
}

fn resource(node: &Node<'_>, defaults: Option<&Fields<'_>>, context: &Context<'_, '_>) -> Option<Resource> {
    let fields = if node.is_text() { node.no_fields(&RESOURCE) } else { node.fields(&RESOURCE)? };
    let fields = fields.or(defaults.cloned());
    let name = resource_name(node);
    let mut columns = table::columns(&fields);
    let infer_columns = columns.is_empty();
    let bound = endpoint::endpoint(&fields, name.as_deref().unwrap_or_default(), &columns, context);
    let (endpoint, mut parent, notes) =
        bound.map_or((None, None, Vec::new()), |bound| (Some(bound.endpoint), bound.parent, bound.notes));
    include_from_parent(&fields, parent.as_mut(), &mut columns);
    let disposition = table::write_disposition(&fields);
    let primary_key = primary_key(&fields, disposition.map(|value| value.disposition));
    add_key_columns(node, &primary_key, parent.as_ref(), &mut columns);
    let partition = table::partition(&fields, &columns);
    let slices = slices::slices(&fields, endpoint.as_ref(), parent.as_ref(), context.resources);
    let explode = table::explode(&fields);
    let harvest = table::harvest(&fields, name.as_deref().unwrap_or_default(), context.resources);
    let refresh = refresh::refresh(&fields, &slices, endpoint.as_ref(), parent.as_ref());
    let passed_by = refresh::passed_by(&fields, &columns);
    let write_disposition = disposition.map(|value| value.disposition);
    let vanished = refresh::vanished(&fields, &columns, write_disposition, primary_key.len(), !explode.is_empty());
    check_vanished_name(node, vanished.as_ref(), &partition);
    let disposition = disposition?;
    let history = fields.boolean("history")? || disposition.history;
    if let Some(column) = columns.iter().find(|column| column.history_only && !history) {
        node.fault(format!("the column `{}` is `history_only`: set `history: true`, or no table has it", column.name));
    }
    Some(Resource {
        name: name?,
        endpoint: endpoint?,
        primary_key,
        parent,
        write_disposition: disposition.disposition,
        columns,
        infer_columns,
        rejected_max: rejected_max(&fields),
        partition,
        part_bytes: table::part_bytes(&fields),
        history,
        slices,
        explode,
        harvest,
        refresh,
        passed_by,
        vanished,
        selected: !disposition.skip && fields.boolean("selected")?,
        notes,
    })
}

/// Adds a fault if the column that says since when a row has vanished has the name of a partition.
fn check_vanished_name(node: &Node<'_>, vanished: Option<&Vanished>, partition: &[PartitionField]) {
    let Some(column) = vanished.map(|vanished| &vanished.column) else { return };
    if let Some(level) = partition.iter().find(|level| is_same_name(&level.name, column)) {
        node.fault(format!(
            "the partition `{}` has the name of `vanished.column`, `{column}`: give one of them another name",
            level.name
        ));
    }
}

/// Reads the greatest share of records that may be rejected.
fn rejected_max(fields: &Fields<'_>) -> f64 {
    let expect = fields.get("expect").and_then(|node| node.fields(&EXPECT));
    expect.and_then(|expect| expect.get("rejected_max")?.share()).unwrap_or(REJECTED_MAX)
}

/// Reads the names of the columns that identify a record. If there are none, a hash of the whole record does.
fn primary_key(fields: &Fields<'_>, disposition: Option<WriteDisposition>) -> Vec<String> {
    if let Some(node) = fields.get("primary_key") {
        return text_or_texts(&node).unwrap_or_default();
    }
    if disposition == Some(WriteDisposition::Merge) {
        fields.node().fault(
            "`merge` needs `primary_key`: without one no record can be told to be another version of a stored one",
        );
    }
    vec![RECORD_KEY.to_owned()]
}

/// Reads `include_from_parent`, and adds a column for each field of the parent's record that the rows keep.
fn include_from_parent(fields: &Fields<'_>, parent: Option<&mut Parent>, columns: &mut Vec<Column>) {
    let Some(node) = fields.get("include_from_parent") else { return };
    let included = text_or_texts(&node).unwrap_or_default();
    let Some(parent) = parent else {
        node.fault("this resource has no parent: no placeholder names one");
        return;
    };
    for field in included {
        let name = parent.column(&field);
        if let Some(fault) = table::case_fault(&name, columns) {
            node.fault(fault);
        }
        if !columns.iter().any(|column| column.name == name) {
            columns.push(table::text_column(&name));
        }
        parent.include.push(field);
    }
}

/// Adds a text column for each column of the key that is not declared, and a fault for each declared one whose type no key has. A key that
/// differs from a column in the case of letters alone is a fault too.
fn add_key_columns(node: &Node<'_>, primary_key: &[String], parent: Option<&Parent>, columns: &mut Vec<Column>) {
    for key in primary_key.iter().rev() {
        match columns.iter().find(|column| column.name == *key) {
            Some(column)
                if column.list || !matches!(column.data_type, DataType::Text | DataType::Bigint | DataType::Date) =>
            {
                let kind = if column.list { "list" } else { column.data_type.name() };
                node.fault(format!("the key column `{key}` is a {kind}; a key is text, bigint or date"));
            }
            Some(_) => {}
            None if key.starts_with('_') && key != RECORD_KEY => {
                let included: Vec<String> =
                    parent.iter().flat_map(|parent| parent.include.iter().map(|field| parent.column(field))).collect();
                let hint = nearest(key, &included);
                node.fault(format!(
                    "no column is named `{key}`: `include_from_parent: [id]` gives `_<parent>_id`{hint}"
                ));
            }
            None => {
                if let Some(fault) = table::case_fault(key, columns) {
                    node.fault(fault);
                }
                columns.insert(0, table::text_column(key));
            }
        }
    }
}
