//! `refresh`, `passed_by`, `vanished`: how a resource is kept up to date, and what happens to rows whose record the API no longer has.

use super::slices::time_params;
use super::table::column_name_fault;
use super::values::{scalar_texts, text_or_texts};
use crate::column::{Column, DataType};
use crate::endpoint::Endpoint;
use crate::fault::nearest;
use crate::keys::refresh::{ANNOUNCED, CONFIRM, NEAR, REFRESH, VANISHED};
use crate::refresh::{Announced, Confirm, Near, Refresh, Vanished};
use crate::resource::{Parent, WriteDisposition};
use crate::split::Slices;
use crate::yaml::{Fields, Node};

/// Reads the member `refresh` of a resource.
pub(super) fn refresh(
    resource: &Fields<'_>,
    slices: &Slices,
    endpoint: Option<&Endpoint>,
    parent: Option<&Parent>,
) -> Option<Refresh> {
    let node = resource.get("refresh")?;
    if endpoint.is_some_and(|endpoint| endpoint.incremental.is_some()) {
        node.fault("goes with a resource that is read whole each time: this one has a cursor (`endpoint.incremental`)");
    }
    if let Some(parent) = parent {
        node.fault(format!(
            "goes with a resource of its own: this one is asked for by the records of `{}`",
            parent.resource
        ));
    }
    let fields = node.fields(&REFRESH)?;
    let full_every_days = fields.integer("full_every_days");
    let announced = fields.fields("announced", &ANNOUNCED).map(|fields| announced(&fields));
    let nodes = fields.list("near");
    let mut near: Vec<Near> = nodes.iter().filter_map(near_window).collect();
    if let (Some(first), None) = (nodes.first(), &slices.time) {
        first.fault("a window needs `slices.time`: the parameters that bound it");
    }
    near.sort_by_key(|near| near.ahead_days);
    if near.windows(2).any(|pair| pair[0].ahead_days == pair[1].ahead_days) {
        node.fault("two windows of `near` have the same `ahead_days`");
    }
    // If `announced` is there but cannot be read, its fault has been added.
    let announced = match announced {
        Some(announced) => Some(announced?),
        None => None,
    };
    Some(Refresh { full_every_days: full_every_days?, announced, near })
}

fn announced(fields: &Fields<'_>) -> Option<Announced> {
    let lag = fields.integer("lag");
    Some(Announced { time: time_params(fields)?, lag: lag? })
}

fn near_window(node: &Node<'_>) -> Option<Near> {
    let fields = node.fields(&NEAR)?;
    let ahead_days = fields.integer("ahead_days");
    let every_days = fields.integer("every_days");
    Some(Near { ahead_days: ahead_days?, every_days: every_days? })
}

/// Reads the member `passed_by` of a resource: the names of the columns that say when a record is past.
pub(super) fn passed_by(resource: &Fields<'_>, columns: &[Column]) -> Vec<String> {
    let Some(node) = resource.get("passed_by") else { return Vec::new() };
    let names = text_or_texts(&node).unwrap_or_default();
    for name in &names {
        match columns.iter().find(|column| column.name == *name) {
            Some(column) if !column.list && matches!(column.data_type, DataType::Timestamp | DataType::Date) => {}
            Some(column) => {
                let kind = if column.list { "list" } else { column.data_type.name() };
                node.fault(format!("`{name}` is a {kind}; it takes columns of type timestamp or date"));
            }
            None => {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                node.fault(format!("no column is named `{name}`{}", nearest(name, &names)));
            }
        }
    }
    names
}

/// Reads the member `vanished` of a resource. `disposition` is the resource's write disposition, `key_columns` the number of
/// columns of its key.
pub(super) fn vanished(
    resource: &Fields<'_>,
    columns: &[Column],
    disposition: Option<WriteDisposition>,
    key_columns: usize,
    exploded: bool,
) -> Option<Vanished> {
    let node = resource.get("vanished")?;
    if disposition.is_some_and(|disposition| disposition != WriteDisposition::Merge) {
        node.fault("goes with `write_disposition: merge` alone: it is a change of what is stored");
    }
    if exploded {
        node.fault("does not go with `explode`: a query's records are not its rows");
    }
    let fields = node.fields(&VANISHED)?;
    let column = fields.required("column")?;
    let name = column.name()?;
    if columns.iter().any(|column| column.name == name) {
        column.fault(format!("a column is named `{name}` already; choose another"));
    } else if let Some(fault) = column_name_fault(&name, columns) {
        column.fault(fault);
    }
    let confirm = match fields.get("confirm") {
        Some(node) => Some(confirm(&node, key_columns)?),
        None => None,
    };
    Some(Vanished { column: name, confirm })
}

fn confirm(node: &Node<'_>, key_columns: usize) -> Option<Confirm> {
    if key_columns != 1 {
        node.fault("needs a `primary_key` of one column: its values go into one parameter");
    }
    let fields = node.fields(&CONFIRM)?;
    let most = fields.integer("most");
    Some(Confirm {
        param: fields.text("param")?,
        most: usize::try_from(most?).ok()?,
        params: scalar_texts(&fields, "params"),
    })
}

#[cfg(test)]
mod tests;
