//! The keys of dlt that a manifest cannot have, and what to write instead.

/// Keys of dlt that are refused, with a hint.
#[derive(Clone, Copy, Debug)]
pub struct RefusedKeys {
    /// The names of the keys.
    pub names: &'static [&'static str],
    /// The mapping in which dlt has the keys.
    pub mapping: &'static str,
    /// Why the keys are refused, and what to do instead: a fault's message, which begins with a verb.
    pub reason: &'static str,
}

/// Every key of dlt that is refused with a hint. The hint is given in whatever mapping the key stands, unless the mapping has a key
/// of that name.
pub const REFUSED: &[RefusedKeys] = &[
    RefusedKeys {
        names: &["processing_steps"],
        mapping: "resource",
        reason: "holds Python functions; take what you need with `columns.<name>.path`",
    },
    RefusedKeys {
        names: &["convert", "transform"],
        mapping: "incremental",
        reason: "is a Python function; say how instants are written with `format`: rfc3339, date, epoch or epoch_ms",
    },
    RefusedKeys {
        names: &["session"],
        mapping: "client",
        reason: "is a Python object; see `attempts` and `request_timeout` of the request",
    },
    RefusedKeys {
        names: &["table_name"],
        mapping: "resource",
        reason: "is not supported: a table is named as its resource; rename the resource",
    },
    RefusedKeys {
        names: &["merge_key"],
        mapping: "resource",
        reason: "is not supported: rows are told apart by `primary_key` alone",
    },
    RefusedKeys {
        names: &["schema_contract"],
        mapping: "resource",
        reason: "is not supported: a value that does not fit its column is kept in `_issues`, an unknown field in `_extra`",
    },
    RefusedKeys {
        names: &["table_format", "file_format"],
        mapping: "resource",
        reason: "is not a resource's: the request says `format`, parquet or json",
    },
    RefusedKeys {
        names: &["max_table_nesting", "nested_hints"],
        mapping: "resource",
        reason: "is not supported: a nested value is a column of data_type json, or of its own `path`",
    },
    RefusedKeys {
        names: &["references", "parent_table_name"],
        mapping: "resource",
        reason: "is not supported: say `include_from_parent` to keep a parent's fields",
    },
];

/// The reason for which dlt's key `name` is refused; `None` if it is no such key.
pub fn refusal(name: &str) -> Option<&'static str> {
    REFUSED.iter().find(|keys| keys.names.contains(&name)).map(|keys| keys.reason)
}
