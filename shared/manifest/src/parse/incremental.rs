//! `incremental`: how a run continues where the runs before it ended.

use serde_json::Value;

use crate::column::{Column, DataType};
use crate::cursor::{Cursor, CursorFormat, CursorKind};
use crate::incremental::{CursorMissing, Incremental, RowOrder};
use crate::keys::incremental::INCREMENTAL;
use crate::yaml::Node;

const SECONDS_PER_DAY: u64 = 86_400;

/// Reads `incremental`. If `initial_value` does not say whether the cursor is a number, the column in `columns` does.
pub(super) fn incremental(node: &Node<'_>, columns: &[Column]) -> Option<Incremental> {
    let fields = node.fields(&INCREMENTAL)?;
    let cursor_path = fields.json_path("cursor_path")?;
    let data_type = columns.iter().find(|column| column.path == cursor_path).map(|column| column.data_type);
    let initial_value = fields.get("initial_value").as_ref().and_then(Node::json);
    let kind = match (&initial_value, data_type) {
        (Some(Value::Number(_)), _) | (None, Some(DataType::Bigint)) => CursorKind::Number,
        _ => CursorKind::Instant,
    };
    let bound = |name: &str| {
        let node = fields.get(name)?;
        let cursor = node.json().and_then(|value| Cursor::from_value(&value, kind));
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
    // As in dlt, the lag of a day is a number of days.
    let lag_unit = if data_type == Some(DataType::Date) { SECONDS_PER_DAY } else { 1 };
    let lag = fields.integer("lag")?;
    Some(Incremental {
        kind,
        initial_value: bound("initial_value"),
        end_value: bound("end_value"),
        lag: lag * lag_unit,
        missing: fields.one_of("on_cursor_value_missing", &MISSING)?,
        row_order: match fields.get("row_order") {
            Some(node) => Some(node.one_of(&[("asc", RowOrder::Asc), ("desc", RowOrder::Desc)])?),
            None => None,
        },
        descending: fields.one_of("last_value_func", &[("max", false), ("min", true)])?,
        format: fields.one_of("format", &FORMATS)?,
        start_param: fields.text("start_param"),
        end_param: fields.text("end_param"),
        cursor_path,
    })
}

const MISSING: [(&str, CursorMissing); 3] =
    [("raise", CursorMissing::Raise), ("include", CursorMissing::Include), ("exclude", CursorMissing::Exclude)];

/// How a request writes an instant. dlt has the function `convert` for it.
const FORMATS: [(&str, CursorFormat); 4] = [
    ("rfc3339", CursorFormat::Rfc3339),
    ("date", CursorFormat::Date),
    ("epoch", CursorFormat::Epoch),
    ("epoch_ms", CursorFormat::EpochMs),
];
