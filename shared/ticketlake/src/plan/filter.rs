//! The conditions that a request adds to the queries (`params`).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use manifest::Body;
use manifest::template::param_text;
use manifest::{Filter, Template};

/// Renders templates as texts. Templates whose placeholder has no value are omitted.
pub(super) fn render_all(
    params: &BTreeMap<String, Template>,
    bind: &dyn Fn(&str) -> Option<Value>,
) -> BTreeMap<String, String> {
    params.iter().filter_map(|(name, template)| Some((name.clone(), param_text(&template.render(bind)?)))).collect()
}

/// Returns the values in the text of a filter.
pub fn values(filter: &Filter, text: &str) -> Vec<Value> {
    if filter.list {
        text.split(',').map(|element| Value::from(element.trim())).collect()
    } else {
        vec![Value::from(text)]
    }
}

/// Adds the condition `filter`, which is called `name`, with the value `text`.
pub(super) fn apply(
    filter: &Filter,
    name: &str,
    text: &str,
    params: &mut BTreeMap<String, String>,
    body: &mut Option<Body>,
) {
    let value = if filter.list { Value::Array(values(filter, text)) } else { Value::from(text) };
    let bind = |_: &str| Some(value.clone());
    if filter.params.is_empty() && filter.json.is_none() {
        params.insert(name.to_owned(), param_text(&value));
    }
    params.extend(render_all(&filter.params, &bind));
    if let Some(addition) = filter.json.as_ref().and_then(|json| json.render(&bind)) {
        if !matches!(body, Some(Body::Json(_))) {
            *body = Some(Body::Json(json!({})));
        }
        if let Some(Body::Json(base)) = body {
            merge_json(base, addition);
        }
    }
}

/// Merges `addition` into `base`, object by object. Other values of `base` are replaced.
fn merge_json(base: &mut Value, addition: Value) {
    match (base, addition) {
        (Value::Object(base), Value::Object(addition)) => {
            for (name, value) in addition {
                merge_json(base.entry(name).or_insert(Value::Null), value);
            }
        }
        (base, addition) => *base = addition,
    }
}
