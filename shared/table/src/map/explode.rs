//! One record into many: a tree into one record a leaf, and one for each level that is to have its own, with everything above it.

use serde_json::{Map, Value, json};

use manifest::path::Step;
use manifest::{JsonPath, Level};

/// Where a row's record holds `id` and `name` of the deepest level that it reached, that level's own name as `level`, and the same of
/// the level above as `parent`.
pub(super) const LEAF: &str = "leaf";

/// The leaves of `record` by the first of `ways` whose first level it has; `None` when it has none.
pub(super) fn explode(ways: &[Vec<Level>], record: &Value) -> Option<Vec<Value>> {
    ways.iter().find_map(|way| {
        let (first, below) = way.split_first()?;
        let tops = objects(&first.path, record);
        if tops.is_empty() {
            return None;
        }
        let base = without(record, &first.path);
        let mut leaves = Vec::new();
        for top in tops {
            descend(first, top, below, (base.clone(), &Value::Null), &mut leaves);
        }
        Some(leaves)
    })
}

fn descend(
    level: &Level,
    object: &Value,
    below: &[Level],
    (mut base, parent): (Map<String, Value>, &Value),
    leaves: &mut Vec<Value>,
) {
    let next = below.first();
    let own = next.map_or_else(|| object.as_object().cloned().unwrap_or_default(), |next| without(object, &next.path));
    base.insert(level.name.clone(), Value::Object(own));
    let leaf = json!({"id": object.get("id"), "name": object.get("name"), "level": level.name});
    let children = below.first().map(|next| objects(&next.path, object)).unwrap_or_default();
    if children.is_empty() || level.row {
        let mut row = base.clone();
        let mut own = leaf.clone();
        own["parent"] = parent.clone();
        row.insert(LEAF.into(), own);
        leaves.push(Value::Object(row));
    }
    if let Some((next, deeper)) = below.split_first() {
        for child in children {
            descend(next, child, deeper, (base.clone(), &leaf), leaves);
        }
    }
}

fn objects<'v>(path: &JsonPath, value: &'v Value) -> Vec<&'v Value> {
    path.all(value).into_iter().filter(|value| value.is_object()).collect()
}

/// The object without what lies at `path`; the way to it stays where it holds something else.
fn without(value: &Value, path: &JsonPath) -> Map<String, Value> {
    let mut object = value.as_object().cloned().unwrap_or_default();
    remove(&mut object, path.steps());
    object
}

fn remove(object: &mut Map<String, Value>, steps: &[Step]) {
    let Some((Step::Field(name), rest)) = steps.split_first() else {
        return;
    };
    match (rest.first(), object.get_mut(name)) {
        (Some(Step::Field(_)), Some(Value::Object(inner))) => {
            remove(inner, rest);
            if inner.is_empty() {
                object.remove(name);
            }
        }
        _ => {
            object.remove(name);
        }
    }
}
