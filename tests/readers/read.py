"""Reads every table of a lake with one reader: read.py READER, with the request of `matrix.py` on the standard input.

Prints a line of JSON: the version of the reader and, for each table, the number of rows, the number and the sum of each column's values, and
the number of rows that each filter leaves. What a value adds to the sum is in `number` of `matrix.py`.
"""

import json
import os
import sys

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "")


def sql_sum(column, kind, names):
    """The expression for the sum of a column, in a dialect that has these `names` for its functions."""
    match kind:
        case "text":
            return f"sum({names['length']}({column}))"
        case "double":
            return f"sum({column})"
        case "bigint":
            # As Python does: the remainder has the sign of the divisor.
            return f"sum((({column} % 1000) + 1000) % 1000)"
        case "decimal":
            return f"sum({column})"
        case "bool":
            return f"sum(CASE WHEN {column} THEN 1 ELSE 0 END)"
        case "date":
            return f"sum({names['day'].format(column)})"
        case "timestamp":
            return f"sum({names['second'].format(column)})"
        case "time of the run":
            return f"count({column})"
    return f"sum({names['items'].format(column)})"


def sql_table(query, source, table, names):
    """Reads a table by SQL. `query` runs a statement and returns its only row."""
    quote = names["quote"]
    quoted = lambda name: f"{quote}{name}{quote}"
    parts = []
    for index, (name, kind) in enumerate(table["columns"].items()):
        parts.append(f"count({quoted(name)}) AS count{index}, {sql_sum(quoted(name), kind, names)} AS sum{index}")
    row = query(f"SELECT count(*) AS total, {', '.join(parts)} FROM {source}")
    sums = {name: [row[1 + 2 * index], row[2 + 2 * index]] for index, name in enumerate(table["columns"])}
    found = []
    for name, kind, value in table["filters"]:
        text = str(value).replace("'", "''")
        text = text.replace("\\", "\\\\") if names.get("escapes") else text
        condition = f"= '{text}'" if kind == "text" else f">= {value!r}"
        found.append(query(f"SELECT count(*) FROM {source} WHERE {quoted(name)} {condition}")[0])
    return {"count": row[0], "sums": sums, "filters": found}


def with_duckdb():
    import duckdb

    connection = duckdb.connect()
    if ENDPOINT:
        import s3fs

        connection.register_filesystem(s3fs.S3FileSystem(endpoint_url=ENDPOINT))
    names = {"quote": '"', "length": "length", "day": "day({})", "second": "second({})", "items": "len({})"}

    def read(place, table):
        source = f"read_parquet('{place}/**/*.parquet', hive_partitioning = true)"
        return sql_table(lambda text: connection.execute(text).fetchone(), source, table, names)

    return duckdb.__version__, read


def with_chdb():
    import chdb

    names = {"quote": "`", "length": "lengthUTF8", "day": "toDayOfMonth({})", "second": "toSecond({})", "items": "length({})", "escapes": True}

    def query(text):
        return json.loads(str(chdb.query(text, "JSONCompactEachRow")).splitlines()[0])

    def read(place, table):
        source = f"file('{place}/**/*.parquet', Parquet)"
        if place.startswith("s3://"):
            source = f"s3('{ENDPOINT}/{place.removeprefix('s3://')}/**/*.parquet', 'test', 'test', 'Parquet')"
        seen = sql_table(query, source, table, names)
        # Its JSON has numbers of 64 bits as texts.
        plain = lambda value: None if value is None else float(value)
        # It has no list that is null, so that the number of lists tells nothing.
        is_list = lambda name: table["columns"][name].startswith("list")
        sums = {name: [None if is_list(name) else int(count), plain(total)] for name, (count, total) in seen["sums"].items()}
        return {"count": int(seen["count"]), "sums": sums, "filters": [int(found) for found in seen["filters"]]}

    return chdb.query("SELECT version()").data().strip().strip('"'), read


def with_datafusion():
    import datafusion
    from datafusion import SessionContext
    from datafusion.object_store import AmazonS3

    names = {
        "quote": '"',
        "length": "character_length",
        "day": "date_part('day', {})",
        "second": "floor(date_part('second', {}))",
        "items": "array_length({})",
    }
    context = SessionContext()
    if ENDPOINT:
        store = AmazonS3(bucket_name="lake", region="eu-west-1", access_key_id="test", secret_access_key="test", endpoint=ENDPOINT, allow_http=True)
        context.register_object_store("s3://", store, None)

    def query(text):
        batches = context.sql(text).collect()
        return [column[0].as_py() for column in batches[0].columns]

    def read(place, table):
        context.deregister_table("part")
        context.register_parquet("part", f"{place}/")
        return sql_table(query, "part", table, names)

    return datafusion.__version__, read


def with_spark():
    import pyspark
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
    session = session.config("spark.sql.shuffle.partitions", "1").getOrCreate()
    names = {"quote": "`", "length": "char_length", "day": "day({})", "second": "second({})", "escapes": True}
    # The size of a null list is -1.
    names["items"] = "nullif(size({}), -1)"

    def read(place, table):
        frame = session.read.parquet(place)
        frame.createOrReplaceTempView("part")
        return sql_table(lambda text: list(session.sql(text).first()), "part", table, names)

    return pyspark.__version__, read


def with_pyarrow():
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    from pyarrow.fs import S3FileSystem

    def total(values, kind):
        match kind:
            case "text":
                return pc.sum(pc.utf8_length(values))
            case "double" | "decimal":
                return pc.sum(values)
            case "bool":
                return pc.sum(pc.cast(values, pa.int64()))
            case "date":
                return pc.sum(pc.day(values))
            case "timestamp":
                return pc.sum(pc.second(values))
            case "time of the run":
                return pc.count(values)
        return pc.sum(pc.list_value_length(values))

    def read(place, table):
        filesystem, path = None, place
        if place.startswith("s3://"):
            filesystem, path = S3FileSystem(endpoint_override=ENDPOINT, region="eu-west-1"), place.removeprefix("s3://")
        dataset = ds.dataset(path, filesystem=filesystem, partitioning="hive")
        rows = dataset.to_table()
        sums = {}
        for name, kind in table["columns"].items():
            values = rows[name].combine_chunks()
            if kind == "bigint":
                numbers = [value % 1000 for value in values.to_pylist() if value is not None]
                sums[name] = [len(numbers), sum(numbers)]
            else:
                sums[name] = [pc.count(values).as_py(), total(values, kind).as_py()]
        found = []
        for name, kind, value in table["filters"]:
            condition = ds.field(name) == value if kind == "text" else ds.field(name) >= value
            found.append(dataset.count_rows(filter=condition))
        return {"count": rows.num_rows, "sums": sums, "filters": found}

    return pa.__version__, read


def with_polars():
    import polars as pl

    def total(column, kind):
        match kind:
            case "text":
                return column.str.len_chars().sum()
            case "bigint":
                return (column % 1000).sum()
            case "double" | "decimal":
                return column.sum()
            case "bool":
                return column.cast(pl.Int64).sum()
            case "date":
                return column.dt.day().cast(pl.Int64).sum()
            case "timestamp":
                return column.dt.second().cast(pl.Int64).sum()
            case "time of the run":
                return column.count()
        return column.list.len().cast(pl.Int64).sum()

    def read(place, table):
        options = {}
        if place.startswith("s3://"):
            options["storage_options"] = {"aws_endpoint_url": ENDPOINT, "aws_region": "eu-west-1", "aws_allow_http": "true"}
        frame = pl.scan_parquet(f"{place}/**/*.parquet", hive_partitioning=True, **options)
        wanted = [pl.len().alias("rows")]
        for name, kind in table["columns"].items():
            wanted += [pl.col(name).count().alias(f"{name} count"), total(pl.col(name), kind).alias(f"{name} sum")]
        row = frame.select(wanted).collect().to_dicts()[0]
        sums = {name: [row[f"{name} count"], row[f"{name} sum"]] for name in table["columns"]}
        found = []
        for name, kind, value in table["filters"]:
            condition = pl.col(name) == value if kind == "text" else pl.col(name) >= value
            found.append(frame.filter(condition).select(pl.len()).collect().item())
        return {"count": row["rows"], "sums": sums, "filters": found}

    return pl.__version__, read


def main():
    version, read = globals()[f"with_{sys.argv[1]}"]()
    request = json.load(sys.stdin)
    seen = {}
    for name, table in request["tables"].items():
        try:
            seen[name] = read(f"{request['lake']}/{name}", table)
        except Exception as error:  # Each reader has errors of its own, and all of them belong into the report.
            seen[name] = {"error": f"{type(error).__name__}: {error}"[:500]}
    print(json.dumps({"version": version, "tables": seen}, default=float))


main()
