//! The columns of a resource's table, and how its rows are partitioned.

use crate::JsonPath;

/// A column of the stored table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// Where its value lies in the record.
    pub path: JsonPath,
    /// Its type.
    pub data_type: DataType,
    /// Whether it is a list of that type.
    pub list: bool,
    /// Whether a change in it alone is no change of the record: counters, copies of other entities.
    pub volatile: bool,
    /// What it means, where the name does not say it all.
    pub description: Option<String>,
}

/// A column's type, by dlt's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// UTF-8.
    Text,
    /// 64-bit floating point.
    Double,
    /// True or false.
    Bool,
    /// UTC, microseconds.
    Timestamp,
    /// A day.
    Date,
    /// 64-bit signed integer.
    Bigint,
    /// 38 digits, 9 of them after the point: dlt's default.
    Decimal,
    /// Any JSON value, as its compact text with sorted keys.
    Json,
}

impl DataType {
    /// Every type.
    pub const ALL: [Self; 8] =
        [Self::Text, Self::Double, Self::Bool, Self::Timestamp, Self::Date, Self::Bigint, Self::Decimal, Self::Json];

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|data_type| data_type.name() == name)
    }

    /// dlt's name for it.
    pub fn name(self) -> &'static str {
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

/// One level of folders: a value that a record's key never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionField {
    /// The folder's name before the `=`.
    pub name: String,
    /// The column it is computed from.
    pub from: String,
    /// How.
    pub transform: Transform,
}

/// Iceberg's partition transforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    /// The value itself.
    Identity,
    /// `2026`, in UTC.
    Year,
    /// `2026-11`, in UTC.
    Month,
    /// `2026-11-21`, in UTC.
    Day,
    /// `2026-11-21-03`, in UTC.
    Hour,
    /// 32-bit Murmur3 of the value, modulo N (Iceberg's table spec, appendix B).
    Bucket(u32),
}

impl std::fmt::Display for Transform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
