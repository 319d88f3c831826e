//! Where the records are in a response.

use serde_json::Value;

use manifest::JsonPath;
use manifest::path::Step;

/// The usual names of a list of records, from dlt's detector.
const USUAL_NAMES: [&str; 11] =
    ["data", "items", "results", "entries", "records", "rows", "entities", "payload", "content", "objects", "values"];
/// How deep a list of records is looked for, as dlt does.
const MAX_DEPTH: usize = 3;

/// Takes the records at `selector` out of `body`. `may_be_absent` says that the response itself counts no records.
///
/// # Errors
///
/// A message, if there is nothing at `selector` and there should be. A misspelt selector would otherwise read as an empty API.
pub(crate) fn take(mut body: Value, selector: &JsonPath, may_be_absent: bool) -> Result<Vec<Value>, String> {
    if !selector.is_in(&body) {
        if may_be_absent {
            return Ok(Vec::new());
        }
        return Err(format!("`{selector}` is not in the answer; it has: {}", member_names(&body)));
    }
    if selector.is_many() {
        let mut records = Vec::new();
        for found in selector.all(&body) {
            match found {
                Value::Array(elements) => records.extend(elements.iter().cloned()),
                Value::Null => {}
                record => records.push(record.clone()),
            }
        }
        return Ok(records);
    }
    Ok(match take_value(&mut body, selector) {
        Value::Array(records) => records,
        Value::Null => Vec::new(),
        record => vec![record],
    })
}

/// Whether there is no record at `selector`.
pub(crate) fn is_empty_at(body: &Value, selector: &JsonPath) -> bool {
    match selector.first(body) {
        Some(Value::Array(records)) => records.is_empty(),
        Some(Value::Null) | None => true,
        Some(_) => false,
    }
}

/// Takes the value at `path` out of `body` without copying it.
fn take_value(body: &mut Value, path: &JsonPath) -> Value {
    let mut value = body;
    for step in path.steps() {
        let next = match step {
            Step::Field(name) => value.get_mut(name),
            Step::Index(index) => value.get_mut(index),
            Step::All | Step::Deep => None,
        };
        match next {
            Some(next) => value = next,
            None => return Value::Null,
        }
    }
    value.take()
}

/// Finds the only list that can hold the records: the response itself, the only list with the resource's name or a usual one, or the only
/// list in the response.
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
            (json!({"id": 1}), None),
        ] {
            let found = detect(&body, "events").ok().map(|path| path.to_string());
            assert_eq!(found.as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn a_selector_that_finds_nothing_is_an_error_unless_the_response_counts_none() {
        let selector = JsonPath::parse("evnts").unwrap();
        assert!(take(json!({"events": [1]}), &selector, false).unwrap_err().contains("it has: events"));
        assert_eq!(take(json!({"page": 1}), &selector, true), Ok(vec![]));
        let many = JsonPath::parse("pages[*].rows").unwrap();
        assert_eq!(
            take(json!({"pages": [{"rows": [1, 2]}, {"rows": [3]}]}), &many, false),
            Ok(vec![json!(1), json!(2), json!(3)])
        );
        assert_eq!(take(json!({"pages": []}), &many, false), Ok(vec![]));
    }
}
