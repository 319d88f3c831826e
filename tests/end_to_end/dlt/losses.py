"""dlt itself, for what it loses in silence. Reads one case of JSON a line and answers each with a line, so that it is imported
once for all of them.

A case has the `manifest` that both programs read, the `resource` to read, and the `secret` that `{"$secret": NAME}` stands for.
With `pipeline`, the resource is loaded by the pipeline of that name, which keeps its state from case to case, into the
`destination` (`duckdb`, or `filesystem`: plain files), and the answer has the destination's rows; without, it is extracted."""

import glob
import gzip
import json
import os
import sys
import tempfile

kept = tempfile.TemporaryDirectory()
folder = kept.name
os.environ |= {
    "DLT_DATA_DIR": folder,
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RUNTIME__REQUEST_MAX_ATTEMPTS": "1",
}

import dlt  # noqa: E402
from dlt.sources.rest_api import rest_api_source  # noqa: E402


def written(value, secret):
    """The manifest with the secret in its places: dlt has no names for secrets in data."""
    match value:
        case {"$secret": _}:
            return secret
        case dict():
            return {name: written(member, secret) for name, member in value.items()}
        case list():
            return [written(element, secret) for element in value]
    return value


def extracted(source, resource, rows):
    for row in source.resources[resource]:
        rows.append(row)


def loaded(source, resource, pipeline, destination, rows):
    place = f"{folder}/{pipeline}"
    if destination == "duckdb":
        into = dlt.destinations.duckdb(f"{place}.duckdb")
    else:
        into = dlt.destinations.filesystem(f"file://{place}")
    pipeline = dlt.pipeline(pipeline, destination=into, dataset_name="lake", pipelines_dir=folder)
    pipeline.run(source.with_resources(resource))
    if destination == "duckdb":
        with pipeline.sql_client() as client, client.execute_query(f"SELECT * FROM {resource}") as cursor:
            names = [column[0] for column in cursor.description]
            rows.extend(dict(zip(names, row)) for row in cursor.fetchall())
    else:
        for file in glob.glob(f"{place}/lake/{resource}/*.jsonl*"):
            with (gzip.open if file.endswith(".gz") else open)(file, "rt") as lines:
                rows.extend(map(json.loads, lines))


# What dlt prints must not stand between the answers.
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    case = json.loads(line)
    rows, error = [], None
    try:
        source = rest_api_source(written(case["manifest"], case["secret"]))
        if pipeline := case.get("pipeline"):
            loaded(source, case["resource"], pipeline, case["destination"], rows)
        else:
            extracted(source, case["resource"], rows)
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    print(json.dumps({"rows": rows, "error": error}, default=str), file=answers, flush=True)
