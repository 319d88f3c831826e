//! The engine from a request to stored rows, in memory: an API that a test scripts, a store without a disk, and a clock that does not wait.
//!
//! What needs a process, a network or AWS is in `tests/end_to_end`.

mod api;
mod mine;
mod rows;
mod simulation;

mod auth;
mod clocks;
mod columns;
mod coverage;
mod dispositions;
mod failures;
mod incremental;
mod interrupt;
mod losses;
mod page_size;
mod paginators;
mod proof;
mod resume;
mod secrets;
mod several;
mod speed;
mod values;
mod vocabulary;

use api::{Request, Response, Stub, stub};
use mine::{Mine, Reading, SECRET, ended};
use serde_json::{Value, json};

/// The records with ids `from..to`.
fn records(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|id| json!({"id": id, "name": format!("n{id}")})).collect()
}

/// A manifest of the one resource `events`, which is requested by `endpoint`.
fn events(stub: &Stub, endpoint: &Value) -> Value {
    let resource = json!({"name": "events", "primary_key": "id", "write_disposition": "merge", "endpoint": endpoint});
    json!({"client": {"base_url": stub.base_url}, "resources": [resource]})
}

/// A manifest of `events` with `tickets` inside them, which have a table of their own. Both have the key `id`.
fn events_with_tickets(stub: &Stub) -> Value {
    json!({
        "client": {"base_url": stub.base_url},
        "resource_defaults": {
            "primary_key": "id", "write_disposition": "merge",
            "columns": {"id": {"data_type": "bigint"}, "seat": {"data_type": "bigint"}},
            "endpoint": {"data_selector": "$", "paginator": "single_page"},
        },
        "resources": [
            {"name": "events", "harvest": [{"resource": "tickets", "path": "tickets[*]"}]},
            {"name": "tickets"},
        ],
    })
}

/// A page of `total` records by `offset` and `limit`, of which the API gives at most `cap` at once.
fn page(request: &Request, total: usize, cap: usize) -> Response {
    let offset = request.number("offset").min(total);
    let end = (offset + request.number("limit").min(cap)).min(total);
    Response::json(&json!({"events": records(offset..end), "total": total}))
}
