//! The errors that a response reports although its status says that the request succeeded.
//!
//! A response of GraphQL has `errors` beside the data that could be read (GraphQL specification, October 2021, section 7.1): the data is
//! null or lacks records then. Other APIs have `error` in the same place.

use manifest::JsonPath;
use manifest::path::Step;
use serde_json::Value;

use crate::text::excerpt;

/// The members of a response that report errors.
const MEMBERS: [&str; 2] = ["errors", "error"];

/// Checks that `body` reports no errors. `selector` says where the records are, if that is known: what is there reports nothing. `ignored`
/// are the members that the manifest says to ignore.
///
/// # Errors
///
/// A message with the beginning of what the response says.
pub(crate) fn check_no_errors(body: &Value, selector: Option<&JsonPath>, ignored: &[JsonPath]) -> Result<(), String> {
    let is_of_records = |name: &str| match selector.map(JsonPath::steps) {
        Some([]) => true,
        Some([Step::Field(field), ..]) => field == name,
        _ => false,
    };
    for name in MEMBERS.into_iter().filter(|name| !is_of_records(name)) {
        let Some(reported) = body.get(name).filter(|reported| is_report(reported)) else { continue };
        if ignored.contains(&JsonPath::of_field(name)) {
            continue;
        }
        let excerpt = excerpt(reported.to_string().as_bytes());
        return Err(format!(
            "the answer reports errors, so that records may be missing: `{name}` is {excerpt}; if that means something else, add it to `ignore_hints`"
        ));
    }
    Ok(())
}

/// Whether a value says that there was an error. An API without one has null, `false`, 0 or something empty there.
fn is_report(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(reported) => *reported,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_beside_the_data_are_reported_in_their_words() {
        for body in [
            json!({"data": {"events": null}, "errors": [{"message": "timed out"}]}),
            json!({"errors": [{"message": "timed out"}]}),
            json!({"error": {"text": "timed out"}, "data": []}),
            json!({"error": "timed out"}),
        ] {
            let message = check_no_errors(&body, None, &[]).unwrap_err();
            assert!(message.contains("timed out") && message.contains("ignore_hints"), "{message}");
        }
        for body in [
            json!({"data": [], "errors": []}),
            json!({"error": null, "errors": {}}),
            json!({"error": false}),
            json!({"error": 0}),
            json!({"error": ""}),
            json!({"meta": {"errors": ["x"]}}),
            json!([{"errors": ["x"]}]),
        ] {
            assert_eq!(check_no_errors(&body, None, &[]), Ok(()), "{body}");
        }
        let ignored = [JsonPath::of_field("errors")];
        let body = json!({"errors": {"items": ["a note"]}});
        assert_eq!(check_no_errors(&body, None, &ignored), Ok(()));
        for selector in ["$", "errors.items"] {
            assert_eq!(check_no_errors(&body, Some(&JsonPath::parse(selector).unwrap()), &[]), Ok(()), "{selector}");
        }
        assert!(check_no_errors(&body, Some(&JsonPath::parse("data").unwrap()), &[]).is_err());
    }
}
