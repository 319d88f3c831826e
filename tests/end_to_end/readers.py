"""Reads tables of lakes as their users do: with pyarrow, DuckDB and Polars. Prints what each of them saw as one line of
JSON: the columns' types by the manifest's names for them, and the rows.

`TABLES` says what to read: where it lies, its format, its columns and folders with their types, and whether it has `grown`,
so that its parts differ in their columns: a reader takes those of the first part for all unless it is told otherwise."""

import json
import os
from datetime import date, datetime, timezone
from decimal import Decimal
from urllib.parse import unquote

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import s3fs
from pyarrow.fs import S3FileSystem

endpoint, region = os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_REGION")


def with_pyarrow(place, format, columns, partition, grown):
    native = {
        "text": pa.string(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "timestamp": pa.timestamp("us", "UTC"),
        "date": pa.date32(),
        "bigint": pa.int64(),
        "decimal": pa.decimal128(38, 9),
        "text list": pa.list_(pa.field("element", pa.string())),
    }

    def schema(pairs):
        return pa.schema([(name, native[declared]) for name, declared in pairs])

    filesystem, path = None, place
    if place.startswith("s3://"):
        filesystem, path = S3FileSystem(endpoint_override=endpoint, region=region), place.removeprefix("s3://")
    folders = ds.partitioning(schema(partition), flavor="hive")
    if format == "json":
        declared = schema(columns + partition)
        # Its JSON reader takes a day for a timestamp or a text, and for a date only a number.
        readable = [field.with_type(pa.timestamp("s")) if field.type == pa.date32() else field for field in declared]
        dataset = ds.dataset(path, pa.schema(readable), "json", filesystem=filesystem, partitioning=folders)
        read = dataset.to_table().cast(declared)
    else:
        dataset = ds.dataset(path, filesystem=filesystem, partitioning=folders)
        if grown:
            # A dataset of its own: one that is there takes another schema, but not another type.
            parts = [part.physical_schema for part in dataset.get_fragments()]
            schema_of_all = pa.unify_schemas([dataset.schema, *parts], promote_options="permissive")
            dataset = ds.dataset(path, schema_of_all, filesystem=filesystem, partitioning=folders)
        read = dataset.to_table()
    return native, {field.name: field.type for field in read.schema}, read.to_pylist()


def with_duckdb(place, format, columns, partition, grown):
    native = {
        "text": "VARCHAR",
        "double": "DOUBLE",
        "bool": "BOOLEAN",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "date": "DATE",
        "bigint": "BIGINT",
        "decimal": "DECIMAL(38,9)",
        "text list": "VARCHAR[]",
    }
    connection = duckdb.connect()
    if place.startswith("s3://"):
        connection.register_filesystem(s3fs.S3FileSystem(endpoint_url=endpoint))
    if format == "json":
        declared = ", ".join(f'"{name}": \'{native[declared]}\'' for name, declared in columns)
        source = f"read_json('{place}/**/*.jsonl.gz', hive_partitioning = true, columns = {{{declared}}})"
    else:
        by_name = ", union_by_name = true" if grown else ""
        source = f"read_parquet('{place}/**/*.parquet', hive_partitioning = true{by_name})"
    types = connection.sql(f"DESCRIBE FROM {source}").fetchall()
    # By way of Arrow: DuckDB makes Python's times with a package, pytz, that nothing here has.
    rows = connection.sql(f"FROM {source}").to_arrow_table().to_pylist()
    return native, {name: data_type for name, data_type, *_ in types}, rows


def with_polars(place, format, columns, partition, grown):
    native = {
        "text": pl.String(),
        "double": pl.Float64(),
        "bool": pl.Boolean(),
        "timestamp": pl.Datetime("us", "UTC"),
        "date": pl.Date(),
        "bigint": pl.Int64(),
        "decimal": pl.Decimal(38, 9),
        "text list": pl.List(pl.String()),
    }
    options = {}
    if place.startswith("s3://"):
        options["storage_options"] = {"aws_endpoint_url": endpoint, "aws_region": region, "aws_allow_http": "true"}
    if format == "json":
        # Its JSON reader makes no decimals, and leaves the folders' names alone.
        declared = {name: pl.String() if declared == "decimal" else native[declared] for name, declared in columns}
        frame = pl.scan_ndjson(f"{place}/", schema=declared, include_file_paths="path", **options)
        decimals = [name for name, declared in columns if declared == "decimal"]
        frame = frame.with_columns(pl.col(decimals).str.to_decimal(scale=9))
        for name, data_type in partition:
            value = pl.col("path").str.extract(f"/{name}=([^/]+)/")
            match data_type:
                case "text":
                    value = value.map_elements(unquote, return_dtype=pl.String)
                case "date":
                    value = value.str.to_date()
                case _:
                    value = value.cast(native[data_type])
            frame = frame.with_columns(value.alias(name))
        read = frame.drop("path").collect()
    elif grown:
        lenient = {"missing_columns": "insert", "extra_columns": "ignore"}
        parts = pl.scan_parquet(f"{place}/", include_file_paths="path", **lenient, **options)
        paths = parts.select(pl.col("path").unique()).collect()["path"]
        # A part alone does not tell a text that looks like a number from a number.
        folders = {name: native[declared] for name, declared in partition}
        parts = [pl.scan_parquet(path, hive_partitioning=True, hive_schema=folders, **options) for path in paths]
        read = pl.concat(parts, how="diagonal_relaxed").collect()
    else:
        read = pl.scan_parquet(f"{place}/", hive_partitioning=True, **options).collect()
    return native, dict(read.schema), read.to_dicts()


def plain(value):
    """A value as JSON: times in UTC to the microsecond."""
    match value:
        case datetime():
            return value.astimezone(timezone.utc).isoformat(timespec="microseconds")
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case list():
            return [plain(one) for one in value]
    return value


def seen(table):
    by_reader = {}
    for reader in [with_pyarrow, with_duckdb, with_polars]:
        native, types, rows = reader(**table)
        declared = {str(data_type): name for name, data_type in native.items()}
        by_reader[reader.__name__.removeprefix("with_")] = {
            "types": {name: declared.get(str(data_type), str(data_type)) for name, data_type in types.items()},
            "rows": [{name: plain(value) for name, value in row.items()} for row in rows],
        }
    return by_reader


print(json.dumps([seen(table) for table in json.loads(os.environ["TABLES"])]))
