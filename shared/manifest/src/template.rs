//! Values of a request that hold placeholders: `{incremental.start_value}`, `{resources.events.id}`, `{settings.account}`, `{value}`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// The letters that are percent-encoded in a segment of a path: all but the unreserved ones of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A JSON value whose texts may hold placeholders in braces. `{{` and `}}` stand for braces.
///
/// A text that is one placeholder takes the value with its type. A text with a placeholder that has no value is left out, and so is
/// an object that loses its last member that way: without the ends of a range, the filter that holds them is not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Value);

/// A piece of a text.
enum Piece<'t> {
    Literal(String),
    Placeholder(&'t str),
}

/// The replacement of a placeholder's name.
pub(super) enum Renamed {
    /// A placeholder with another name.
    Placeholder(String),
    /// A value, which replaces the placeholder.
    Value(String),
}

/// Doubles the braces of a literal text.
fn escape(literal: &str) -> String {
    literal.replace('{', "{{").replace('}', "}}")
}

impl Template {
    /// Reads a template. `check` says what is wrong with the placeholder of a name.
    ///
    /// # Errors
    ///
    /// The first message of `check`, or one that says which brace or which name is wrong.
    pub fn parse(value: Value, check: &dyn Fn(&str) -> Result<(), String>) -> Result<Self, String> {
        let mut names = Vec::new();
        Self::collect_names(&value, &mut names)?;
        names.iter().try_for_each(|name| check(name))?;
        Ok(Self(value))
    }

    /// The names of the placeholders.
    pub fn placeholders(&self) -> Vec<String> {
        let mut names = Vec::new();
        // There is no error: `parse` has checked the value.
        let _ = Self::collect_names(&self.0, &mut names);
        names
    }

    /// Returns `text` with each placeholder replaced by what `rename` returns for its name.
    ///
    /// # Errors
    ///
    /// The first message of `rename`, or one that says which brace is wrong.
    pub(super) fn rename(
        text: &str,
        rename: &mut dyn FnMut(&str) -> Result<Renamed, String>,
    ) -> Result<String, String> {
        let mut renamed = String::new();
        for piece in Self::parse_pieces(text)? {
            match piece {
                Piece::Literal(literal) => renamed.push_str(&escape(&literal)),
                Piece::Placeholder(name) => match rename(name)? {
                    Renamed::Placeholder(name) => renamed.push_str(&format!("{{{name}}}")),
                    Renamed::Value(value) => renamed.extend(utf8_percent_encode(&value, SEGMENT)),
                },
            }
        }
        Ok(renamed)
    }

    /// Adds the names of the placeholders in `value` to `names`.
    fn collect_names(value: &Value, names: &mut Vec<String>) -> Result<(), String> {
        match value {
            Value::String(text) => {
                for piece in Self::parse_pieces(text)? {
                    if let Piece::Placeholder(name) = piece {
                        names.push(name.to_owned());
                    }
                }
                Ok(())
            }
            Value::Array(elements) => elements.iter().try_for_each(|element| Self::collect_names(element, names)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                Self::check_name(name)?;
                Self::collect_names(member, names)
            }),
            _ => Ok(()),
        }
    }

    /// Checks the name of a parameter, a header or a member, which is sent as it is.
    ///
    /// # Errors
    ///
    /// A message if the name holds a placeholder.
    pub(super) fn check_name(name: &str) -> Result<(), String> {
        let prefixes = ["{resources.", "{incremental.", "{settings."];
        if prefixes.iter().any(|prefix| name.contains(prefix)) {
            return Err(format!("`{name}`: a placeholder stands in a value, not in a name"));
        }
        Ok(())
    }

    /// Fills in a path. The value of a placeholder, which `bind` returns for its name, is percent-encoded, so that it stays within its
    /// segment.
    ///
    /// # Errors
    ///
    /// A message that names the placeholder that has no value, or a value that no path can hold.
    pub fn render_path(&self, bind: &dyn Fn(&str) -> Option<Value>) -> Result<String, String> {
        let mut path = String::new();
        for piece in self.0.as_str().and_then(|text| Self::parse_pieces(text).ok()).unwrap_or_default() {
            match piece {
                Piece::Literal(literal) => path.push_str(&literal),
                Piece::Placeholder(name) => {
                    let value =
                        bind(name).filter(|value| !value.is_null()).ok_or_else(|| format!("`{name}` has no value"))?;
                    let text = param_text(&value);
                    // A server takes a segment of dots for a step up, even if they are encoded.
                    if text.is_empty() || text == "." || text == ".." {
                        return Err(format!("`{name}` is `{text}`, which cannot stand in a path"));
                    }
                    path.extend(utf8_percent_encode(&text, SEGMENT));
                }
            }
        }
        Ok(path)
    }

    /// Splits a text into its literal pieces and its placeholders.
    fn parse_pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if brace == "{" {
                let end = rest.find('}').ok_or_else(|| format!("`{{` without `}}` in `{text}`"))?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Placeholder(&rest[..end]));
                rest = &rest[end + 1..];
            } else {
                return Err(format!("`}}` without `{{` in `{text}`"));
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(pieces)
    }

    /// Fills in the value of each placeholder, which `bind` returns for its name. `None` if nothing is left of the template.
    pub fn render(&self, bind: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        Self::fill(&self.0, bind)
    }

    fn fill(value: &Value, bind: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        match value {
            Value::String(text) => {
                // There is no error: `parse` has checked the text.
                let pieces = Self::parse_pieces(text).unwrap_or_else(|_| vec![Piece::Literal(text.clone())]);
                if let [Piece::Placeholder(name)] = pieces.as_slice() {
                    return bind(name);
                }
                let mut filled = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => filled.push_str(&literal),
                        Piece::Placeholder(name) => filled.push_str(&param_text(&bind(name)?)),
                    }
                }
                Some(Value::String(filled))
            }
            Value::Array(elements) => {
                Some(Value::Array(elements.iter().filter_map(|element| Self::fill(element, bind)).collect()))
            }
            Value::Object(members) => {
                let filled: Map<String, Value> = members
                    .iter()
                    .filter_map(|(name, member)| Some((name.clone(), Self::fill(member, bind)?)))
                    .collect();
                (members.is_empty() || !filled.is_empty()).then_some(Value::Object(filled))
            }
            scalar => Some(scalar.clone()),
        }
    }
}

impl std::fmt::Display for Template {
    /// Writes the template as the manifest does.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&param_text(&self.0))
    }
}

/// Writes a value as a query parameter holds it: a text without quotes, a list with commas.
pub fn param_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => elements.iter().map(param_text).collect::<Vec<_>>().join(","),
        scalar => scalar.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const START: &str = "incremental.start_value";

    fn check(name: &str) -> Result<(), String> {
        if name.starts_with("incremental.") { Ok(()) } else { Err(format!("`{{{name}}}` is not known here")) }
    }

    fn render(value: Value, start: Option<&str>) -> Option<Value> {
        Template::parse(value, &check)
            .unwrap()
            .render(&|name| (name == START).then(|| start.map(Value::from)).flatten())
    }

    #[test]
    fn a_member_whose_placeholder_has_no_value_is_left_out() {
        let body =
            json!({"limit": 5, "filteredBy": {"from": "{incremental.start_value}", "to": "{incremental.end_value}"}});
        assert_eq!(render(body.clone(), Some("x")), Some(json!({"limit": 5, "filteredBy": {"from": "x"}})));
        assert_eq!(render(body, None), Some(json!({"limit": 5})));
    }

    #[test]
    fn placeholders_are_filled_and_doubled_braces_are_braces() {
        assert_eq!(render(json!("<{incremental.start_value}> {{x}}"), Some("a")), Some(json!("<a> {x}")));
        assert_eq!(render(json!({}), None), Some(json!({})));
    }

    #[test]
    fn the_value_of_a_placeholder_stays_in_its_segment_of_the_path() {
        let path = Template::parse(json!("/v1/events/{incremental.id}/attendees"), &check).unwrap();
        let render = |value: Value| path.render_path(&|_| Some(value.clone()));
        assert_eq!(render(json!(17)).as_deref(), Ok("/v1/events/17/attendees"));
        assert_eq!(
            render(json!("a/../../admin?x=1#f")).as_deref(),
            Ok("/v1/events/a%2F..%2F..%2Fadmin%3Fx%3D1%23f/attendees")
        );
        for value in [json!(null), json!(""), json!(".."), json!(".")] {
            assert!(render(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn an_unknown_placeholder_is_refused() {
        for text in ["{event_id}", "{increment.startvalue}", "{", "}"] {
            assert!(Template::parse(json!([text]), &check).is_err(), "{text}");
        }
    }
}
