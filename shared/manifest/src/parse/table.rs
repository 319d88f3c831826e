//! The table of a resource: its columns, its partitions, and what happens to a record whose key is stored already.

use crate::column::{Column, DataType, PartitionField, Transform};
use crate::fault::nearest;
use crate::keys::resource::{COLUMN, HARVEST, LEVEL, PARTITION_FIELD, WRITE_DISPOSITION};
use crate::name::{engine_column, is_same_name};
use crate::path::JsonPath;
use crate::resource::{Harvest, Level, PART_BYTES, WriteDisposition};
use crate::yaml::{Fields, Node};

/// The value of dlt's `write_disposition`.
#[derive(Clone, Copy)]
pub(super) struct Disposition {
    pub(super) disposition: WriteDisposition,
    /// Whether every version of a row is kept: the strategy `scd2`.
    pub(super) history: bool,
    /// Whether the resource is left out when all resources are read.
    pub(super) skip: bool,
}

/// Reads the member `write_disposition` of a resource.
pub(super) fn write_disposition(resource: &Fields<'_>) -> Option<Disposition> {
    let plain = |disposition| Disposition { disposition, history: false, skip: false };
    let choices = [
        ("append", plain(WriteDisposition::Append)),
        ("merge", plain(WriteDisposition::Merge)),
        ("replace", plain(WriteDisposition::Replace)),
        ("skip", Disposition { skip: true, ..plain(WriteDisposition::Append) }),
    ];
    let Some(node) = resource.get("write_disposition").filter(|node| !node.is_text()) else {
        return resource.one_of("write_disposition", &choices);
    };
    let fields = node.fields(&WRITE_DISPOSITION)?;
    let disposition = fields.one_of("disposition", &choices)?;
    let Some(strategy) = fields.get("strategy") else { return Some(disposition) };
    if disposition.disposition != WriteDisposition::Merge {
        strategy.fault("goes with `disposition: merge` alone");
    }
    strategy.one_of(&[
        ("upsert", plain(WriteDisposition::Merge)),
        // A key has one row, so dlt's deletion and insertion are one update.
        ("delete-insert", plain(WriteDisposition::Merge)),
        ("insert-only", plain(WriteDisposition::Append)),
        ("scd2", Disposition { history: true, ..plain(WriteDisposition::Merge) }),
    ])
}

/// Reads the member `part_bytes` of a resource.
pub(super) fn part_bytes(resource: &Fields<'_>) -> usize {
    resource.integer("part_bytes").and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(PART_BYTES)
}

/// A text column with the value of the field of that name.
pub(super) fn text_column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        path: JsonPath::of_field(name),
        data_type: DataType::Text,
        list: false,
        volatile: false,
        history_only: false,
        description: None,
    }
}

/// Reads the declared columns of a resource, those of the defaults first. `columns` is a mapping by name, or dlt's list of columns
/// that have a `name`.
pub(super) fn columns(resource: &Fields<'_>) -> Vec<Column> {
    let levels = [resource.defaults().and_then(|defaults| defaults.get("columns")), resource.own("columns")];
    let mut columns: Vec<Column> = Vec::new();
    for (name, node) in levels.into_iter().flatten().flat_map(|node| named_columns(&node)) {
        if let Some(fault) = column_name_fault(&name, &columns) {
            node.fault(fault);
        }
        let Some(column) = column(name, &node) else { continue };
        match columns.iter_mut().find(|existing| existing.name == column.name) {
            Some(existing) => *existing = column,
            None => columns.push(column),
        }
    }
    columns
}

/// Returns why a column beside `columns` cannot be named `name`, if it cannot.
pub(super) fn column_name_fault(name: &str, columns: &[Column]) -> Option<String> {
    if let Some(engine_column) = engine_column(name) {
        return Some(format!("`{name}` is the name of the engine's own column `{engine_column}`; choose another"));
    }
    if name.starts_with('_') {
        return Some(format!("`{name}` begins with `_`, as the engine's own columns do; choose another"));
    }
    case_fault(name, columns)
}

/// Returns a fault if one of `columns` has a name that differs from `name` in the case of letters alone.
pub(super) fn case_fault(name: &str, columns: &[Column]) -> Option<String> {
    let other = columns.iter().map(|column| &column.name).find(|other| *other != name && is_same_name(other, name))?;
    Some(format!(
        "the columns `{name}` and `{other}` differ in the case of letters alone, so Athena, Glue and DuckDB take them for one: give one of them another name"
    ))
}

fn named_columns<'y>(node: &Node<'y>) -> Vec<(String, Node<'y>)> {
    if !node.is_list() {
        return node.named_values().map(|columns| columns.members()).unwrap_or_default();
    }
    let name = |node: &Node<'_>| {
        let fields = node.unchecked_fields(&COLUMN)?;
        if fields.get("name").is_none() {
            node.fault("needs `name`");
        }
        fields.text("name")
    };
    let nodes = node.list().unwrap_or_default();
    nodes.into_iter().filter_map(|node| Some((name(&node)?, node))).collect()
}

fn column(name: String, node: &Node<'_>) -> Option<Column> {
    let types = DataType::ALL.map(|data_type| (data_type.name(), data_type));
    let fields = node.fields(&COLUMN)?;
    let path = match fields.get("path") {
        Some(node) => node.json_path()?,
        None => JsonPath::of_field(&name),
    };
    let list = fields.boolean("list")?;
    if path.is_many() && !list {
        node.fault(format!("`{path}` can meet many values: add `list: true`, or take one with `[0]`"));
    }
    let data_type = fields.one_of("data_type", &types)?;
    let history_only = fields.boolean("history_only")?;
    if history_only && data_type != DataType::Json {
        node.fault(format!("`history_only` goes with `data_type: json` alone, and this is {}", data_type.name()));
    }
    Some(Column {
        name,
        path,
        data_type,
        list,
        history_only,
        volatile: fields.boolean("volatile")?,
        description: fields.text("description"),
    })
}

/// Reads the member `partition` of a resource, whose columns are `columns`.
pub(super) fn partition(resource: &Fields<'_>, columns: &[Column]) -> Vec<PartitionField> {
    let mut levels: Vec<PartitionField> = Vec::new();
    for node in resource.list("partition") {
        levels.extend(partition_field(&node, columns, &levels));
    }
    levels
}

/// Reads one level of partitions; `levels` are those outside it.
fn partition_field(node: &Node<'_>, columns: &[Column], levels: &[PartitionField]) -> Option<PartitionField> {
    let fields = node.fields(&PARTITION_FIELD)?;
    let name = fields.required("name").and_then(|node| {
        let name = node.name()?;
        if let Some(other) = same_name(&name, columns, levels) {
            node.fault(format!(
                "the partition `{name}` has the name of {other}, and readers of Hive folders take one or the other: give it another name"
            ));
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
    let transform = match fields.get("transform") {
        Some(node) => transform(&node)?,
        None => Transform::Identity,
    };
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

/// Returns what has the name `name` already, whatever the case of letters: a column, a column of the engine, or an outer partition.
fn same_name(name: &str, columns: &[Column], levels: &[PartitionField]) -> Option<String> {
    let column = columns.iter().find(|column| is_same_name(&column.name, name));
    let level = levels.iter().find(|level| is_same_name(&level.name, name));
    let described = [
        column.map(|column| format!("the column `{}`", column.name)),
        engine_column(name).map(|column| format!("the engine's column `{column}`")),
        level.map(|level| format!("the partition `{}`", level.name)),
    ];
    described.into_iter().flatten().next()
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

/// Reads the member `explode` of a resource.
pub(super) fn explode(resource: &Fields<'_>) -> Vec<Vec<Level>> {
    let levels = |node: &Node<'_>| {
        let levels: Vec<Level> = node.list()?.iter().filter_map(level).collect();
        if levels.is_empty() {
            node.fault("needs at least one level: [{as: segment, path: segment}]");
        }
        Some(levels)
    };
    resource.list("explode").iter().filter_map(levels).collect()
}

fn level(node: &Node<'_>) -> Option<Level> {
    let fields = node.fields(&LEVEL)?;
    Some(Level { name: fields.required("as")?.name()?, path: fields.json_path("path")?, row: fields.boolean("row")? })
}

/// Reads the member `harvest` of the resource `name`; `resources` are the names of all resources.
pub(super) fn harvest(resource: &Fields<'_>, name: &str, resources: &[String]) -> Vec<Harvest> {
    let harvest = |node: &Node<'_>| {
        let fields = node.fields(&HARVEST)?;
        let path = fields.json_path("path");
        let node = fields.required("resource")?;
        let target = node.text()?;
        if target == name || !resources.contains(&target) {
            node.fault(format!("no other resource `{target}` is declared{}", nearest(&target, resources)));
        }
        Some(Harvest { resource: target, path: path? })
    };
    resource.list("harvest").iter().filter_map(harvest).collect()
}

#[cfg(test)]
mod tests {
    use crate::Manifest;

    /// The faults of a manifest with one resource that has the column `copy` and these settings.
    fn faults(copy: &str, settings: &str) -> String {
        let text = format!(
            "client: {{base_url: \"https://api.example\", paginator: single_page}}\nresources:\n  - name: shops\n    primary_key: id\n    endpoint: {{path: shops}}\n    columns: {{id: {{data_type: text}}, copy: {{{copy}}}}}{settings}\n"
        );
        Manifest::parse("test.yaml", &text).err().map(|faults| faults.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_column_of_the_history_alone_needs_a_history_and_is_json() {
        let (json, history) = ("data_type: json, history_only: true", "\n    history: true");
        assert_eq!(faults(json, history), "");
        assert_eq!(faults("data_type: json, history_only: false", ""), "");
        for (copy, settings, message) in [
            (json, "", "the column `copy` is `history_only`: set `history: true`"),
            ("data_type: text, history_only: true", history, "goes with `data_type: json` alone, and this is text"),
        ] {
            let faults = faults(copy, settings);
            assert!(faults.contains(message) && faults.contains("test.yaml:"), "{copy}: {faults}");
        }
    }
}
