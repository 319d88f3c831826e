//! The keys of `refresh` and `vanished`: how a resource is kept up to date.

use super::key::DefaultValue::Integer as Number;
use super::key::Type::{Integer, List, MapOf, Mapping as Is, Name, Scalar, Text};
use super::key::{Key, Mapping, Type};
use super::slices::{END_PARAM, RANGE_PARAM, START_PARAM, TIME_PATH, WHOLE_SECONDS};

/// A number of days, at most about ten years.
const DAYS: Type = Integer { min: 1, max: 3660 };

/// How a resource is kept up to date if the API has no filter for changed records.
pub static REFRESH: Mapping = Mapping {
    name: "refresh",
    title: "`refresh`",
    description: "How a resource is kept up to date if the API has no filter for changed records. A run without a range reads what is due. \
                  A resource with `incremental` or with a parent cannot have it.",
    keys: &[
        Key::ours("full_every_days", DAYS, "The number of days after which the whole resource is read again.")
            .required(),
        Key::ours(
            "announced",
            Is(&ANNOUNCED),
            "The query parameters that find the records announced since the previous run.",
        ),
        Key::ours(
            "near",
            List(&Is(&NEAR)),
            "Time windows that begin now and are read whole more often. They need `slices.time`, and each its own `ahead_days`.",
        ),
    ],
};

/// The query parameters that find recently announced records.
pub static ANNOUNCED: Mapping = Mapping {
    name: "announced",
    title: "`announced`",
    description: "The query parameters that bound the time at which a record was announced.",
    keys: &[
        START_PARAM,
        END_PARAM,
        RANGE_PARAM,
        TIME_PATH,
        WHOLE_SECONDS,
        Key::ours(
            "lag",
            Integer { min: 0, max: 366 * 86_400 },
            "How many seconds before the previous run the query begins.",
        )
        .or(Number(0)),
    ],
};

/// A time window that begins now.
pub static NEAR: Mapping = Mapping {
    name: "near",
    title: "`near[]`",
    description: "A time window that begins now and is read whole.",
    keys: &[
        Key::ours("ahead_days", DAYS, "The length of the time window in days.").required(),
        Key::ours("every_days", DAYS, "The number of days after which the time window is read again.").required(),
    ],
};

/// How a row is marked whose record the API no longer has.
pub static VANISHED: Mapping = Mapping {
    name: "vanished",
    title: "`vanished`",
    description: "How a row is marked whose record the API no longer has. The row is never deleted.",
    keys: &[
        Key::ours(
            "column",
            Name,
            "The name of a further column, a `timestamp`: since when the record is missing. It is null while the API has the record.",
        )
        .required(),
        Key::ours(
            "confirm",
            Is(&CONFIRM),
            "How records that a run did not receive are requested by their key. Without it, only a complete read finds what is missing.",
        )
        .nullable(),
    ],
};

/// A query for certain records by their key.
pub static CONFIRM: Mapping = Mapping {
    name: "confirm",
    title: "`confirm`",
    description: "A query for certain records by their key. It needs a `primary_key` of one column.",
    keys: &[
        Key::ours("param", Text, "The query parameter that takes the keys, with commas.").required(),
        Key::ours("most", Integer { min: 2, max: 1000 }, "The greatest number of keys in one query.").required(),
        Key::ours("params", MapOf(&Scalar), "Query parameters that make the API show records of every kind."),
    ],
};
