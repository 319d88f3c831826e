//! The parser, the table and the JSON Schema agree on every key.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{EVERY_KEY, json, keys, schema_errors, validator};
use crate::fault::Faults;
use crate::keys::{MANIFEST, Mapping, Type};
use crate::source::Manifest;

/// The name of a mapping and the name of one of its keys.
type KeyName = (&'static str, &'static str);

/// Finds the keys of a manifest, each with the JSON Pointers of its values.
fn find_keys(manifest: &Value) -> BTreeMap<KeyName, Vec<String>> {
    let mut found = BTreeMap::new();
    visit_mapping(&MANIFEST, manifest, "", &mut found);
    found
}

fn visit(value_type: &'static Type, value: &Value, pointer: &str, found: &mut BTreeMap<KeyName, Vec<String>>) {
    match (value_type, value) {
        (Type::AnyOf(types), _) => types.iter().for_each(|value_type| visit(value_type, value, pointer, found)),
        (Type::List(element) | Type::NonEmptyList(element), Value::Array(elements)) => {
            for (index, value) in elements.iter().enumerate() {
                visit(element, value, &format!("{pointer}/{index}"), found);
            }
        }
        (Type::MapOf(member), Value::Object(members)) => {
            for (name, value) in members {
                visit(member, value, &format!("{pointer}/{name}"), found);
            }
        }
        (Type::Mapping(mapping) | Type::Merged(mapping) | Type::DefaultsOf(mapping), Value::Object(_)) => {
            visit_mapping(mapping, value, pointer, found);
        }
        (Type::Variants(variants), Value::Object(members)) => {
            let type_name = members.get("type").and_then(Value::as_str).or(variants.default).unwrap();
            visit_mapping(variants.mapping(type_name).unwrap(), value, pointer, found);
        }
        _ => {}
    }
}

fn visit_mapping(mapping: &'static Mapping, value: &Value, pointer: &str, found: &mut BTreeMap<KeyName, Vec<String>>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let key = mapping.key(name).unwrap();
        let pointer = format!("{pointer}/{name}");
        visit(&key.value_type, value, &pointer, found);
        found.entry((mapping.name, key.name)).or_default().push(pointer);
    }
}

/// The path that a fault names for a JSON Pointer: `resources[0].endpoint` for `/resources/0/endpoint`.
fn fault_path(pointer: &str) -> String {
    let segment = |name: &str| name.parse::<usize>().map_or_else(|_| format!(".{name}"), |index| format!("[{index}]"));
    let path: String = pointer.split('/').skip(1).map(segment).collect();
    path.trim_start_matches('.').to_owned()
}

fn parse(manifest: &Value) -> Result<String, Faults> {
    Manifest::parse("a.yaml", &manifest.to_string()).map(|manifest| format!("{manifest:?}"))
}

/// Values of each kind, most of them wrong for any one key.
fn replacements() -> [Value; 8] {
    [json!(null), json!(true), json!(7), json!("a text"), json!([]), json!(["a"]), json!({}), json!({"unknown": {}})]
}

/// The manifests of `every_key.yaml`.
fn manifests() -> Vec<Value> {
    EVERY_KEY.split("\n---\n").map(|text| json("every_key.yaml", text).unwrap()).collect()
}

#[test]
fn the_parser_and_the_schema_accept_every_key_of_the_table() {
    let mut found = BTreeMap::new();
    for text in EVERY_KEY.split("\n---\n") {
        if let Err(faults) = Manifest::parse("every_key.yaml", text) {
            panic!("{faults}");
        }
        assert_eq!(schema_errors("every_key.yaml", text), [""; 0]);
        found.extend(find_keys(&json("every_key.yaml", text).unwrap()));
    }
    let missing: Vec<KeyName> =
        keys().iter().map(|(mapping, key)| (mapping.name, key.name)).filter(|name| !found.contains_key(name)).collect();
    assert_eq!(missing, [], "every_key.yaml has no such keys");
}

#[test]
fn the_parser_reads_every_key_but_the_ignored_ones() {
    let mut is_read: BTreeMap<KeyName, bool> = BTreeMap::new();
    for manifest in manifests() {
        let found = find_keys(&manifest);
        let expected = parse(&manifest).unwrap();
        for (key, pointers) in found {
            let changes_the_result = |pointer: &String| {
                replacements().into_iter().any(|value| {
                    let mut changed = manifest.clone();
                    *changed.pointer_mut(pointer).unwrap() = value;
                    parse(&changed).ok().as_ref() != Some(&expected)
                })
            };
            *is_read.entry(key).or_default() |= pointers.iter().any(changes_the_result);
        }
    }
    for (mapping, key) in keys() {
        assert_eq!(is_read[&(mapping.name, key.name)], !key.ignored, "{}.{}", mapping.name, key.name);
    }
}

#[test]
fn the_schema_accepts_what_the_parser_accepts() {
    let validator = validator();
    let ignored: Vec<KeyName> =
        keys().iter().filter(|(_, key)| key.ignored).map(|(mapping, key)| (mapping.name, key.name)).collect();
    for manifest in manifests() {
        let found = find_keys(&manifest);
        for pointer in found.iter().filter(|(key, _)| !ignored.contains(key)).flat_map(|(_, pointers)| pointers) {
            for value in replacements() {
                let mut changed = manifest.clone();
                *changed.pointer_mut(pointer).unwrap() = value.clone();
                let is_contradiction = !validator.is_valid(&changed) && parse(&changed).is_ok();
                assert!(!is_contradiction, "{pointer}: {value}: only the parser accepts it");
            }
        }
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses_for_its_type() {
    let validator = validator();
    for manifest in manifests() {
        let found = find_keys(&manifest);
        for pointer in found.values().flatten() {
            for value in replacements() {
                let mut changed = manifest.clone();
                *changed.pointer_mut(pointer).unwrap() = value.clone();
                let Err(faults) = parse(&changed) else { continue };
                let is_of_type = |message: &str| {
                    let is_choice = message.starts_with('`') && message.contains("` is not one of");
                    is_choice || message.starts_with("must be") || message.starts_with("unknown key")
                };
                let is_inside =
                    |place: &str| place.split_once(' ').is_some_and(|(_, path)| path.starts_with(&fault_path(pointer)));
                let refuses_type = faults.0.iter().any(|fault| is_inside(&fault.place) && is_of_type(&fault.message));
                assert!(!(refuses_type && validator.is_valid(&changed)), "{pointer}: {value}: {faults}");
            }
        }
    }
}
