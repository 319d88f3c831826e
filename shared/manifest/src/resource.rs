//! A resource: one list of an API, and the table that it fills.

use crate::{Column, Endpoint, JsonPath, PartitionField, Refresh, Slices, Vanished};

/// A part's size where the manifest gives none: large enough for few objects, small enough to be rewritten whole.
pub const PART_BYTES: usize = 32 << 20;

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
