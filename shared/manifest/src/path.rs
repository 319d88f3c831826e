//! The subset of JSONPath that manifests use: `a.b`, `$`, `[0]`, `[*]`, `['quoted']`, `..name`.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of an object with this name.
    Field(String),
    /// The element of a list with this index, counted from 0.
    Index(usize),
    /// Every element of a list.
    All,
    /// The value itself and all values inside it.
    Deep,
}

/// A JSONPath: a place, or several places, in a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    ///
    /// A message that says what is not understood. The filters and the arithmetic of jsonpath-ng are refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rest = text.trim();
        let mut steps = Vec::new();
        if rest.is_empty() {
            return Err("the path is empty".into());
        }
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
        } else if !rest.starts_with('[') {
            rest = Self::parse_field(rest, &mut steps)?;
        }
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("..") {
                steps.push(Step::Deep);
                rest = if after.starts_with('[') { after } else { Self::parse_field(after, &mut steps)? };
            } else if let Some(after) = rest.strip_prefix('.') {
                rest = if after.starts_with('[') { after } else { Self::parse_field(after, &mut steps)? };
            } else if let Some(after) = rest.strip_prefix('[') {
                let end = Self::find_bracket_end(after).ok_or_else(|| format!("`[` without `]` in `{text}`"))?;
                steps.push(Self::parse_bracket(&after[..end])?);
                rest = &after[end + 1..];
            } else {
                return Err(format!("`{rest}` in `{text}` is not understood"));
            }
        }
        Ok(Self(steps))
    }

    /// Reads a field name at the beginning of `text` and returns the text after it.
    fn parse_field<'t>(text: &'t str, steps: &mut Vec<Step>) -> Result<&'t str, String> {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let name = &text[..end];
        if name == "*" {
            steps.push(Step::All);
        } else if name.is_empty() || name.contains(['?', '(', ')', ' ', '`', '|', '\'', '"']) {
            return Err(format!("`{name}` is not a field name; quote it as `['{name}']` if it is one"));
        } else {
            steps.push(Step::Field(name.to_owned()));
        }
        Ok(&text[end..])
    }

    /// Returns where the `]` is that ends the brackets; `text` is the text after the `[`.
    fn find_bracket_end(text: &str) -> Option<usize> {
        match text.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                text[1..].find(quote).map(|at| at + 2).filter(|at| text[*at..].starts_with(']'))
            }
            _ => text.find(']'),
        }
    }

    /// Reads the text inside brackets.
    fn parse_bracket(inside: &str) -> Result<Step, String> {
        if inside == "*" {
            return Ok(Step::All);
        }
        for quote in ['\'', '"'] {
            if let Some(name) = inside.strip_prefix(quote).and_then(|name| name.strip_suffix(quote)) {
                return Ok(Step::Field(name.to_owned()));
            }
        }
        inside
            .parse()
            .map(Step::Index)
            .map_err(|_| format!("`[{inside}]` is not supported: use `[0]`, `[*]` or `['name']`"))
    }

    /// The path of the field `name`.
    pub fn of_field(name: &str) -> Self {
        Self(vec![Step::Field(name.to_owned())])
    }

    /// The steps of the path, the outermost first.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Returns whether the path can find more than one value.
    pub fn is_many(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::All | Step::Deep))
    }

    /// Returns whether `value` has the place that the path names, even if it holds no value: for a path with `[*]`, the list whose
    /// elements it takes.
    pub fn is_in(&self, value: &Value) -> bool {
        let single = self.0.iter().take_while(|step| !matches!(step, Step::All | Step::Deep)).count();
        let through_list = self.0.get(single) == Some(&Step::All);
        let start = Self::walk(&self.0[..single], value, &mut Some);
        start.is_some_and(|start| single == self.0.len() || !through_list || start.is_array())
    }

    /// Returns whether the path can lead to a place inside of what `outer` finds.
    pub fn may_lie_within(&self, outer: &Self) -> bool {
        let is_deep = |path: &Self| path.0.contains(&Step::Deep);
        let may_agree = |(step, other): (&Step, &Step)| {
            step == other || matches!((step, other), (Step::All, Step::Index(_)) | (Step::Index(_), Step::All))
        };
        is_deep(self) || is_deep(outer) || (self.0.len() > outer.0.len() && self.0.iter().zip(&outer.0).all(may_agree))
    }

    /// Finds the first value at the path.
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        Self::walk(&self.0, value, &mut Some)
    }

    /// Finds all values at the path, in order.
    pub fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        let mut values = Vec::new();
        Self::walk(&self.0, value, &mut |value| {
            values.push(value);
            None
        });
        values
    }

    /// Calls `visit` with each value at the path, in order, until it returns a value.
    fn walk<'v>(
        steps: &[Step],
        value: &'v Value,
        visit: &mut impl FnMut(&'v Value) -> Option<&'v Value>,
    ) -> Option<&'v Value> {
        let Some((step, rest)) = steps.split_first() else {
            return visit(value);
        };
        match step {
            Step::Field(name) => Self::walk(rest, value.get(name)?, visit),
            Step::Index(index) => Self::walk(rest, value.get(index)?, visit),
            Step::All => value.as_array()?.iter().find_map(|element| Self::walk(rest, element, visit)),
            Step::Deep => {
                if let Some(visited) = Self::walk(rest, value, visit) {
                    return Some(visited);
                }
                match value {
                    Value::Array(elements) => elements.iter().find_map(|element| Self::walk(steps, element, visit)),
                    Value::Object(members) => members.values().find_map(|member| Self::walk(steps, member, visit)),
                    _ => None,
                }
            }
        }
    }
}

impl fmt::Display for JsonPath {
    /// Writes the path as a manifest does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("$");
        }
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if position == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::All => f.write_str("[*]")?,
                Step::Deep => f.write_str(".")?,
            }
        }
        Ok(())
    }
}

impl Serialize for JsonPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_finds_the_values_that_it_names() {
        let record = json!({"a": {"b": [{"id": 1}, {"id": 2}, {"x": 3}]}, "odd key.x": 4});
        for (path, expected) in [
            ("$.a.b[0].id", vec![json!(1)]),
            ("a.b[*].id", vec![json!(1), json!(2)]),
            ("a.b[9].id", vec![]),
            ("['odd key.x']", vec![json!(4)]),
            ("a.c", vec![]),
            ("$..id", vec![json!(1), json!(2)]),
            ("a..x", vec![json!(3)]),
        ] {
            let path = JsonPath::parse(path).unwrap();
            assert_eq!(path.all(&record).into_iter().cloned().collect::<Vec<_>>(), expected, "{path}");
            assert_eq!(path.first(&record), expected.first(), "{path}");
        }
        assert_eq!(JsonPath::parse("$").unwrap().first(&record), Some(&record));
    }

    #[test]
    fn a_path_with_unsupported_steps_is_refused() {
        for path in ["", "a..", "a[?(@.x)]", "a[", "a.", "a b"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
