//! How a query is split that has more records than the API serves: by time, and by its other parameters.

use std::collections::BTreeMap;

use crate::path::JsonPath;

/// How a resource's query is split if it has more records than the API serves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slices {
    /// The query parameters that bound the records' time.
    pub time: Option<TimeParams>,
    /// The queries for records that no time window finds. They are read beside the query that is split by time.
    pub undated: Vec<Undated>,
    /// The further parameters to split by, in order, if there is no time or if a single moment has too many records.
    pub then: Vec<SplitParam>,
    /// The query parameters that turn the order of the records round, so that a query can be read from both ends. If it is empty, there
    /// are none.
    pub reverse: BTreeMap<String, String>,
    /// The query parameters that give the records in no order, so that the first page shows values from all over the query. If it is
    /// empty, there are none.
    pub sample: BTreeMap<String, String>,
}

/// The query parameters that bound a query in time.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeParams {
    /// The parameters that take the ends of the time window.
    pub ends: TimeEnds,
    /// Where a record holds its time. From it the width of the next time window is estimated.
    pub path: Option<JsonPath>,
    /// Whether both ends belong to the time window and the API compares whole seconds.
    pub whole_seconds: bool,
}

impl TimeParams {
    /// The number of seconds by which a query reaches beyond its window on each side. APIs include the ends of a window or exclude them, and
    /// some compare parts of a second: consecutive windows overlap, so that no record lies between them.
    pub fn overlap_seconds(&self) -> i64 {
        i64::from(!self.whole_seconds)
    }

    /// The query parameters `start_param` and `end_param`, one for each end.
    pub fn pair(start_param: &str, end_param: &str) -> Self {
        Self {
            ends: TimeEnds::Pair { start_param: start_param.into(), end_param: end_param.into() },
            path: None,
            whole_seconds: false,
        }
    }
}

/// The query parameters that take the ends of a time window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeEnds {
    /// There is one parameter for each end.
    Pair {
        /// The name of the parameter that takes the start.
        start_param: String,
        /// The name of the parameter that takes the end.
        end_param: String,
    },
    /// One parameter takes both ends as `from,to`, with `*` for an open end.
    Range {
        /// The name of the parameter.
        param: String,
    },
}

/// A query for records that no time window finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Undated {
    /// The query parameters that make the API show such records, by name.
    pub params: BTreeMap<String, String>,
    /// Another time that this query can be split by.
    pub time: Option<TimeParams>,
}

/// A query parameter that a query can be split by.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitParam {
    /// The name of the parameter.
    pub param: String,
    /// The values that the parameter takes.
    pub by: SplitBy,
}

/// The values of a parameter that a query is split by.
#[derive(Clone, Debug, PartialEq)]
pub enum SplitBy {
    /// Values that records have. There is a subquery for each value, or for several.
    Values(Values),
    /// Circles on the map. There is a subquery for each circle.
    Cells(Cells),
}

/// The values of a parameter: those of the first page's records, those of a stored column, and those listed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// Where a record holds the value; `None` if records do not hold it.
    pub path: Option<JsonPath>,
    /// Whether one query takes several values, with commas.
    pub several: bool,
    /// The stored column that has values.
    pub from: Option<ValuesFrom>,
    /// The values that are known beforehand.
    pub listed: Vec<String>,
    /// The text before a value that leaves its records out. One subquery then excludes all known values.
    pub exclude: Option<String>,
}

/// A column of a stored table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesFrom {
    /// The name of the resource whose table it is.
    pub resource: String,
    /// The name of the column.
    pub column: String,
}

/// Circles on the map. The parameter takes the geohash of a cell, and the API finds the records in a circle around the middle of the
/// cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cells {
    /// Where a record holds its latitude, in degrees.
    pub latitude: JsonPath,
    /// Where a record holds its longitude, in degrees.
    pub longitude: JsonPath,
    /// The name of the query parameter that takes the radius of the circle, a whole number.
    pub radius_param: String,
    /// The unit of the radius.
    pub unit: Unit,
    /// The query parameters that each such query needs besides, for example one that names the unit.
    pub params: BTreeMap<String, String>,
    /// The greatest number of letters in a geohash, 1 to 9: it decides the smallest circle.
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
    /// The length of the unit in metres.
    pub fn metres(self) -> f64 {
        match self {
            Self::Kilometre => 1_000.0,
            Self::Mile => 1_609.344,
        }
    }
}
