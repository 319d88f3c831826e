//! The keys of `incremental`: how a run continues where the runs before it ended.

use super::key::DefaultValue::{Described, Integer as Number, Text as Literal};
use super::key::Type::{AnyOf, Boolean, Integer, List, OneOf, Path, Scalar, Text};
use super::key::{Key, Mapping};

/// How a run continues where the runs before it ended.
pub static INCREMENTAL: Mapping = Mapping {
    name: "incremental",
    title: "`incremental`",
    description: "A field of the records, the cursor, tells how far a resource has been read, so that a run requests only records at or \
                  after the end of the runs before it. `{incremental.start_value}` and `{incremental.end_value}` stand for the ends of \
                  the range, `{incremental.initial_value}` for the key below, and `{incremental.last_value}` for `start_value`.",
    keys: &[
        Key::dlt("cursor_path", Path, "Where a record holds the cursor: an instant, a day or a whole number.").required(),
        Key::dlt(
            "initial_value",
            Scalar,
            "Where the first run begins: `YYYY-MM-DD`, RFC 3339 or a whole number. A number makes the cursor a number, and so does a `bigint` column if this key is absent.",
        )
        .or(Described("the API's first record"))
        .nullable(),
        Key::dlt(
            "end_value",
            Scalar,
            "Where every run ends, in the form of `initial_value`. With it, the next run begins at the same place again.",
        )
        .or(Described("open"))
        .nullable(),
        Key::dlt(
            "lag",
            Integer { min: 0, max: 366 * 86_400 },
            "How far before the end of the previous run a run begins, for records that change after they appear. The unit is a second for \
             instants, a day for a `date` column, and 1 for numbers.",
        )
        .or(Number(0))
        .nullable(),
        Key::dlt(
            "on_cursor_value_missing",
            OneOf(&["raise", "include", "exclude"]),
            "What happens to a record without a cursor. `raise` ends the run with an error, `include` stores the record, `exclude` skips \
             and counts it.",
        )
        .or(Literal("raise"))
        .nullable(),
        Key::dlt(
            "row_order",
            OneOf(&["asc", "desc"]),
            "The order of the API's records by cursor, if it has one: `asc` has the least cursor first. Reading then stops at the end of \
             the range, also if the API has no parameter for it.",
        )
        .nullable(),
        Key::dlt(
            "last_value_func",
            OneOf(&["max", "min"]),
            "Which cursor the next run begins at: the greatest one, or the least one if runs go backwards.",
        )
        .or(Literal("max"))
        .nullable(),
        Key::ours(
            "format",
            OneOf(&["rfc3339", "date", "epoch", "epoch_ms"]),
            "How a request writes an instant: `2026-11-21T10:00:00Z`, `2026-11-21`, seconds since 1970 or milliseconds since 1970.",
        )
        .or(Literal("rfc3339"))
        .nullable(),
        Key::dlt(
            "start_param",
            Text,
            "The query parameter that takes the start of the range, if no placeholder does. dlt calls it deprecated.",
        )
        .nullable(),
        Key::dlt(
            "end_param",
            Text,
            "The query parameter that takes the end of the range, if no placeholder does. dlt calls it deprecated.",
        )
        .nullable(),
        Key::dlt(
            "primary_key",
            AnyOf(&[Text, List(&Text)]),
            "In dlt, the key that tells records with the same cursor apart. Here the `primary_key` of the resource does.",
        )
        .nullable()
        .ignored(),
        Key::dlt(
            "range_start",
            OneOf(&["closed", "open"]),
            "In dlt, whether the start of the range belongs to it. Here it always does.",
        )
        .nullable()
        .ignored(),
        Key::dlt(
            "range_end",
            OneOf(&["closed", "open"]),
            "In dlt, whether the end of the range belongs to it. Here it always does.",
        )
        .nullable()
        .ignored(),
        Key::dlt(
            "allow_external_schedulers",
            Boolean,
            "In dlt, whether Airflow sets the range. Only `false` is accepted: `--from` and `--to` set the range.",
        ),
        Key {
            description: "Only `incremental` as a parameter, dlt's older form, needs it.",
            ..Key::type_of(&["incremental"])
        },
    ],
};
