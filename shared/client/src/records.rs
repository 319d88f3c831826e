//! Where the records lie in an answer.

use serde_json::Value;

use manifest::JsonPath;
use manifest::path::Step;

/// Keys that lists of records have, by dlt's detector.
const USUAL: [&str; 11] =
    ["data", "items", "results", "entries", "records", "rows", "entities", "payload", "content", "objects", "values"];
/// How deep a list of records is looked for, as dlt does.
const DEEPEST: usize = 3;

/// Takes the records at `selector` out of `body`. Their absence is an error unless `empty`, the answer's own word that there are
/// none: a misspelt selector would otherwise read as an empty API.
pub(crate) fn take(mut body: Value, selector: &JsonPath, empty: bool) -> Result<Vec<Value>, String> {
    if !selector.is_in(&body) {
        return if empty {
            Ok(Vec::new())
        } else {
            Err(format!("`{selector}` is not in the answer; it has: {}", keys(&body)))
        };
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

/// Whether `selector` finds no record in `body`.
pub(crate) fn none_at(body: &Value, selector: &JsonPath) -> bool {
    match selector.first(body) {
        Some(Value::Array(records)) => records.is_empty(),
        Some(Value::Null) | None => true,
        Some(_) => false,
    }
}

/// Takes the value at `path` out of `body`, without a copy of it.
fn take_value(body: &mut Value, path: &JsonPath) -> Value {
    let mut at = body;
    for step in path.steps() {
        let next = match step {
            Step::Field(name) => at.get_mut(name),
            Step::Index(index) => at.get_mut(index),
            Step::All | Step::Deep => None,
        };
        match next {
            Some(next) => at = next,
            None => return Value::Null,
        }
    }
    at.take()
}

/// The one place that can only be the records': the answer itself, the only list in it, or the only one with a usual name or the
/// resource's own. More than one such list is an error that names them: dlt takes the first, which for Eventzilla is `pagination`.
pub(crate) fn detect(body: &Value, resource: &str) -> Result<JsonPath, String> {
    if body.is_array() {
        return JsonPath::parse("$");
    }
    let mut lists = Vec::new();
    find(body, &mut Vec::new(), &mut lists);
    let named: Vec<&Vec<String>> = lists
        .iter()
        .filter(|path| path.last().is_some_and(|name| name == resource || USUAL.contains(&name.as_str())))
        .collect();
    let own: Vec<&Vec<String>> =
        named.iter().copied().filter(|path| path.last().is_some_and(|name| name == resource)).collect();
    let only = match (own.as_slice(), named.as_slice(), lists.as_slice()) {
        ([only], ..) | (_, [only], _) => only,
        (.., [only]) => only,
        (.., []) => {
            return Err(format!(
                "no list of records is in the answer, it has: {}; say where they lie with `data_selector` (`$`: the whole answer is one)",
                keys(body)
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

fn find(value: &Value, at: &mut Vec<String>, lists: &mut Vec<Vec<String>>) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        at.push(name.clone());
        if member.is_array() {
            lists.push(at.clone());
        } else if at.len() < DEEPEST {
            find(member, at, lists);
        }
        at.pop();
    }
}

fn keys(body: &Value) -> String {
    let keys = body.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>().join(", "));
    keys.unwrap_or_else(|| "no fields".into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_list_that_can_be_no_other_is_taken_for_the_records() {
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
    fn a_selector_that_finds_nothing_is_an_error_unless_there_is_nothing() {
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
