//! From a manifest's text to a [`Manifest`], with every fault at once.

mod bind;
mod client;
mod endpoint;
mod incremental;
mod paginator;
mod rate;
mod refresh;
mod slices;
mod table;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use self::values::{identifier, strings};
use crate::Faults;
use crate::yaml::{Document, Fields, Node};
use crate::{Column, DataType, JsonPath, Manifest, Parent, RECORD_KEY, Resource, Setting, WriteDisposition, nearest};

const RESOURCE_KEYS: [&str; 17] = [
    "name",
    "endpoint",
    "primary_key",
    "write_disposition",
    "columns",
    "include_from_parent",
    "partition",
    "part_bytes",
    "history",
    "slices",
    "explode",
    "harvest",
    "refresh",
    "passed_by",
    "vanished",
    "selected",
    // Several parents are always read side by side.
    "parallelized",
];

impl Manifest {
    /// Reads and checks a manifest, YAML or JSON. `file` names it in faults; its stem is the source's name where the
    /// manifest gives none.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        Document::read(file, text, |root| manifest(&root, file))
    }
}

/// What a resource is read with: the rest of the manifest.
struct Context<'c, 'y> {
    settings: &'c BTreeMap<String, Setting>,
    /// The names of all resources.
    resources: &'c [String],
    /// The client's paginator.
    paginator: Option<&'c Node<'y>>,
}

fn manifest(root: &Node<'_>, file: &str) -> Option<Manifest> {
    let fields = root.fields()?;
    fields.only(&["name", "settings", "client", "resource_defaults", "resources"]);
    let name = match fields.get("name") {
        Some(node) => identifier(&node),
        None => Some(file.split('.').next().unwrap_or(file).to_owned()),
    };
    let settings = client::settings(&fields);
    let client_fields = fields.required("client").and_then(|node| node.fields());
    let client = client_fields.as_ref().and_then(|fields| client::client(fields, &settings));
    let paginator = client_fields.as_ref().and_then(|client| client.get("paginator"));
    let defaults = fields.get("resource_defaults").and_then(|node| node.fields());
    if let Some(defaults) = &defaults {
        defaults.only(&RESOURCE_KEYS);
        if let Some(endpoint) = defaults.get("endpoint").and_then(|node| node.fields()) {
            endpoint.only(&endpoint::KEYS);
        }
    }
    let nodes = fields.required("resources").and_then(|node| node.list()).unwrap_or_default();
    if nodes.is_empty() {
        root.fault("declares no resource");
    }
    let names: Vec<String> = nodes.iter().filter_map(resource_name).collect();
    let mut seen = BTreeSet::new();
    for (node, name) in nodes.iter().zip(&names).filter(|_| names.len() == nodes.len()) {
        if !seen.insert(name) {
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
        slices::check_values(node, resource, &resources);
    }
    take_over_types(&mut resources);
    Some(Manifest { name: name?, client: client?, settings, values: BTreeMap::new(), resources })
}

/// A resource's name: of dlt's shorthand, a text, that text.
fn resource_name(node: &Node<'_>) -> Option<String> {
    if node.is_text() {
        return identifier(node);
    }
    node.fields()?.required("name").and_then(|node| identifier(&node))
}

/// The way from `resource` through its parents back to itself, if it ends there.
fn cycle(resource: &Resource, resources: &[Resource]) -> Option<Vec<String>> {
    let mut way = vec![resource.name.clone()];
    let mut at = resource;
    while let Some(parent) = &at.parent {
        at = resources.iter().find(|other| other.name == parent.resource)?;
        way.push(at.name.clone());
        if at.name == resource.name {
            return Some(way);
        }
        if way.len() > resources.len() {
            return None;
        }
    }
    None
}

/// Gives what rows keep of their parent the type that it has there.
fn take_over_types(resources: &mut [Resource]) {
    let declared: Vec<(String, Vec<Column>)> =
        resources.iter().map(|resource| (resource.name.clone(), resource.columns.clone())).collect();
    for resource in resources {
        let Some(parent) = &resource.parent else { continue };
        let Some((_, columns)) = declared.iter().find(|(name, _)| *name == parent.resource) else { continue };
        for field in &parent.include {
            let name = parent.column(field);
            let of_a_key = resource.primary_key.contains(&name);
            let data_type = JsonPath::parse(field)
                .ok()
                .and_then(|path| columns.iter().find(|column| column.path == path && !column.list))
                .map(|column| column.data_type)
                .filter(|kind| !of_a_key || matches!(kind, DataType::Text | DataType::Bigint | DataType::Date));
            let own = resource.columns.iter_mut().find(|column| column.name == name);
            if let (Some(column), Some(data_type)) = (own, data_type) {
                column.data_type = data_type;
            }
        }
    }
}

fn resource(node: &Node<'_>, defaults: Option<&Fields<'_>>, context: &Context<'_, '_>) -> Option<Resource> {
    let own = if node.is_text() { node.no_fields() } else { node.fields()? };
    own.only(&RESOURCE_KEYS);
    let fields = own.or(defaults.cloned());
    let name = resource_name(node);
    let mut columns = table::columns(&fields);
    let infer_columns = columns.is_empty();
    let bound = endpoint::endpoint(&fields, name.as_deref().unwrap_or_default(), &columns, context);
    let (endpoint, mut parent, notes) =
        bound.map_or((None, None, Vec::new()), |bound| (Some(bound.endpoint), bound.parent, bound.notes));
    include_from_parent(&fields, parent.as_mut(), &mut columns);
    let disposition = table::write_disposition(&fields);
    let primary_key = primary_key(&fields, disposition.map(|of| of.disposition));
    key_columns(node, &primary_key, parent.as_ref(), &mut columns);
    let partition = table::partition(&fields, &columns);
    let slices = slices::slices(&fields, endpoint.as_ref(), parent.as_ref(), context.resources);
    let explode = table::explode(&fields);
    let harvest = table::harvest(&fields, name.as_deref().unwrap_or_default(), context.resources);
    let refresh = refresh::refresh(&fields, &slices, endpoint.as_ref(), parent.as_ref());
    let passed_by = refresh::passed_by(&fields, &columns);
    let merged = disposition.map(|of| of.disposition);
    let vanished = refresh::vanished(&fields, &columns, merged, primary_key.len(), !explode.is_empty());
    let disposition = disposition?;
    let history = fields.get("history").map_or(Some(false), |node| node.boolean())?;
    Some(Resource {
        name: name?,
        endpoint: endpoint?,
        primary_key,
        parent,
        write_disposition: disposition.disposition,
        columns,
        infer_columns,
        partition,
        part_bytes: table::part_bytes(&fields),
        history: history || disposition.history,
        slices,
        explode,
        harvest,
        refresh,
        passed_by,
        vanished,
        selected: !disposition.skip && fields.get("selected").map_or(Some(true), |node| node.boolean())?,
        notes,
    })
}

/// The columns that identify a record: where none are named, the whole record does.
fn primary_key(fields: &Fields<'_>, disposition: Option<WriteDisposition>) -> Vec<String> {
    if let Some(node) = fields.get("primary_key").filter(|node| !node.is_null()) {
        return strings(&node).unwrap_or_default();
    }
    if disposition == Some(WriteDisposition::Merge) {
        fields.node().fault(
            "`merge` needs `primary_key`: without one no record can be told to be another version of a stored one",
        );
    }
    vec![RECORD_KEY.to_owned()]
}

/// `include_from_parent`: fields of the parent's record that each row keeps, each of them a column.
fn include_from_parent(fields: &Fields<'_>, parent: Option<&mut Parent>, columns: &mut Vec<Column>) {
    let Some(node) = fields.get("include_from_parent") else { return };
    let included = strings(&node).unwrap_or_default();
    let Some(parent) = parent else {
        node.fault("this resource has no parent: no placeholder names one");
        return;
    };
    for field in included {
        let name = parent.column(&field);
        if !columns.iter().any(|column| column.name == name) {
            columns.push(table::text_column(&name));
        }
        parent.include.push(field);
    }
}

/// Adds the key's columns that are not declared, as texts, and faults those that no key can be of.
fn key_columns(node: &Node<'_>, primary_key: &[String], parent: Option<&Parent>, columns: &mut Vec<Column>) {
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
                let known: Vec<String> =
                    parent.iter().flat_map(|parent| parent.include.iter().map(|field| parent.column(field))).collect();
                let hint = nearest(key, &known);
                node.fault(format!(
                    "no column is named `{key}`: `include_from_parent: [id]` gives `_<parent>_id`{hint}"
                ));
            }
            None => columns.insert(0, table::text_column(key)),
        }
    }
}
