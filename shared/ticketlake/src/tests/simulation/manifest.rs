//! The manifest of a scenario.

use serde_json::{Value, json};

use super::scenario::{Correction, Disposition, Missing, Paging, Partition, Scenario, Split, Total};

/// The address of the API, and of its sandbox.
pub(super) const API: &str = "http://api.test";
pub(super) const SANDBOX: &str = "http://sandbox.test";

/// The manifest of `scenario` with these corrections.
pub(super) fn manifest(scenario: &Scenario, corrections: &[Correction]) -> Value {
    let is_sandbox = corrections.contains(&Correction::Sandbox);
    let mut resources = vec![json!({})];
    resources[0] = things(scenario, corrections);
    if scenario.owners.is_some() {
        let endpoint = paged(scenario, "owners", 50);
        resources.push(json!({"name": "owners", "primary_key": "id", "endpoint": endpoint}));
    }
    json!({
        "name": "sim",
        "client": {"base_url": if is_sandbox { SANDBOX } else { API }, "auth": {"type": "bearer"}},
        "resources": resources,
    })
}

/// The endpoint at `path`, with what the manifest says about its pages.
fn paged(scenario: &Scenario, path: &str, limit: u32) -> Value {
    let api = &scenario.api;
    let mut endpoint = json!({"path": path, "data_selector": "things"});
    if api.is_total_declared {
        endpoint["total_path"] = "total".into();
    }
    if let Total::Capped(most) = api.total {
        endpoint["total_limit"] = most.into();
    }
    if api.is_declared {
        let has_total = api.total != Total::Absent;
        endpoint["paginator"] = match api.paging {
            Paging::Offset if has_total => json!({"type": "offset", "limit": limit}),
            Paging::Offset => json!({"type": "offset", "limit": limit, "total_path": null}),
            Paging::PageNumber(base) if has_total && api.is_total_declared => {
                json!({"type": "page_number", "base_page": base, "total_path": "pages"})
            }
            Paging::PageNumber(base) if has_total => json!({"type": "page_number", "base_page": base}),
            Paging::PageNumber(base) => json!({"type": "page_number", "base_page": base, "total_path": null}),
            Paging::Cursor(_) => json!({"type": "cursor", "cursor_path": "next", "cursor_param": "cursor"}),
            Paging::HeaderCursor(_) => json!({"type": "header_cursor", "cursor_key": "next", "cursor_param": "cursor"}),
            Paging::JsonLink(_) => json!({"type": "json_link", "next_url_path": "next"}),
            Paging::HeaderLink(_) => json!("header_link"),
            Paging::SinglePage => json!("single_page"),
        };
    }
    endpoint
}

fn things(scenario: &Scenario, corrections: &[Correction]) -> Value {
    let (api, table) = (&scenario.api, &scenario.table);
    let smaller = corrections.contains(&Correction::PageSize);
    let limit = if smaller { (api.page / 2).max(1) } else { api.page };
    let path = if scenario.owners.is_some() { "owners/{resources.owners.id}/things" } else { "things" };
    let mut endpoint = paged(scenario, path, limit);
    if matches!(api.paging, Paging::PageNumber(_)) {
        endpoint["page_size"] = json!({"param": "size", "maximum": limit});
    }
    if corrections.contains(&Correction::Filter) {
        endpoint["params"] = json!({"kind": "a"});
    }
    if let Some(changes) = api.changes {
        let mut incremental = json!({
            "cursor_path": "updated_at",
            "start_param": "since",
            "lag": changes.lag,
            "on_cursor_value_missing": match changes.missing {
                Missing::Raise => "raise",
                Missing::Include => "include",
                Missing::Exclude => "exclude",
            },
        });
        if changes.bounds.resolution > 1000 {
            incremental["format"] = "date".into();
        }
        if changes.has_end {
            incremental["end_param"] = "until".into();
        }
        endpoint["incremental"] = incremental;
    }
    if let Some(depth) = api.depth {
        endpoint["depth_limit"] = depth.limit.into();
    }
    let mut resource = json!({
        "name": "things",
        "endpoint": endpoint,
        "write_disposition": match table.disposition {
            Disposition::Append => "append",
            Disposition::Merge => "merge",
            Disposition::Replace => "replace",
        },
    });
    if table.has_key {
        resource["primary_key"] = "id".into();
    }
    if scenario.turns.is_multiple_of(2) {
        resource["expect"] = json!({"rejected_max": 1});
    }
    if table.has_history {
        resource["history"] = true.into();
    }
    if table.has_columns {
        resource["columns"] = json!({
            "id": {"data_type": "bigint"},
            "version": {"data_type": "bigint"},
            "kind": {"data_type": "text"},
            "updated_at": {"data_type": "timestamp"},
            "starts_at": {"data_type": "timestamp"},
        });
    }
    match table.partition {
        Partition::None => {}
        Partition::Bucket => {
            resource["partition"] = json!([{"name": "bucket", "from": "id", "transform": "bucket[3]"}]);
        }
        Partition::Kind => resource["partition"] = json!([{"name": "of_kind", "from": "kind"}]),
    }
    match api.depth.map(|depth| depth.split) {
        Some(Split::Time(_)) => {
            resource["slices"] = json!({"time": {"start_param": "start", "end_param": "end", "path": "starts_at"}});
        }
        Some(Split::Kind { values_are_known }) => {
            let mut split = json!({"param": "kind", "path": "kind"});
            if values_are_known {
                split["values"] = json!(["a", "b", "c", "d"]);
            }
            resource["slices"] = json!({"then": [split]});
        }
        Some(Split::Nothing) | None => {}
    }
    resource
}
