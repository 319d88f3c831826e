//! Values of a request with placeholders in them: `{incremental.start_value}`, `{resources.events.id}`, `{settings.account}`, `{value}`.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// What a path's segment holds as it is: RFC 3986's unreserved letters.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A JSON value whose texts may hold placeholders in braces; `{{` and `}}` are literal braces.
///
/// A text that is one placeholder takes the bound value with its type. A text with a placeholder that has no value is left
/// out, and so is an object that loses its last member that way: with neither end of a window given, `filteredBy` is not sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Template(Value);

/// A text's pieces.
enum Piece<'t> {
    Literal(String),
    Placeholder(&'t str),
}

/// What a placeholder's name stands for.
pub(super) enum Renamed {
    /// Another name.
    Placeholder(String),
    /// A value that is known already.
    Value(String),
}

fn escape(literal: &str) -> String {
    literal.replace('{', "{{").replace('}', "}}")
}

impl Template {
    /// Checks every placeholder in `value` with `check`, which says what is wrong with one.
    pub fn parse(value: Value, check: &dyn Fn(&str) -> Result<(), String>) -> Result<Self, String> {
        let mut names = Vec::new();
        Self::names(&value, &mut names)?;
        names.iter().try_for_each(|name| check(name))?;
        Ok(Self(value))
    }

    /// The names of its placeholders.
    pub fn placeholders(&self) -> Vec<String> {
        let mut names = Vec::new();
        // Checked at parse time.
        let _ = Self::names(&self.0, &mut names);
        names
    }

    /// `text` with each placeholder's name replaced by what `rename` makes of it.
    pub(super) fn rename(
        text: &str,
        rename: &mut dyn FnMut(&str) -> Result<Renamed, String>,
    ) -> Result<String, String> {
        let mut renamed = String::new();
        for piece in Self::pieces(text)? {
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

    fn names(value: &Value, names: &mut Vec<String>) -> Result<(), String> {
        match value {
            Value::String(text) => {
                for piece in Self::pieces(text)? {
                    if let Piece::Placeholder(name) = piece {
                        names.push(name.to_owned());
                    }
                }
                Ok(())
            }
            Value::Array(elements) => elements.iter().try_for_each(|element| Self::names(element, names)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                Self::check_name(name)?;
                Self::names(member, names)
            }),
            _ => Ok(()),
        }
    }

    /// An error for a parameter's, header's or member's name with a placeholder in it: names are sent as they are.
    pub(super) fn check_name(name: &str) -> Result<(), String> {
        let known = ["{resources.", "{incremental.", "{settings."];
        if known.iter().any(|known| name.contains(known)) {
            return Err(format!("`{name}`: a placeholder stands in a value, not in a name"));
        }
        Ok(())
    }

    /// The text as a path: what fills a placeholder is percent-encoded, so that it stays within its segment. An error names the
    /// placeholder that has no value, or one that no path can hold.
    pub fn render_path(&self, bind: &dyn Fn(&str) -> Option<Value>) -> Result<String, String> {
        let mut path = String::new();
        for piece in self.0.as_str().and_then(|text| Self::pieces(text).ok()).unwrap_or_default() {
            match piece {
                Piece::Literal(literal) => path.push_str(&literal),
                Piece::Placeholder(name) => {
                    let value =
                        bind(name).filter(|value| !value.is_null()).ok_or_else(|| format!("`{name}` has no value"))?;
                    let text = plain(&value);
                    // A URL's reader takes a segment of dots for a step up, also when they are encoded.
                    if text.is_empty() || text == "." || text == ".." {
                        return Err(format!("`{name}` is `{text}`, which cannot stand in a path"));
                    }
                    path.extend(utf8_percent_encode(&text, SEGMENT));
                }
            }
        }
        Ok(path)
    }

    fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
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

    /// The value with each placeholder replaced by what `bind` gives; `None` when nothing is left of it.
    pub fn render(&self, bind: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        Self::fill(&self.0, bind)
    }

    fn fill(value: &Value, bind: &dyn Fn(&str) -> Option<Value>) -> Option<Value> {
        match value {
            Value::String(text) => {
                // Checked at parse time; a text that is none of ours stands for itself.
                let pieces = Self::pieces(text).unwrap_or_else(|_| vec![Piece::Literal(text.clone())]);
                if let [Piece::Placeholder(name)] = pieces.as_slice() {
                    return bind(name);
                }
                let mut filled = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => filled.push_str(&literal),
                        Piece::Placeholder(name) => filled.push_str(&plain(&bind(name)?)),
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
            other => Some(other.clone()),
        }
    }
}

impl std::fmt::Display for Template {
    /// As written.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&plain(&self.0))
    }
}

/// A scalar's text without quotes: what a query parameter holds.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => elements.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
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
    fn a_member_without_a_value_is_left_out() {
        let body =
            json!({"limit": 5, "filteredBy": {"from": "{incremental.start_value}", "to": "{incremental.end_value}"}});
        assert_eq!(render(body.clone(), Some("x")), Some(json!({"limit": 5, "filteredBy": {"from": "x"}})));
        assert_eq!(render(body, None), Some(json!({"limit": 5})));
    }

    #[test]
    fn texts_are_filled_and_braces_kept() {
        assert_eq!(render(json!("<{incremental.start_value}> {{x}}"), Some("a")), Some(json!("<a> {x}")));
        assert_eq!(render(json!({}), None), Some(json!({})));
    }

    #[test]
    fn what_fills_a_path_stays_in_its_segment() {
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
    fn unknown_placeholders_are_refused() {
        for text in ["{event_id}", "{increment.startvalue}", "{", "}"] {
            assert!(Template::parse(json!([text]), &check).is_err(), "{text}");
        }
    }
}
