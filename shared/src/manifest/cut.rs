//! How a query is cut by its parameters, where it is deeper than the API serves.

use std::collections::BTreeMap;

use super::JsonPath;

/// A parameter that a query can be cut by.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// Its name.
    pub param: String,
    /// What it takes.
    pub by: By,
}

/// What a parameter that a query is cut by takes.
#[derive(Clone, Debug, PartialEq)]
pub enum By {
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
