//! The columns of a resource's table, and how its rows are partitioned.

use std::fmt;

use crate::path::JsonPath;

/// A column of the stored table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name of the column in the stored file.
    pub name: String,
    /// Where a record holds the value.
    pub path: JsonPath,
    /// The type of the value, or of each value of a list.
    pub data_type: DataType,
    /// Whether the column is a list of values of that type.
    pub list: bool,
    /// Whether a change of this value alone is no change of the record, as for counters and copies of other records.
    pub volatile: bool,
    /// Whether only the history has the column, and not the table itself.
    pub history_only: bool,
    /// A text that says what the column means.
    pub description: Option<String>,
}

/// The type of a column, with dlt's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// UTF-8 text.
    Text,
    /// A 64-bit floating-point number.
    Double,
    /// True or false.
    Bool,
    /// An instant in UTC, in microseconds.
    Timestamp,
    /// A day.
    Date,
    /// A 64-bit signed integer.
    Bigint,
    /// A decimal number of 38 digits, 9 of them after the point, as is dlt's default.
    Decimal,
    /// Any JSON value, as its compact text with sorted keys.
    Json,
}

impl DataType {
    /// All types.
    pub const ALL: [Self; 8] =
        [Self::Text, Self::Double, Self::Bool, Self::Timestamp, Self::Date, Self::Bigint, Self::Decimal, Self::Json];

    /// Finds the type with dlt's name `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|data_type| data_type.name() == name)
    }

    /// dlt's name of the type.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Double => "double",
            Self::Bool => "bool",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Bigint => "bigint",
            Self::Decimal => "decimal",
            Self::Json => "json",
        }
    }
}

/// One level of partitions. Its value must never change for a record's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionField {
    /// The name before the `=` of a folder's name.
    pub name: String,
    /// The column that the value is computed from.
    pub from: String,
    /// How the value is computed.
    pub transform: Transform,
}

/// A partition transform, as Iceberg defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// The value itself.
    Identity,
    /// The year in UTC: `2026`.
    Year,
    /// The month in UTC: `2026-11`.
    Month,
    /// The day in UTC: `2026-11-21`.
    Day,
    /// The hour in UTC: `2026-11-21-03`.
    Hour,
    /// The 32-bit Murmur3 hash of the value, modulo this number (Iceberg's table specification, appendix B).
    Bucket(u32),
}

impl fmt::Display for Transform {
    /// Writes the transform as a manifest does: `bucket[8]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Year => f.write_str("year"),
            Self::Month => f.write_str("month"),
            Self::Day => f.write_str("day"),
            Self::Hour => f.write_str("hour"),
            Self::Bucket(count) => write!(f, "bucket[{count}]"),
        }
    }
}
