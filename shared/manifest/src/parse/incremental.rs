//! `incremental`: how a run goes on from the last one.

use serde_json::Value;

use super::values::json_path;
use crate::Cursor;
use crate::yaml::{Fields, Node};
use crate::{Column, CursorFormat, CursorKind, CursorMissing, DataType, Incremental, RowOrder};

const KEYS: [&str; 15] = [
    "cursor_path",
    "initial_value",
    "end_value",
    "lag",
    "on_cursor_value_missing",
    "row_order",
    "last_value_func",
    "format",
    "start_param",
    "end_param",
    // The merge tells rows apart by the resource's key, and reads both edges: these change nothing here.
    "primary_key",
    "range_start",
    "range_end",
    "allow_external_schedulers",
    // Of the form as a parameter.
    "type",
];

/// `columns` say whether the cursor is a number, where `initial_value` does not.
pub(super) fn incremental(node: &Node<'_>, columns: &[Column]) -> Option<Incremental> {
    let fields = node.fields()?;
    fields.only(&KEYS);
    let cursor_path = fields.required("cursor_path").and_then(|node| json_path(&node))?;
    let column = columns.iter().find(|column| column.path == cursor_path).map(|column| column.data_type);
    let initial = fields.get("initial_value").filter(|node| !node.is_null());
    let written = initial.as_ref().and_then(Node::json);
    let kind = match (&written, column) {
        (Some(Value::Number(_)), _) | (None, Some(DataType::Bigint)) => CursorKind::Number,
        _ => CursorKind::Instant,
    };
    let bound = |name: &str| {
        let node = fields.get(name).filter(|node| !node.is_null())?;
        let cursor = node.json().and_then(|value| Cursor::of(&value, kind));
        if cursor.is_none() {
            node.fault(match kind {
                CursorKind::Instant => {
                    "is no instant: use YYYY-MM-DD or RFC 3339; or a whole number, for cursors that are numbers"
                }
                CursorKind::Number => "must be a whole number, as the cursor is",
            });
        }
        cursor
    };
    if let Some(node) = fields.get("allow_external_schedulers")
        && node.boolean() == Some(true)
    {
        node.fault("there is no Airflow here: give `from` and `to` in the request");
    }
    // dlt counts the lag of a date in days.
    let unit = if column == Some(DataType::Date) { 86_400 } else { 1 };
    let lag =
        fields.get("lag").filter(|node| !node.is_null()).map_or(Some(0), |node| node.integer(0..=366 * 86_400))?;
    Some(Incremental {
        kind,
        initial_value: bound("initial_value"),
        end_value: bound("end_value"),
        lag: lag * unit,
        missing: choice(
            &fields,
            "on_cursor_value_missing",
            CursorMissing::Raise,
            &[
                ("raise", CursorMissing::Raise),
                ("include", CursorMissing::Include),
                ("exclude", CursorMissing::Exclude),
            ],
        )?,
        row_order: match fields.get("row_order").filter(|node| !node.is_null()) {
            Some(node) => Some(node.one_of(&[("asc", RowOrder::Asc), ("desc", RowOrder::Desc)])?),
            None => None,
        },
        descending: choice(&fields, "last_value_func", false, &[("max", false), ("min", true)])?,
        format: choice(&fields, "format", CursorFormat::Rfc3339, &FORMATS)?,
        params: (text(&fields, "start_param"), text(&fields, "end_param")),
        cursor_path,
    })
}

/// How instants are written; dlt's `convert`, as data.
const FORMATS: [(&str, CursorFormat); 4] = [
    ("rfc3339", CursorFormat::Rfc3339),
    ("date", CursorFormat::Date),
    ("epoch", CursorFormat::Epoch),
    ("epoch_ms", CursorFormat::EpochMs),
];

fn choice<T: Copy>(fields: &Fields<'_>, name: &str, default: T, choices: &[(&str, T)]) -> Option<T> {
    fields.get(name).filter(|node| !node.is_null()).map_or(Some(default), |node| node.one_of(choices))
}

fn text(fields: &Fields<'_>, name: &str) -> Option<String> {
    fields.get(name).filter(|node| !node.is_null()).and_then(|node| node.text())
}
