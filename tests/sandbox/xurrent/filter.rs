//! The language of filters: `field=a,b`, `field=!a,b`, `field=`, `field=!`, `field=>=a<b` and its parts.

use serde_json::Value;

use crate::clock;

/// A condition on one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) field: &'static str,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Empty,
    Present,
    Within { from: Option<Edge>, to: Option<Edge> },
}

/// One end of a range, in milliseconds for times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Edge {
    at: i64,
    inclusive: bool,
}

impl Filter {
    pub(super) fn parse(field: &'static str, text: &str) -> Result<Self, String> {
        let list = |text: &str| text.split(',').map(|value| value.trim().to_owned()).collect::<Vec<_>>();
        let test = match (text, text.chars().next()) {
            ("", _) => Test::Empty,
            ("!", _) => Test::Present,
            (_, Some('!')) => Test::NotIn(list(&text[1..])),
            (_, Some('>' | '<')) => range(field, text)?,
            _ => Test::In(list(text)),
        };
        if is_time(field)
            && let Test::In(values) | Test::NotIn(values) = &test
            && let Some(wrong) = values.iter().find(|value| clock::instant_ms(value).is_none())
        {
            return Err(format!("'{wrong}' is not a time of {field}."));
        }
        Ok(Self { field, test })
    }

    /// Whether a record's value of the field is one of those meant.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        let is = |wanted: &String| {
            if is_time(self.field) {
                return number(value).is_some_and(|at| Some(at) == clock::instant_ms(wanted));
            }
            word(value).as_deref() == Some(wanted)
        };
        match &self.test {
            Test::In(values) => values.iter().any(is),
            Test::NotIn(values) => !values.iter().any(is),
            Test::Empty => value.is_null(),
            Test::Present => !value.is_null(),
            Test::Within { from, to } => number(value).is_some_and(|at| {
                from.is_none_or(|from| from.at < at || (from.inclusive && from.at == at))
                    && to.is_none_or(|to| at < to.at || (to.inclusive && at == to.at))
            }),
        }
    }
}

fn is_time(field: &str) -> bool {
    field.ends_with("_at")
}

fn range(field: &str, text: &str) -> Result<Test, String> {
    let wrong = || format!("'{text}' is not a range of {field}.");
    if !is_time(field) && field != "id" {
        return Err(format!("{field} has no ranges."));
    }
    let edge = |text: &str| {
        let inclusive = text[1..].starts_with('=');
        let value = &text[1 + usize::from(inclusive)..];
        let at = if is_time(field) { clock::instant_ms(value) } else { value.parse().ok() };
        at.map(|at| Edge { at, inclusive }).ok_or_else(wrong)
    };
    match text.find('<') {
        Some(0) => Ok(Test::Within { from: None, to: Some(edge(text)?) }),
        Some(at) => Ok(Test::Within { from: Some(edge(&text[..at])?), to: Some(edge(&text[at..])?) }),
        None => Ok(Test::Within { from: Some(edge(text)?), to: None }),
    }
}

/// The number of a number, or of a time.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| clock::instant_ms(value.as_str()?))
}

/// What a filter compares: the id of a reference, and otherwise the value itself.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Object(reference) => reference.get("id").map(ToString::to_string),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Filter;

    fn accepts(field: &'static str, text: &str, value: serde_json::Value) -> bool {
        Filter::parse(field, text).unwrap().accepts(&value)
    }

    #[test]
    fn both_ends_of_a_range_are_as_they_are_written() {
        // The same instant as the edges, by another clock.
        let edge = json!("2026-01-01T01:00:00+01:00");
        for (text, expected) in [
            (">=2026-01-01T00:00:00Z", true),
            (">2026-01-01T00:00:00Z", false),
            ("<=2026-01-01T00:00:00Z", true),
            ("<2026-01-01T00:00:00Z", false),
            (">=2026-01-01T00:00:00Z<=2026-01-01T00:00:00Z", true),
            (">2025-12-31T23:59:59.5Z<2026-01-01T00:00:00.5Z", true),
            (">2025-12-31T23:59:59Z<2026-01-01T00:00:00Z", false),
            ("2026-01-01T00:00:00Z", true),
            ("!2026-01-01T00:00:00Z", false),
        ] {
            assert_eq!(accepts("updated_at", text, edge.clone()), expected, "{text}");
        }
    }

    #[test]
    fn lists_negations_and_emptiness() {
        assert!(accepts("name", "a,b", json!("b")) && !accepts("name", "!a,b", json!("b")));
        assert!(accepts("name", "!a,b", json!(null)) && !accepts("name", "a,b", json!(null)));
        assert!(accepts("sourceID", "", json!(null)) && !accepts("sourceID", "", json!("X")));
        assert!(accepts("sourceID", "!", json!("X")) && !accepts("sourceID", "!", json!(null)));
        assert!(accepts("parent", "44", json!({"id": 44, "name": "A"})));
        assert!(accepts("disabled", "true", json!(true)) && accepts("id", ">43<45", json!(44)));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (field, text) in [
            ("updated_at", ">=soon"),
            ("updated_at", ">="),
            ("updated_at", ">=2026-01-01T00:00:00 01:00"),
            ("updated_at", ">=2026-01-01"),
            ("updated_at", "yesterday"),
            ("name", ">a"),
            ("id", ">a"),
        ] {
            assert!(Filter::parse(field, text).is_err(), "{field}={text}");
        }
    }
}
