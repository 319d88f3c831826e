//! `refresh`, `passed_by`, `vanished`: how a resource is kept up to date, and what becomes of records that the API has no more.

use super::slices::time_params;
use super::table::OWN_COLUMNS;
use super::values::{identifier, strings, texts};
use crate::yaml::{Fields, Node};
use crate::{
    Announced, Column, Confirm, DataType, Endpoint, Near, Parent, Refresh, Slices, Vanished, WriteDisposition, nearest,
};

/// The longest span, in days.
const MOST_DAYS: u64 = 3660;

pub(super) fn refresh(
    fields: &Fields<'_>,
    slices: &Slices,
    endpoint: Option<&Endpoint>,
    parent: Option<&Parent>,
) -> Option<Refresh> {
    let node = fields.get("refresh").filter(|node| !node.is_null())?;
    if endpoint.is_some_and(|endpoint| endpoint.incremental.is_some()) {
        node.fault("goes with a resource that is read whole each time: this one has a cursor (`endpoint.incremental`)");
    }
    if let Some(parent) = parent {
        node.fault(format!(
            "goes with a resource of its own: this one is asked for by the records of `{}`",
            parent.resource
        ));
    }
    let fields = node.fields()?;
    fields.only(&["full_every_days", "announced", "near"]);
    let full_every_days = fields.required("full_every_days").and_then(|node| days(&node));
    let announced = fields.fields("announced").map(|fields| announced(&fields));
    let nodes = fields.get("near").and_then(|node| node.list()).unwrap_or_default();
    let mut near: Vec<Near> = nodes.iter().filter_map(near_window).collect();
    if let (Some(first), None) = (nodes.first(), &slices.time) {
        first.fault("a window needs `slices.time`: the parameters that bound it");
    }
    near.sort_by_key(|near| near.ahead_days);
    if near.windows(2).any(|pair| pair[0].ahead_days == pair[1].ahead_days) {
        node.fault("two windows of `near` have the same `ahead_days`");
    }
    // A declared part that does not parse is a fault already.
    let announced = match announced {
        Some(announced) => Some(announced?),
        None => None,
    };
    Some(Refresh { full_every_days: full_every_days?, announced, near })
}

fn announced(fields: &Fields<'_>) -> Option<Announced> {
    let lag = fields.get("lag").map_or(Some(0), |node| node.integer(0..=366 * 86_400));
    Some(Announced { time: time_params(fields, &["lag"])?, lag: lag? })
}

fn near_window(node: &Node<'_>) -> Option<Near> {
    let fields = node.fields()?;
    fields.only(&["ahead_days", "every_days"]);
    let ahead_days = fields.required("ahead_days").and_then(|node| days(&node));
    let every_days = fields.required("every_days").and_then(|node| days(&node));
    Some(Near { ahead_days: ahead_days?, every_days: every_days? })
}

fn days(node: &Node<'_>) -> Option<u64> {
    node.integer(1..=MOST_DAYS)
}

/// The columns that say when a record is past: the first that has a value.
pub(super) fn passed_by(fields: &Fields<'_>, columns: &[Column]) -> Vec<String> {
    let Some(node) = fields.get("passed_by").filter(|node| !node.is_null()) else { return Vec::new() };
    let names = strings(&node).unwrap_or_default();
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

/// What becomes of a record that is missing. `merged` says what a stored key means for the record that comes, `keys` of how many columns a
/// key is.
pub(super) fn vanished(
    fields: &Fields<'_>,
    columns: &[Column],
    merged: Option<WriteDisposition>,
    keys: usize,
    exploded: bool,
) -> Option<Vanished> {
    let node = fields.get("vanished").filter(|node| !node.is_null())?;
    if merged.is_some_and(|merged| merged != WriteDisposition::Merge) {
        node.fault("goes with `write_disposition: merge` alone: it is a change of what is stored");
    }
    if exploded {
        node.fault("does not go with `explode`: a query's records are not its rows");
    }
    let fields = node.fields()?;
    fields.only(&["column", "confirm"]);
    let column = fields.required("column")?;
    let name = identifier(&column)?;
    if columns.iter().any(|column| column.name == name) || OWN_COLUMNS.contains(&name.as_str()) {
        column.fault(format!("a column is named `{name}` already; choose another"));
    }
    let confirm = match fields.get("confirm").filter(|node| !node.is_null()) {
        Some(node) => Some(confirm(&node, keys)?),
        None => None,
    };
    Some(Vanished { column: name, confirm })
}

fn confirm(node: &Node<'_>, keys: usize) -> Option<Confirm> {
    if keys != 1 {
        node.fault("needs a `primary_key` of one column: its values go into one parameter");
    }
    let fields = node.fields()?;
    fields.only(&["param", "most", "params"]);
    let most = fields.required("most").and_then(|node| node.integer(2..=1000));
    Some(Confirm {
        param: fields.required("param")?.text()?,
        most: usize::try_from(most?).ok()?,
        params: texts(&fields, "params"),
    })
}

#[cfg(test)]
mod tests;
