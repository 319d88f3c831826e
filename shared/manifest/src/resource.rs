//! A resource: one list of an API, and the table that it fills.

use crate::column::{Column, PartitionField};
use crate::endpoint::Endpoint;
use crate::path::JsonPath;
use crate::refresh::{Refresh, Vanished};
use crate::split::Slices;

/// The size in bytes at which a part takes no more rows, if the manifest gives none. It is large enough for few objects, and small
/// enough for a part to be written anew.
pub const PART_BYTES: usize = 32 << 20;

/// The greatest share of records that may be rejected, if the manifest gives none.
pub const REJECTED_MAX: f64 = 0.01;

/// One list of an API, and the table that it fills.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The name of the resource: the value of `--resource`, and the second folder in the lake.
    pub name: String,
    /// The request for the records.
    pub endpoint: Endpoint,
    /// The names of the columns that identify a record. It is never empty: without a key in the manifest, it is [`RECORD_KEY`].
    pub primary_key: Vec<String>,
    /// The resource whose records this one's queries are for; `None` if the resource has no parent.
    pub parent: Option<Parent>,
    /// What happens to a record whose key is stored already.
    pub write_disposition: WriteDisposition,
    /// The columns in the order of the stored file. Those of the primary key are among them.
    pub columns: Vec<Column>,
    /// Whether further columns are found in the records, because the manifest declares none.
    pub infer_columns: bool,
    /// The greatest share of records that may be rejected, from 0 to 1.
    pub rejected_max: f64,
    /// The levels of partitions, the outermost folder first. If it is empty, the table has one partition.
    pub partition: Vec<PartitionField>,
    /// Whether every version of a row is kept, not only the latest.
    pub history: bool,
    /// The size in bytes, as stored, at which a part takes no more rows.
    pub part_bytes: usize,
    /// How a query is split that has more records than the API serves.
    pub slices: Slices,
    /// How a record that is a tree becomes several rows: lists of levels from the root down. The first list is used whose first level
    /// the record has. If it is empty, a record is one row.
    pub explode: Vec<Vec<Level>>,
    /// The records of other resources that lie inside the records of this one.
    pub harvest: Vec<Harvest>,
    /// How the resource is kept up to date if the API has no filter for changed records.
    pub refresh: Option<Refresh>,
    /// The columns that say when a record is past: the first that has a value. After that time the API need not have the record, and
    /// retention counts from it.
    pub passed_by: Vec<String>,
    /// How a row is marked whose record the API no longer has. If it is `None`, such a row stays as it is.
    pub vanished: Option<Vanished>,
    /// Whether `--resource all` reads the resource (dlt's `selected`).
    pub selected: bool,
    /// How parts of the manifest were understood that it leaves open, for the log.
    pub notes: Vec<String>,
}

/// The name of the key column of a resource without a primary key. Its value is a 128-bit hash of the whole record.
pub const RECORD_KEY: &str = "_key";

/// The resource that another one depends on: there is a query for each of its records, or for each batch of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The name of the parent.
    pub resource: String,
    /// The fields of the parent's records that placeholders take, each as a JSONPath.
    pub fields: Vec<String>,
    /// The fields of the parent's records that each row keeps in the columns [`Parent::column`], each as a JSONPath.
    pub include: Vec<String>,
    /// The number of the parent's records in one query; `None` means that there is one query for each record.
    pub batch: Option<usize>,
}

impl Parent {
    /// The name of the column that keeps `field` of the parent's record: `_<parent>_<field>`.
    pub fn column(&self, field: &str) -> String {
        format!("_{}_{field}", self.resource)
    }
}

/// What happens to a record whose key is stored already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteDisposition {
    /// The first version of a record stays.
    Append,
    /// A changed record replaces the stored one (dlt's `merge` with the strategy `upsert`).
    Merge,
    /// A changed record replaces the stored one, and a proven full read removes the rows that it did not see.
    Replace,
}

/// Records of another resource that lie inside a record. They are stored in that resource's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Harvest {
    /// The name of the other resource.
    pub resource: String,
    /// Where a record holds the records of the other resource.
    pub path: JsonPath,
}

/// One level of a record that is a tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// The name under which the row's record holds the object of this level.
    pub name: String,
    /// Where the level above holds the objects of this level. The first level lies in the record.
    pub path: JsonPath,
    /// Whether an object of this level is a row also if there are levels below it.
    pub row: bool,
}
