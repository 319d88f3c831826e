//! From one record that is a tree to several records: one for each leaf, with everything above it, and one for each object of a level
//! that has rows of its own.

use manifest::path::Step;
use manifest::{JsonPath, Level};
use serde_json::{Map, Value, json};

/// The field of an exploded record that describes its deepest object: `id` and `name` of the object, the name of its level as `level`,
/// and the same of the object above as `parent`.
pub(super) const LEAF: &str = "leaf";

/// Explodes `record` by the first of `trees` whose first level it has. Returns `None` if it has none of them.
pub(super) fn explode(trees: &[Vec<Level>], record: &Value) -> Option<Vec<Value>> {
    trees.iter().find_map(|tree| {
        let (first, levels_below) = tree.split_first()?;
        let roots = objects(&first.path, record);
        if roots.is_empty() {
            return None;
        }
        let base = without(record, &first.path);
        let mut records = Vec::new();
        for root in roots {
            let node = Node { level: first, object: root, above: base.clone(), parent: &Value::Null };
            node.collect_records(levels_below, &mut records);
        }
        Some(records)
    })
}

/// An object of the tree.
struct Node<'n> {
    level: &'n Level,
    object: &'n Value,
    /// The record without its tree, and the objects above this one by the names of their levels.
    above: Map<String, Value>,
    /// The description of the object above, null for a root.
    parent: &'n Value,
}

impl Node<'_> {
    /// Adds the records of this object and of all objects below it to `records`.
    fn collect_records(self, levels_below: &[Level], records: &mut Vec<Value>) {
        let Self { level, object, above: mut base, parent } = self;
        let next = levels_below.first();
        let members = match next {
            Some(next) => without(object, &next.path),
            None => object.as_object().cloned().unwrap_or_default(),
        };
        base.insert(level.name.clone(), Value::Object(members));
        let description = json!({"id": object.get("id"), "name": object.get("name"), "level": level.name});
        let children = next.map(|next| objects(&next.path, object)).unwrap_or_default();
        if children.is_empty() || level.row {
            let mut record = base.clone();
            let mut leaf = description.clone();
            leaf["parent"] = parent.clone();
            record.insert(LEAF.into(), leaf);
            records.push(Value::Object(record));
        }
        if let Some((next, deeper)) = levels_below.split_first() {
            for child in children {
                let node = Node { level: next, object: child, above: base.clone(), parent: &description };
                node.collect_records(deeper, records);
            }
        }
    }
}

/// Returns the objects at `path` in `value`.
fn objects<'v>(path: &JsonPath, value: &'v Value) -> Vec<&'v Value> {
    path.all(value).into_iter().filter(|value| value.is_object()).collect()
}

/// Returns the object `value` without the value at `path`. The objects around that value stay if they have other members.
fn without(value: &Value, path: &JsonPath) -> Map<String, Value> {
    let mut object = value.as_object().cloned().unwrap_or_default();
    remove(&mut object, path.steps());
    object
}

/// Removes the value at the end of `steps`, and objects around it that are empty then.
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
