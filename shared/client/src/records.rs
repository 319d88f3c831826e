//! Where the records are in a response.

use serde_json::{Map, Value};

use manifest::JsonPath;

/// The usual names of a list of records, from dlt's detector.
const USUAL_NAMES: [&str; 11] =
    ["data", "items", "results", "entries", "records", "rows", "entities", "payload", "content", "objects", "values"];
/// The names of a count of the records.
const COUNTS: [&str; 3] = ["total", "count", "total_count"];
/// How deep a list of records is looked for, as dlt does.
const MAX_DEPTH: usize = 3;

/// Checks that `body` has a place for records at `selector`. `may_be_absent` says that the response itself counts no records.
///
/// # Errors
///
/// A message, if there is nothing at `selector` and there should be. A misspelt selector would otherwise read as an empty API.
pub(crate) fn check_place(body: &Value, selector: &JsonPath, may_be_absent: bool) -> Result<(), String> {
    if may_be_absent || selector.is_in(body) {
        return Ok(());
    }
    Err(format!("`{selector}` is not in the answer; it has: {}", member_names(body)))
}

/// Finds the only list that can hold the records: the response itself, the only list with the resource's name or a usual one, or the only
/// list in the response. A response that is an object without any list is itself the only record, as in dlt.
///
/// # Errors
///
/// A message that names the lists, if there are several. dlt takes the first one, which for Eventzilla is `pagination`.
pub(crate) fn detect(body: &Value, resource: &str) -> Result<JsonPath, String> {
    if body.is_array() {
        return JsonPath::parse("$");
    }
    let mut lists = Vec::new();
    find_lists(body, &mut Vec::new(), &mut lists);
    let has_usual_name =
        |path: &&Vec<String>| path.last().is_some_and(|name| name == resource || USUAL_NAMES.contains(&name.as_str()));
    let usually_named: Vec<&Vec<String>> = lists.iter().filter(has_usual_name).collect();
    let has_resource_name = |path: &&Vec<String>| path.last().is_some_and(|name| name == resource);
    let named_like_resource: Vec<&Vec<String>> = lists.iter().filter(has_resource_name).collect();
    let only = match (named_like_resource.as_slice(), usually_named.as_slice(), lists.as_slice()) {
        ([only], ..) | (_, [only], _) => only,
        (.., [only]) => only,
        (.., []) if is_record(body, resource) => return JsonPath::parse("$"),
        (.., []) => {
            return Err(format!(
                "no list of records is in the answer, it has: {}; say where they lie with `data_selector` (`$`: the whole answer is one)",
                member_names(body)
            ));
        }
        _ => {
            let names: Vec<String> = lists.iter().map(|path| path.join(".")).collect();
            return Err(format!(
                "several lists are in the answer: {}; say which holds the records with `data_selector`",
                names.join(", ")
            ));
        }
    };
    let quoted: String = only.iter().map(|name| format!("['{name}']")).collect();
    JsonPath::parse(&format!("${quoted}"))
}

/// Whether a response without any list can be a record. It cannot be one if a member that usually has the records is null or empty, or if it
/// counts none.
fn is_record(body: &Value, resource: &str) -> bool {
    let has_list_name = |name: &String| name == resource || USUAL_NAMES.contains(&name.as_str());
    let is_empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
    body.as_object().is_some_and(|members| {
        let is_of_page = |name: &String, member: &Value| {
            (has_list_name(name) && is_empty(member)) || (COUNTS.contains(&name.as_str()) && *member == 0)
        };
        !members.is_empty() && !members.iter().any(|(name, member)| is_of_page(name, member))
    })
}

/// Adds the path of every list in `value`, which is itself at `path`.
fn find_lists(value: &Value, path: &mut Vec<String>, lists: &mut Vec<Vec<String>>) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        path.push(name.clone());
        if member.is_array() {
            lists.push(path.clone());
        } else if path.len() < MAX_DEPTH {
            find_lists(member, path, lists);
        }
        path.pop();
    }
}

/// Returns the names of an object's members, for messages.
fn member_names(body: &Value) -> String {
    let names = body.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>().join(", "));
    names.unwrap_or_else(|| "no fields".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_records_are_the_only_list_that_can_hold_them() {
        for (body, expected) in [
            (json!([{"id": 1}]), Some("$")),
            (json!({"next": null, "things": []}), Some("things")),
            (json!({"tags": [], "data": [1]}), Some("data")),
            (json!({"pagination": [{}], "events": []}), Some("events")),
            (json!({"meta": {"errors": []}, "_embedded": {"events": []}}), Some("_embedded.events")),
            (json!({"pagination": [{}], "shows": []}), None),
            (json!({"id": 1}), Some("$")),
            (json!({"id": 1, "data": {"x": 2}}), Some("$")),
            (json!({"data": null, "count": 0}), None),
            (json!({"events": {}}), None),
            (json!({}), None),
            (json!({"total": 0}), None),
            (json!({"id": 1, "total": 25.5}), Some("$")),
            (json!("text"), None),
        ] {
            let found = detect(&body, "events").ok().map(|path| path.to_string());
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_selector_that_finds_nothing_is_an_error_unless_the_response_counts_none() {
        let selector = JsonPath::parse("evnts").unwrap();
        let message = check_place(&json!({"events": []}), &selector, false).unwrap_err();
        assert_eq!(message, "`evnts` is not in the answer; it has: events");
        assert_eq!(check_place(&json!({"page": 1}), &selector, true), Ok(()));
        assert_eq!(check_place(&json!({"evnts": null}), &selector, false), Ok(()));
        let many = JsonPath::parse("pages[*].rows").unwrap();
        assert_eq!(check_place(&json!({"pages": []}), &many, false), Ok(()));
        assert!(check_place(&json!({"pages": 1}), &many, false).is_err());
    }
}
