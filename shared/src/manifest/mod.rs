//! What an API looks like, as data: dlt's `rest_api` vocabulary and ticketlake's own keys.
//!
//! A manifest is read whole and checked whole before the first request ([`Manifest::parse`]): every fault at once, each
//! with its place. Built-in manifests lie in `shared/sources`; [`catalog`] finds them and a user's own.

pub mod catalog;
mod parse;
pub mod path;
mod rate;
pub mod template;
mod yaml;

use std::collections::BTreeMap;

pub use path::JsonPath;
pub use rate::{Rate, Window};
pub use template::Template;
pub(crate) use yaml::nearest;

use crate::time::Instant;

/// A part's size where the manifest gives none: large enough for few objects, small enough to be rewritten whole.
pub const PART_BYTES: usize = 32 << 20;

/// A source: one API, its address, its key and its resources.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The source's name: `--source`, the first folder of the lake.
    pub name: String,
    /// Where and how it is reached.
    pub client: Client,
    /// What can be read from it.
    pub resources: Vec<Resource>,
}

impl Manifest {
    /// The resource called `name`.
    pub fn resource(&self, name: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.name == name)
    }
}

/// How an API is reached.
#[derive(Clone, Debug)]
pub struct Client {
    /// The address that paths are appended to, without a closing `/`.
    pub base_url: String,
    /// Sent with every request.
    pub headers: BTreeMap<String, String>,
    /// How the key is sent; `None`: no key.
    pub auth: Option<Auth>,
    /// How much the API allows.
    pub rate: Rate,
}

/// How an API's key is sent. The key itself is only named: see [`crate::secret`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The secret's name, as in `{"$secret": "api_key"}`.
    pub secret: String,
    /// Where it goes.
    pub placement: KeyPlacement,
}

/// Where an API's key goes in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlacement {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// The header of this name.
    Header(String),
    /// The query parameter of this name.
    Query(String),
}

/// One kind of record of a source: a table of the lake.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its name: `--resource`, the second folder of the lake.
    pub name: String,
    /// How it is asked for.
    pub endpoint: Endpoint,
    /// The columns that identify a record; never empty.
    pub primary_key: Vec<String>,
    /// What happens to a record whose key is stored already.
    pub write_disposition: WriteDisposition,
    /// In the order of the stored file, the primary key's among them.
    pub columns: Vec<Column>,
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
}

/// What happens to a record whose key is stored already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteDisposition {
    /// The first version stays.
    Append,
    /// A changed record replaces the stored one (dlt's `merge`, strategy `upsert`).
    Merge,
}

/// How a resource is asked for.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Appended to the base URL, without an opening `/`.
    pub path: String,
    /// The HTTP method.
    pub method: Method,
    /// Query parameters.
    pub params: BTreeMap<String, Template>,
    /// The JSON body.
    pub json: Option<Template>,
    /// Headers beside the client's.
    pub headers: BTreeMap<String, String>,
    /// Where the records lie in the answer.
    pub data_selector: JsonPath,
    /// How the next page is asked for.
    pub paginator: Paginator,
    /// Where the answer says how many records the query has.
    pub total_path: Option<JsonPath>,
    /// Records that the API serves of one query, whatever its total.
    pub depth_limit: Option<u64>,
    /// How a run goes on from the last one.
    pub incremental: Option<Incremental>,
    /// What `--param` accepts, by name.
    pub filters: BTreeMap<String, Filter>,
}

/// The HTTP method of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// POST, for the reports that take their query as a body.
    Post,
}

impl Method {
    /// As it stands in a request line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// How the next page is asked for (dlt's names).
#[derive(Clone, Debug, PartialEq)]
pub enum Paginator {
    /// One request has everything.
    SinglePage,
    /// By the number of records before it; advances by what was received.
    Offset {
        /// Records asked for.
        limit: u64,
        /// The first offset.
        offset: u64,
        /// Where the offset goes.
        offset_place: Place,
        /// Where the limit goes.
        limit_place: Place,
        /// Where the answer says how many records there are.
        total_path: Option<JsonPath>,
    },
    /// By its number.
    PageNumber {
        /// The number of the first page.
        base_page: u64,
        /// Where the number goes.
        page_place: Place,
        /// Where the answer says how many pages there are.
        total_path: Option<JsonPath>,
    },
}

/// Where a value goes in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The query parameter of this name.
    Query(String),
    /// The member of the JSON body at this dotted path.
    Body(String),
}

/// How a run goes on from the last one: records at or after a cursor's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Incremental {
    /// Where a record's instant lies. Read with [`crate::time::parse_instant`].
    pub cursor_path: JsonPath,
    /// Where the first run begins; `None`: at the API's first record.
    pub initial_value: Option<Instant>,
    /// Seconds before the watermark that are read again, for records that change after they appear.
    pub lag: u64,
}

/// A condition that a user may add with `--param NAME=VALUE`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Whether the value is a comma-separated list.
    pub list: bool,
    /// Query parameters it adds; empty and no body: the parameter of its own name.
    pub params: BTreeMap<String, Template>,
    /// What it adds to the JSON body.
    pub json: Option<Template>,
}

/// How a resource's query is cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slices {
    /// The parameters that bound the query in time, both ends inclusive.
    pub time: Option<TimeParams>,
    /// Queries beside the dated one, for records that no dated window holds: their extra parameters.
    pub undated: Vec<BTreeMap<String, String>>,
}

/// The query parameters that bound a query in time, both ends inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeParams {
    /// The lower end's name.
    pub start_param: String,
    /// The upper end's name.
    pub end_param: String,
}

/// One step down when a record is exploded.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// The name under which this level's object stands in the row's record.
    pub name: String,
    /// From the level above (the record, for the first).
    pub path: JsonPath,
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
