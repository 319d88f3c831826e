"""Opens every table of a lake with the oldest and the newest version of each reader that is supported.

The functions read the sandbox into a lake of Parquet and into one of JSON lines, in a directory and on S3. Plain Python computes from the
JSON lines what a reader has to find. Each reader then reads every Parquet table in an environment of its own (`read.py`): the number of
rows, a sum for each column, and counts of the rows that a filter leaves. Prints one line for each reader, version and store, and ends with
an error if one of them differs.

Usage: matrix.py ENVIRONMENTS READER..., where each reader has an environment of this name in the folder ENVIRONMENTS.
"""

import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import boto3

ROOT = Path(__file__).resolve().parents[2]
BINARIES = ROOT / "target/debug"
KEY = "sandbox-key"
# The readers that an environment has. Spark reads directories alone: its S3 client is a Java package, which Python's index does not have.
READERS = {
    "readers-oldest": ["duckdb", "polars", "pyarrow", "datafusion"],
    "readers-newest": ["duckdb", "polars", "pyarrow", "datafusion", "chdb"],
    "readers-spark-oldest": ["spark"],
    "readers-spark-newest": ["spark"],
}
# What every row has beside the API's columns. The times are those of the run, so that only their number is compared.
ENGINE = {"synced_at": "time of the run", "first_seen_at": "time of the run", "_fingerprint": "bigint", "_extra": "text", "_issues": "text"}


class Server:
    """A process that listens, until it is closed."""

    def __init__(self, command, **options):
        self.process = subprocess.Popen(command, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(port):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"nothing listens on port {port}")


def fill(lake, form, apis, environment):
    """Reads every resource of every source into `lake`."""
    for source in ["eventzilla", "see_tickets", "ticketmaster", "xurrent"]:
        name = source.upper()
        settings = {
            **environment,
            f"{name}_BASE_URL": apis[source],
            f"{name}_API_KEY": KEY,
            "XURRENT_OAUTH_TOKEN": KEY,
            "XURRENT_ACCOUNT": "wdc",
            "PATH": os.environ["PATH"],
        }
        arguments = ["--source", source, "--resource", "all", "--lake", lake, "--format", form]
        ended = subprocess.run([BINARIES / "resource", *arguments], env=settings, capture_output=True, text=True, check=False)
        if ended.returncode not in (0, 4):
            sys.exit(f"{source} into {lake} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}")


def columns_of(lake, table):
    """The type of each column by its name, from the table's layout."""
    layout = json.loads((lake / "_state" / table / "layout.json").read_text())
    columns = {**layout["columns"], **ENGINE}
    return {name: "text" if kind == "json" else kind for name, kind in columns.items()}


def number(value, kind):
    """What a column adds to its sum. The readers compute the same."""
    match kind:
        case "text":
            return len(value)
        case "double":
            return value
        case "bigint":
            return value % 1000
        case "decimal":
            return Decimal(value)
        case "bool":
            return int(value)
        case "date":
            return int(value[8:10])
        case "timestamp":
            return int(value[17:19])
        case "time of the run":
            return 1
        case _ if kind.startswith("list"):
            return len(value)
    sys.exit(f"no sum for the type {kind}")


def expected(lake, table, columns):
    """What the JSON lines of a table say."""
    rows = []
    for part in sorted((lake / table).rglob("*.jsonl.gz")):
        with gzip.open(part, "rt") as lines:
            rows += [json.loads(line) for line in lines]
    # A part ends with a line for its seal, if it has one, which has none of the columns.
    rows = [row for row in rows if row.get("synced_at")]
    sums = {}
    for name, kind in columns.items():
        values = [number(row[name], kind) for row in rows if row.get(name) is not None]
        sums[name] = [len(values), float(sum(values))]
    return {"count": len(rows), "sums": sums, "filters": [filtered(rows, *each) for each in filters(rows, columns)]}


def filters(rows, columns):
    """A value in the middle of one column of texts, of numbers and of doubles, for which a filter leaves some rows."""
    left = {"text", "double", "bigint"}
    for name, kind in columns.items():
        values = sorted(row[name] for row in rows if row.get(name) is not None)
        if values and kind in left:
            left.remove(kind)
            yield name, kind, values[len(values) // 2]


def filtered(rows, name, kind, value):
    """The number of rows with at least this value, or with this text."""
    values = [row[name] for row in rows if row.get(name) is not None]
    found = sum(each == value for each in values) if kind == "text" else sum(each >= value for each in values)
    return [name, kind, value, found]


def tables(lake):
    return sorted(str(path.parent.relative_to(lake / "_state")) for path in (lake / "_state").glob("*/*/layout.json"))


def read(folder, environment, reader, request, settings):
    """What a reader sees of the tables, and its version."""
    python = folder / environment / "bin/python"
    command = [python, Path(__file__).with_name("read.py"), reader]
    ended = subprocess.run(command, input=json.dumps(request), env=settings, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        return {"version": "?", "tables": {}, "error": ended.stderr.strip()[-2000:]}
    return json.loads(ended.stdout.splitlines()[-1])


def differences(table, wanted, seen):
    """What a reader sees otherwise than it has to."""
    if "error" in seen:
        yield f"{table}: {seen['error']}"
        return
    if seen["count"] != wanted["count"]:
        yield f"{table}: {seen['count']} rows, expected {wanted['count']}"
    for name, (count, total) in wanted["sums"].items():
        found_count, found_total = seen["sums"][name]
        # A reader that cannot tell the number of values has none.
        if found_count not in (count, None) or abs(float(found_total or 0) - total) > 1e-9 * max(1, abs(total)):
            yield f"{table}.{name}: {found_count} values with the sum {found_total}, expected {count} with {total}"
    for (name, _, value, count), found in zip(wanted["filters"], seen["filters"], strict=True):
        if found != count:
            yield f"{table}: {found} rows where {name} is {value!r} or more, expected {count}"


def compare(folder, environments, lakes, settings):
    """Reads both lakes with every reader. Returns the number of those that differ."""
    failures = 0
    wanted = {}
    request = {"tables": {}}
    for table in tables(lakes["json"]):
        columns = columns_of(lakes["json"], table)
        wanted[table] = expected(lakes["json"], table, columns)
        request["tables"][table] = {"columns": columns, "filters": [each[:3] for each in wanted[table]["filters"]]}
    rows = sum(each["count"] for each in wanted.values())
    print(f"{len(wanted)} tables, {rows} rows")
    if not all(each["count"] for each in wanted.values()):
        sys.exit(f"a table has no rows: {wanted.keys()}")
    for environment in environments:
        for reader in READERS[environment]:
            for store in ["directory"] if reader == "spark" else ["directory", "s3"]:
                begin = time.monotonic()
                request["lake"] = str(lakes[store])
                seen = read(folder, environment, reader, request, settings)
                found = [seen["error"]] if "error" in seen else []
                for table, each in seen["tables"].items():
                    found += differences(table, wanted[table], each)
                failures += bool(found)
                state = "differs" if found else "agrees"
                print(f"{reader} {seen['version']} ({store}): {state}, {time.monotonic() - begin:.1f} s", *found[:20], sep="\n    ")
    return failures


def main():
    folder, environments = Path(sys.argv[1]).resolve(), sys.argv[2:]
    port = free_port()
    account = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    sandbox = [BINARIES / "sandbox", "--until-stdin-closes", "--ticketmaster-events", "600", "--see-tickets-broken", "20"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with tempfile.TemporaryDirectory() as temporary, Server(sandbox, **pipes) as api:
        with Server([Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)], **silent):
            apis = json.loads(api.process.stdout.readline())
            wait_for(port)
            client = boto3.client("s3", endpoint_url=account["AWS_ENDPOINT_URL"], region_name="eu-west-1",
                                  aws_access_key_id="test", aws_secret_access_key="test")
            client.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            lakes = {"directory": Path(temporary) / "parquet", "json": Path(temporary) / "json", "s3": "s3://lake/deep"}
            for store, form in [("directory", "parquet"), ("json", "json"), ("s3", "parquet")]:
                fill(str(lakes[store]), form, apis, account)
            settings = {**os.environ, **account}
            return compare(folder, environments, lakes, settings)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
