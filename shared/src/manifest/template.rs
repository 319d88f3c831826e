//! Values of a request with placeholders in them: `{incremental.start_value}`, `{incremental.end_value}`, `{value}`.

use serde_json::{Map, Value};

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

impl Template {
    /// Checks every placeholder in `value` against `known`.
    pub fn parse(value: Value, known: &[&str]) -> Result<Self, String> {
        Self::check(&value, known)?;
        Ok(Self(value))
    }

    fn check(value: &Value, known: &[&str]) -> Result<(), String> {
        match value {
            Value::String(text) => {
                for piece in Self::pieces(text)? {
                    if let Piece::Placeholder(name) = piece
                        && !known.contains(&name)
                    {
                        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                        return Err(format!(
                            "`{{{name}}}` is not known here; known: {known}. Write `{{{{` for a brace"
                        ));
                    }
                }
                Ok(())
            }
            Value::Array(elements) => elements.iter().try_for_each(|element| Self::check(element, known)),
            Value::Object(members) => members.values().try_for_each(|member| Self::check(member, known)),
            _ => Ok(()),
        }
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

    const KNOWN: [&str; 2] = ["incremental.start_value", "incremental.end_value"];

    fn render(value: Value, start: Option<&str>) -> Option<Value> {
        Template::parse(value, &KNOWN)
            .unwrap()
            .render(&|name| (name == KNOWN[0]).then(|| start.map(Value::from)).flatten())
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
    fn unknown_placeholders_are_refused() {
        for text in ["{event_id}", "{incremental.startvalue}", "{", "}"] {
            assert!(Template::parse(json!([text]), &KNOWN).is_err(), "{text}");
        }
    }
}
