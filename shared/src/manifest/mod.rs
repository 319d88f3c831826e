//! What an API looks like, as data: dlt's `rest_api` vocabulary and ticketlake's own keys.
//!
//! A manifest is read whole and checked whole before the first request ([`Manifest::parse`]): every fault at once, each
//! with its place. Built-in manifests lie in `shared/sources`; [`catalog`] finds them and a user's own.

pub mod catalog;
mod check;
mod client;
mod configure;
mod cut;
mod endpoint;
mod parse;
pub mod path;
mod rate;
mod refresh;
pub mod template;
mod yaml;

use std::collections::BTreeMap;

pub use check::{Form, ValueCheck};
pub use client::{Auth, Client, ClientCredentials, Credential, KeyPlacement, Setting};
pub use cut::{By, Cells, Cut, Unit, Values, ValuesFrom};
pub use endpoint::{
    Action, BodyTemplate, CursorFormat, CursorKind, CursorMissing, Endpoint, Filter, Incremental, Lookup, Method,
    PageSize, Paginator, Place, RangeEnd, RangeTotal, ResponseAction, RowOrder, Total,
};
pub use path::JsonPath;
pub use rate::{Rate, Window};
pub use refresh::{Announced, Confirm, Near, Refresh, Vanished};
pub use template::Template;
pub(crate) use yaml::nearest;

/// A part's size where the manifest gives none: large enough for few objects, small enough to be rewritten whole.
pub const PART_BYTES: usize = 32 << 20;

/// A source: one API, its address, its key and its resources.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The source's name: `--source`, the first folder of the lake.
    pub name: String,
    /// Where and how it is reached.
    pub client: Client,
    /// What a user of the source may or must set, by name.
    pub settings: BTreeMap<String, Setting>,
    /// Their values, once [`Manifest::configure`] has found them.
    pub values: BTreeMap<String, String>,
    /// What can be read from it.
    pub resources: Vec<Resource>,
}

impl Manifest {
    /// The resource called `name`.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.name == name)
    }
}

/// One kind of record of a source: a table of the lake.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its name: `--resource`, the second folder of the lake.
    pub name: String,
    /// How it is asked for.
    pub endpoint: Endpoint,
    /// The columns that identify a record; never empty: [`RECORD_KEY`] where the manifest names none.
    pub primary_key: Vec<String>,
    /// The resource whose records this one is asked for by, if there is one.
    pub parent: Option<Parent>,
    /// What happens to a record whose key is stored already.
    pub write_disposition: WriteDisposition,
    /// In the order of the stored file, the primary key's among them.
    pub columns: Vec<Column>,
    /// Whether further columns are found in the records: where the manifest declares none.
    pub infer_columns: bool,
    /// The folders' levels, outermost first; empty: one folder.
    pub partition: Vec<PartitionField>,
    /// Whether every version seen is kept, not only the latest.
    pub history: bool,
    /// The size at which a part takes no more rows, in bytes as stored.
    pub part_bytes: usize,
    /// How a query is cut into slices.
    pub slices: Slices,
    /// One record into many rows; each entry is one way down, applied when its first level is there.
    pub explode: Vec<Vec<Level>>,
    /// Records of other resources that lie inside this one's.
    pub harvest: Vec<Harvest>,
    /// How it is kept up to date, where the API has no filter for what was changed.
    pub refresh: Option<Refresh>,
    /// The columns that say when a record is past, the first that has a value: from then on the API need not have it, and retention
    /// counts from there.
    pub passed_by: Vec<String>,
    /// What becomes of a stored record that the API has no more; `None`: nothing is known of it.
    pub vanished: Option<Vanished>,
    /// Whether `--resource all` reads it (dlt's `selected`).
    pub selected: bool,
    /// What the manifest left open and how it was understood, for the log.
    pub notes: Vec<String>,
}

/// The column of records that no primary key tells apart: a 128-bit hash of the whole record.
pub const RECORD_KEY: &str = "_key";

/// How a resource depends on another: it is asked for once for each of its records, or for a batch of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The other resource's name.
    pub resource: String,
    /// The fields of its records that fill placeholders, as paths.
    pub fields: Vec<String>,
    /// The fields of its records that each row keeps, as `_<parent>_<field>`.
    pub include: Vec<String>,
    /// So many of its records in one query; `None`: one query for each.
    pub batch: Option<usize>,
}

impl Parent {
    /// The column of an included field.
    pub fn column(&self, field: &str) -> String {
        format!("_{}_{field}", self.resource)
    }
}

/// What happens to a record whose key is stored already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteDisposition {
    /// The first version stays.
    Append,
    /// A changed record replaces the stored one (dlt's `merge`, strategy `upsert`).
    Merge,
    /// As `Merge`; and after a complete reading, what was not in it is taken out.
    Replace,
}

/// How a resource's query is cut where it is deeper than the API serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slices {
    /// By time, both ends inclusive.
    pub time: Option<TimeParams>,
    /// Queries beside the dated one, for records that no dated window holds.
    pub undated: Vec<Undated>,
    /// By other parameters, in order, where time does not cut it or a single moment is too deep.
    pub then: Vec<Cut>,
    /// The parameters that turn the order round: from both of its ends a query gives twice the depth. Empty: there are none.
    pub reverse: BTreeMap<String, String>,
    /// The parameters that give records in no order: the first page of one by name says nothing of the others. Empty: there are none.
    pub sample: BTreeMap<String, String>,
}

/// The query parameters that bound a query in time, both ends inclusive.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeParams {
    /// How the ends are given.
    pub ends: TimeEnds,
    /// Where a record's own time lies, in seconds: what the next window's size is predicted from.
    pub path: Option<JsonPath>,
}

/// How the ends of a window are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeEnds {
    /// By a parameter each.
    Pair {
        /// The lower end's name.
        start_param: String,
        /// The upper end's name.
        end_param: String,
    },
    /// By one parameter, as `from,to`; `*` stands for an open end.
    Range {
        /// Its name.
        param: String,
    },
}

/// A query for records that no dated window holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Undated {
    /// Its extra parameters.
    pub params: BTreeMap<String, String>,
    /// The other time that it can be cut by.
    pub time: Option<TimeParams>,
}

/// Records of another resource that lie inside a record: they are stored in that resource's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Harvest {
    /// The other resource's name.
    pub resource: String,
    /// Where its records lie.
    pub path: JsonPath,
}

/// One step down when a record is exploded.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// The name under which this level's object stands in the row's record.
    pub name: String,
    /// From the level above (the record, for the first).
    pub path: JsonPath,
    /// Whether it is a row also where there are levels below it.
    pub row: bool,
}

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
