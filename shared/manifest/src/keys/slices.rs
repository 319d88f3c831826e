//! The keys of `slices`: how a query is split that has more records than the API serves.

use super::key::DefaultValue::{Boolean as Flag, Integer as Number};
use super::key::Type::{Boolean, Integer, List, MapOf, Mapping as Is, Merged, OneOf, Path, Scalar, Text};
use super::key::{Key, Mapping};

/// How a query is split that has more records than the API serves.
pub static SLICES: Mapping = Mapping {
    name: "slices",
    title: "`slices`",
    description: "How a query is split into subqueries if it has more records than `endpoint.depth_limit`. Each subquery is compared with \
                  its own total.",
    keys: &[
        Key::ours(
            "time",
            Merged(&TIME),
            "The query parameters that bound the records' time. A query is first split by time.",
        ),
        Key::ours(
            "undated",
            List(&Is(&UNDATED)),
            "Queries for records that no time window finds. They are read beside the query that is split by time.",
        ),
        Key::ours(
            "then",
            List(&Is(&SPLIT)),
            "Further parameters to split by, in order, if there is no time or if a single moment has too many records. They need \
             `depth_limit`, `total_path` or `total_header`, and the paginator `page_number` or `offset`.",
        ),
        Key::ours(
            "reverse",
            MapOf(&Scalar),
            "The query parameters that turn the order of the records round. A query with at most twice `depth_limit` records is then read \
             from both ends. It needs the same keys as `then`.",
        ),
        Key::ours(
            "sample",
            MapOf(&Scalar),
            "The query parameters that give the records in no order. The first page then shows values from all over the query.",
        ),
    ],
};

pub(super) const START_PARAM: Key =
    Key::ours("start_param", Text, "The query parameter that takes the start of the time window.")
        .required_without("range_param");

pub(super) const END_PARAM: Key =
    Key::ours("end_param", Text, "The query parameter that takes the end of the time window.")
        .required_without("range_param");

pub(super) const RANGE_PARAM: Key = Key::ours(
    "range_param",
    Text,
    "The one query parameter that takes both ends as `from,to`, with `*` for an open end, in place of `start_param` and `end_param`.",
);

pub(super) const WHOLE_SECONDS: Key = Key::ours(
    "whole_seconds",
    Boolean,
    "Whether both ends belong to the time window and the API compares whole seconds. Otherwise, each query reaches one second beyond its \
     window on each side, so that no record lies between two windows.",
)
.or(Flag(false));

pub(super) const TIME_PATH: Key =
    Key::ours("path", Path, "Where a record holds its time. From it the width of the next time window is estimated.")
        .nullable();

/// The query parameters that bound a query in time.
pub static TIME: Mapping = Mapping {
    name: "time",
    title: "`time`",
    description: "The query parameters that bound a query in time. The ends are written in RFC 3339, in UTC and to the second, and both belong to the time window.",
    keys: &[START_PARAM, END_PARAM, RANGE_PARAM, TIME_PATH, WHOLE_SECONDS],
};

/// A query for records that no time window finds.
pub static UNDATED: Mapping = Mapping {
    name: "undated",
    title: "`undated[]`",
    description: "A query for records that no time window finds.",
    keys: &[
        Key::ours("params", MapOf(&Scalar), "The query parameters that make the API show such records.").required(),
        Key::ours("time", Is(&TIME), "Another time that this query can be split by."),
    ],
};

/// A parameter that a query can be split by.
pub static SPLIT: Mapping = Mapping {
    name: "split",
    title: "`then[]`",
    description: "A query parameter that a query can be split by. Its values are those of the first page's records (`path`), those of a \
                  stored column (`values_from`), those listed (`values`), or circles on the map (`geohash`). It needs at least one of \
                  these; `geohash` excludes the others.",
    keys: &[
        Key::ours("param", Text, "The name of the query parameter.").required(),
        Key::ours("path", Path, "Where a record holds the value.").nullable(),
        Key::ours("several", Boolean, "Whether the parameter takes several values with commas in one query.")
            .or(Flag(false)),
        Key::ours("values", List(&Text), "Values that are known beforehand."),
        Key::ours("values_from", Is(&VALUES_FROM), "A stored column that has values."),
        Key::ours(
            "exclude",
            Text,
            "What is written before a value to leave its records out. One subquery then excludes all known values. It needs `several: true`.",
        ),
        Key::ours("geohash", Is(&GEOHASH), "The circles on the map that the parameter takes by geohash."),
    ],
};

/// A column of a stored table.
pub static VALUES_FROM: Mapping = Mapping {
    name: "values_from",
    title: "`values_from`",
    description: "A column of a stored table.",
    keys: &[
        Key::ours("resource", Text, "The resource whose table it is.").required(),
        Key::ours("column", Text, "The name of the column.").required(),
    ],
};

/// Circles on the map.
pub static GEOHASH: Mapping = Mapping {
    name: "geohash",
    title: "`geohash`",
    description: "Circles on the map: the parameter takes the geohash of a cell, and the API finds the records in a circle around the \
                  middle of the cell.",
    keys: &[
        Key::ours("latitude", Path, "Where a record holds its latitude, in degrees.").required(),
        Key::ours("longitude", Path, "Where a record holds its longitude, in degrees.").required(),
        Key::ours("radius_param", Text, "The query parameter that takes the radius of the circle, a whole number.")
            .required(),
        Key::ours("unit", OneOf(&["km", "miles"]), "The unit of the radius.").required(),
        Key::ours(
            "params",
            MapOf(&Scalar),
            "Query parameters that such a query needs besides, for example one that names the unit.",
        ),
        Key::ours(
            "precision",
            Integer { min: 1, max: 9 },
            "The greatest number of letters in a geohash: it decides the smallest circle.",
        )
        .or(Number(5)),
    ],
};
