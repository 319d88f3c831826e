//! The keys of a resource, and of the table that it fills.

use super::endpoint::ENDPOINT;
use super::key::DefaultValue::{Boolean as Flag, Described, Integer as Number, Text as Literal};
use super::key::Type::{
    AnyOf, Boolean, Integer, List, MapOf, Mapping as Is, Merged, Name, NonEmptyList, OneOf, Path, Share, Text,
};
use super::key::{Key, Mapping, Type};
use super::refresh::{REFRESH, VANISHED};
use super::slices::SLICES;
use crate::column::DataType;
use crate::resource::PART_BYTES;

/// One text or a list of them.
const TEXTS: Type = AnyOf(&[Text, NonEmptyList(&Text)]);

/// One list of the API, and the table that it fills.
pub static RESOURCE: Mapping = Mapping {
    name: "resource",
    title: "`resources[]`",
    description: "One list of the API, and the table that it fills.",
    keys: &[
        Key::dlt("name", Name, "The name of the resource: the value of `--resource`, and the second folder in the lake.").required(),
        Key::dlt("endpoint", AnyOf(&[Text, Merged(&ENDPOINT)]), "The request for the records. A text is a path; `resource_defaults` cannot have a text.")
            .or(Described("the path is the resource's name")),
        Key::dlt("primary_key", TEXTS, "The column or the columns that identify a record: of type `text`, `bigint` or `date`.")
            .or(Described("`_key`, a hash of the whole record"))
            .nullable(),
        Key::dlt(
            "write_disposition",
            AnyOf(&[OneOf(DISPOSITIONS), Is(&WRITE_DISPOSITION)]),
            "What happens to a record whose key is stored already. `append` keeps the first version. `merge` replaces the stored record by \
             the changed one; it needs a `primary_key`. `replace` is as `merge`, and removes the rows that a complete read did not \
             receive. `skip` leaves the resource out when all resources are read.",
        )
        .or(Literal("append")),
        Key::dlt(
            "columns",
            AnyOf(&[MapOf(&Is(&COLUMN)), List(&Is(&COLUMN))]),
            "The columns of the table, by name; or as a list, in which each column has its `name`. A field that no column names is kept \
             in `_extra`, a value that does not fit its type in `_issues`.",
        )
        .or(Described("found in the records")),
        Key::dlt(
            "include_from_parent",
            TEXTS,
            "The fields of the parent's record that each row keeps, as columns `_<parent>_<field>`. A query for several parent records \
             (`batch`) cannot tell them.",
        ),
        Key::ours("expect", Is(&EXPECT), "What a run expects of the records. A run that finds otherwise is `incomplete`."),
        Key::ours(
            "partition",
            List(&Is(&PARTITION_FIELD)),
            "How rows are divided into partitions, the outermost folder first. The value of a row must never change: a record whose dates \
             change is partitioned by `bucket[N]` of its id.",
        )
        .or(Described("one partition")),
        Key::ours(
            "part_bytes",
            Integer { min: 64 << 10, max: 1 << 30 },
            "The size in bytes at which a part, a stored data file, takes no more rows.",
        )
        .or(Number(PART_BYTES as u64)),
        Key::ours("history", Boolean, "Whether every version of a row is kept in the table `<resource>_history`.").or(Flag(false)),
        Key::ours("slices", Merged(&SLICES), "How a query is split that has more records than the API serves (`depth_limit`)."),
        Key::ours(
            "explode",
            List(&NonEmptyList(&Is(&LEVEL))),
            "How a record that is a tree becomes one row for each leaf. Each entry is a list of levels from the root down; the first entry \
             is used whose first level the record has. A row's record holds the object of each level under the level's name, and `leaf` \
             with the `id`, `name`, `level` and `parent` of the deepest one.",
        ),
        Key::ours("harvest", List(&Is(&HARVEST)), "Records of other resources that lie inside the records of this one, and are stored with them."),
        Key::ours("refresh", Is(&REFRESH), "How a resource is kept up to date if the API has no filter for changed records.").nullable(),
        Key::ours(
            "passed_by",
            TEXTS,
            "The `timestamp` or `date` columns that say when a record is past: the first that has a value. After that time the API need \
             not have the record, and `--retention-days` counts from it.",
        )
        .nullable(),
        Key::ours(
            "vanished",
            Is(&VANISHED),
            "How a row is marked whose record the API no longer has. It needs `write_disposition: merge`. Without it, such a row stays as it is.",
        )
        .nullable(),
        Key::dlt("selected", Boolean, "Whether `--resource all` reads the resource.").or(Flag(true)),
        Key::dlt("parallelized", Boolean, "In dlt, whether several parent records are read at the same time. Here they always are.").ignored(),
    ],
};

const DISPOSITIONS: &[&str] = &["append", "merge", "replace", "skip"];

/// A write disposition with its strategy.
pub static WRITE_DISPOSITION: Mapping = Mapping {
    name: "write_disposition",
    title: "`write_disposition`",
    description: "A write disposition with its strategy, as dlt writes it.",
    keys: &[
        Key::dlt("disposition", OneOf(DISPOSITIONS), "The write disposition.").required(),
        Key::dlt(
            "strategy",
            OneOf(&["upsert", "delete-insert", "insert-only", "scd2"]),
            "How `merge` is done. `upsert` and `delete-insert` replace the stored record, `insert-only` keeps the first version, and `scd2` \
             is as `upsert` with `history: true`.",
        )
        .or(Literal("upsert")),
        Key::dlt("deduplicated", Boolean, "In dlt, whether the records have distinct keys already. Here a merge keeps one row for each key.")
            .ignored(),
    ],
};

/// A column of the table.
pub static COLUMN: Mapping = Mapping {
    name: "column",
    title: "`columns.<name>`",
    description: "A column of the table. Its name must not begin with `_`.",
    keys: &[
        Key::dlt("name", Text, "The name of the column. It is needed, and read, only where the columns are a list."),
        Key::ours("path", Path, "Where a record holds the value.").or(Described("the field with the column's name")),
        Key::dlt(
            "data_type",
            OneOf(&DATA_TYPE_NAMES),
            "The type. `timestamp` is UTC in microseconds; `decimal` has 38 digits, 9 of them after the point; `json` is any value, as its \
             compact text with sorted keys.",
        )
        .required(),
        Key::ours("list", Boolean, "Whether the column is a list of that type. A `path` that can find several values needs it.").or(Flag(false)),
        Key::ours(
            "volatile",
            Boolean,
            "Whether a change of this value alone is no change of the record, as for counters and copies of other records.",
        )
        .or(Flag(false)),
        Key::ours(
            "history_only",
            Boolean,
            "Whether the column is stored in the table of the history alone, with each version of the record. It is for large copies of \
             records that have a table of their own, and needs `history: true` and `data_type: json`.",
        )
        .or(Flag(false)),
        Key::dlt("description", Text, "A text that says what the column means, for the list of tables."),
        Key::dlt("nullable", Boolean, "In dlt, whether the column may be null. Here every column may be, unless it is of the key.").ignored(),
    ],
};

const DATA_TYPE_NAMES: [&str; DataType::ALL.len()] = {
    let mut names = [""; DataType::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = DataType::ALL[index].name();
        index += 1;
    }
    names
};

/// What a run expects of the records.
pub static EXPECT: Mapping = Mapping {
    name: "expect",
    title: "`expect`",
    description: "What a run expects of the records. A run that finds otherwise is `incomplete`.",
    keys: &[Key::ours(
        "rejected_max",
        Share,
        "The greatest share of records that cannot become a row. The rejected records are kept under `_rejected`. A run whose records are \
         all rejected is `incomplete` in any case.",
    )
    .or(Described("`0.01`"))],
};

/// One level of partitions.
pub static PARTITION_FIELD: Mapping = Mapping {
    name: "partition_field",
    title: "`partition[]`",
    description: "One level of partitions: a folder `<name>=<value>`.",
    keys: &[
        Key::ours("name", Name, "The name before the `=`. No column may have it.").required(),
        Key::ours("from", Text, "The column that the value is computed from.").required(),
        Key::ours(
            "transform",
            OneOf(&["identity", "year", "month", "day", "hour", "bucket[N]"]),
            "Iceberg's transform of the column's value: the value itself, its year, month, day or hour in UTC, or its hash modulo N, from 1 \
             to 10000. `identity` and `bucket[N]` take `text`, `bigint` and `date`; the others `text`, `date` and `timestamp`.",
        )
        .or(Literal("identity")),
    ],
};

/// One level of a tree of records.
pub static LEVEL: Mapping = Mapping {
    name: "level",
    title: "`explode[][]`",
    description: "One level of the tree that a record is.",
    keys: &[
        Key::ours("as", Name, "The name under which the row's record holds the object of this level.").required(),
        Key::ours(
            "path",
            Path,
            "Where the level above (for the first level: the record) holds the objects of this level.",
        )
        .required(),
        Key::ours("row", Boolean, "Whether an object of this level is a row also if there are levels below it.")
            .or(Flag(false)),
    ],
};

/// Records of another resource that lie inside a record.
pub static HARVEST: Mapping = Mapping {
    name: "harvest",
    title: "`harvest[]`",
    description: "Records of another resource that lie inside a record of this one. They are stored in that resource's table.",
    keys: &[
        Key::ours("resource", Text, "The name of the other resource.").required(),
        Key::ours("path", Path, "Where a record holds the records of the other resource.").required(),
    ],
};
