//! How a query that is deeper than the API serves is split: by time, and by its other parameters.

use std::collections::BTreeMap;

use crate::JsonPath;

/// How a resource's query is cut where it is deeper than the API serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slices {
    /// By time, both ends inclusive.
    pub time: Option<TimeParams>,
    /// Queries beside the dated one, for records that no dated window holds.
    pub undated: Vec<Undated>,
    /// By other parameters, in order, where time does not cut it or a single moment is too deep.
    pub then: Vec<SplitParam>,
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

impl TimeParams {
    /// The time that is bounded by one parameter for each end.
    pub fn pair(start_param: &str, end_param: &str) -> Self {
        Self { ends: TimeEnds::Pair { start_param: start_param.into(), end_param: end_param.into() }, path: None }
    }
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

/// A parameter that a query can be cut by.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitParam {
    /// Its name.
    pub param: String,
    /// What it takes.
    pub by: SplitBy,
}

/// What a parameter that a query is cut by takes.
#[derive(Clone, Debug, PartialEq)]
pub enum SplitBy {
    /// Values that records have: one query for each, or for several.
    Values(Values),
    /// Circles on the map.
    Cells(Cells),
}

/// The values of a parameter: those seen in the query's first page, those stored, those listed; as many as it takes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// Where a record's value lies; `None`: records do not tell it.
    pub path: Option<JsonPath>,
    /// Whether one query takes several values, with commas.
    pub several: bool,
    /// A stored table that has values.
    pub from: Option<ValuesFrom>,
    /// Values that are known without any record.
    pub listed: Vec<String>,
    /// What a value has before it to leave its records out: one query then brings what no known value does.
    pub exclude: Option<String>,
}

/// A column of a stored table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesFrom {
    /// The resource whose table it is.
    pub resource: String,
    /// The column.
    pub column: String,
}

/// Geohash cells: the parameter takes a cell's name, and the API finds what lies in a circle around the cell's middle.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// Where a record's latitude lies, in degrees.
    pub latitude: JsonPath,
    /// Where its longitude lies, in degrees.
    pub longitude: JsonPath,
    /// The parameter of the circle's radius, a whole number.
    pub radius_param: String,
    /// What the radius is counted in.
    pub unit: Unit,
    /// Parameters that each such query needs beside these: what tells the API the unit.
    pub params: BTreeMap<String, String>,
    /// The longest name of a cell, 1 to 9 letters: the smallest circle.
    pub precision: usize,
}

/// A unit of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1,000 metres.
    Kilometre,
    /// 1,609.344 metres.
    Mile,
}

impl Unit {
    /// Its length in metres.
    pub fn metres(self) -> f64 {
        match self {
            Self::Kilometre => 1_000.0,
            Self::Mile => 1_609.344,
        }
    }
}
