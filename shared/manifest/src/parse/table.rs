//! The stored table: its columns, its folders, what a stored key means for the record that comes.

use super::values::{identifier, json_path};
use crate::yaml::{Fields, Node};
use crate::{
    Column, DataType, Harvest, JsonPath, Level, PART_BYTES, PartitionField, Transform, WriteDisposition, nearest,
};

/// Columns that the engine adds.
pub(super) const OWN_COLUMNS: [&str; 3] = ["synced_at", "first_seen_at", "observed_date"];

/// dlt's `write_disposition`.
#[derive(Clone, Copy)]
pub(super) struct Disposition {
    pub(super) disposition: WriteDisposition,
    /// Its strategy `scd2`: every version is kept.
    pub(super) history: bool,
    /// Not read by a run of all resources.
    pub(super) skip: bool,
}

pub(super) fn write_disposition(fields: &Fields<'_>) -> Option<Disposition> {
    let of = |disposition| Disposition { disposition, history: false, skip: false };
    let choices = [
        ("append", of(WriteDisposition::Append)),
        ("merge", of(WriteDisposition::Merge)),
        ("replace", of(WriteDisposition::Replace)),
        ("skip", Disposition { skip: true, ..of(WriteDisposition::Append) }),
    ];
    let Some(node) = fields.get("write_disposition") else {
        return Some(of(WriteDisposition::Append));
    };
    if node.is_text() {
        return node.one_of(&choices);
    }
    let fields = node.fields()?;
    // One row a key is what a merge leaves in any case.
    fields.only(&["disposition", "strategy", "deduplicated"]);
    let disposition = fields.required("disposition")?.one_of(&choices)?;
    let Some(strategy) = fields.get("strategy") else { return Some(disposition) };
    if disposition.disposition != WriteDisposition::Merge {
        strategy.fault("goes with `disposition: merge` alone");
    }
    strategy.one_of(&[
        ("upsert", of(WriteDisposition::Merge)),
        // A record's key is its whole identity here, so what dlt deletes and inserts is one update.
        ("delete-insert", of(WriteDisposition::Merge)),
        ("insert-only", of(WriteDisposition::Append)),
        ("scd2", Disposition { history: true, ..of(WriteDisposition::Merge) }),
    ])
}

pub(super) fn part_bytes(fields: &Fields<'_>) -> usize {
    let given = fields.get("part_bytes").and_then(|node| node.integer(64 << 10..=1 << 30));
    given.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(PART_BYTES)
}

pub(super) fn text_column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        path: JsonPath::of_field(name),
        data_type: DataType::Text,
        list: false,
        volatile: false,
        description: None,
    }
}

/// The declared columns, the defaults' ones first; a mapping by name, or dlt's list of columns that have a `name`.
pub(super) fn columns(fields: &Fields<'_>) -> Vec<Column> {
    let levels = [fields.defaults().and_then(|defaults| defaults.get("columns")), fields.own("columns")];
    let mut columns: Vec<Column> = Vec::new();
    for (name, node) in levels.into_iter().flatten().flat_map(|node| named(&node)) {
        if OWN_COLUMNS.contains(&name.as_str()) || name.starts_with('_') {
            node.fault(format!("`{name}` is a name of the engine's own columns; choose another"));
        }
        let Some(column) = column(name, &node) else { continue };
        match columns.iter_mut().find(|existing| existing.name == column.name) {
            Some(existing) => *existing = column,
            None => columns.push(column),
        }
    }
    columns
}

fn named<'y>(node: &Node<'y>) -> Vec<(String, Node<'y>)> {
    if !node.is_list() {
        return node.fields().map(|fields| fields.members()).unwrap_or_default();
    }
    let nodes = node.list().unwrap_or_default();
    nodes.into_iter().filter_map(|node| Some((node.fields()?.required("name")?.text()?, node))).collect()
}

fn column(name: String, node: &Node<'_>) -> Option<Column> {
    let types = DataType::ALL.map(|data_type| (data_type.name(), data_type));
    let fields = node.fields()?;
    // `name` and `nullable` are dlt's: the one is read where columns are a list, the other changes nothing: every column but a
    // key's may be null.
    fields.only(&["name", "path", "data_type", "list", "volatile", "description", "nullable"]);
    let path = match fields.get("path") {
        Some(node) => json_path(&node)?,
        None => JsonPath::of_field(&name),
    };
    let list = fields.get("list").map_or(Some(false), |node| node.boolean())?;
    if path.is_many() && !list {
        node.fault(format!("`{path}` can meet many values: add `list: true`, or take one with `[0]`"));
    }
    Some(Column {
        name,
        path,
        data_type: fields.required("data_type")?.one_of(&types)?,
        list,
        volatile: fields.get("volatile").map_or(Some(false), |node| node.boolean())?,
        description: fields.get("description").and_then(|node| node.text()),
    })
}

pub(super) fn partition(fields: &Fields<'_>, columns: &[Column]) -> Vec<PartitionField> {
    let nodes = fields.get("partition").and_then(|node| node.list()).unwrap_or_default();
    nodes.iter().filter_map(|node| partition_field(node, columns)).collect()
}

fn partition_field(node: &Node<'_>, columns: &[Column]) -> Option<PartitionField> {
    let fields = node.fields()?;
    fields.only(&["name", "from", "transform"]);
    let name = fields.required("name").and_then(|node| {
        let name = identifier(&node)?;
        if columns.iter().any(|column| column.name == name) {
            node.fault(format!("a column is named `{name}` too: readers of Hive folders take one or the other"));
        }
        Some(name)
    });
    let from = fields.required("from")?;
    let from_name = from.text()?;
    let Some(column) = columns.iter().find(|column| column.name == from_name) else {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        from.fault(format!("no column is named `{from_name}`{}", nearest(&from_name, &names)));
        return None;
    };
    let transform = fields.get("transform").map_or(Some(Transform::Identity), |node| transform(&node))?;
    let fits = match transform {
        Transform::Bucket(_) | Transform::Identity => {
            matches!(column.data_type, DataType::Text | DataType::Bigint | DataType::Date) && !column.list
        }
        _ => matches!(column.data_type, DataType::Text | DataType::Date | DataType::Timestamp) && !column.list,
    };
    if !fits {
        from.fault(format!(
            "`{transform}` does not go with `{from_name}`, a column of type {}",
            column.data_type.name()
        ));
    }
    Some(PartitionField { name: name?, from: from_name, transform })
}

fn transform(node: &Node<'_>) -> Option<Transform> {
    let text = node.text()?;
    if let Some(count) = text.strip_prefix("bucket[").and_then(|rest| rest.strip_suffix(']')) {
        if let Some(count) = count.parse().ok().filter(|count| (1..=10_000).contains(count)) {
            return Some(Transform::Bucket(count));
        }
        node.fault(format!("`{text}`: buckets are 1 to 10000"));
        return None;
    }
    node.one_of(&[
        ("identity", Transform::Identity),
        ("year", Transform::Year),
        ("month", Transform::Month),
        ("day", Transform::Day),
        ("hour", Transform::Hour),
        ("bucket[N]", Transform::Bucket(1)),
    ])
}

pub(super) fn explode(fields: &Fields<'_>) -> Vec<Vec<Level>> {
    let ways = fields.get("explode").and_then(|node| node.list()).unwrap_or_default();
    ways.iter()
        .filter_map(|way| {
            let levels: Vec<Level> = way.list()?.iter().filter_map(level).collect();
            if levels.is_empty() {
                way.fault("needs at least one level: [{as: segment, path: segment}]");
            }
            Some(levels)
        })
        .collect()
}

pub(super) fn harvest(fields: &Fields<'_>, own: &str, resources: &[String]) -> Vec<Harvest> {
    let nodes = fields.get("harvest").and_then(|node| node.list()).unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| {
            let fields = node.fields()?;
            fields.only(&["resource", "path"]);
            let path = fields.required("path").and_then(|node| json_path(&node));
            let resource = fields.required("resource")?;
            let name = resource.text()?;
            if name == own || !resources.contains(&name) {
                resource.fault(format!("no other resource `{name}` is declared{}", nearest(&name, resources)));
            }
            Some(Harvest { resource: name, path: path? })
        })
        .collect()
}

fn level(node: &Node<'_>) -> Option<Level> {
    let fields = node.fields()?;
    fields.only(&["as", "path", "row"]);
    Some(Level {
        name: identifier(&fields.required("as")?)?,
        path: json_path(&fields.required("path")?)?,
        row: fields.get("row").map_or(Some(false), |node| node.boolean())?,
    })
}
