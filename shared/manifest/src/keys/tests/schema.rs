//! The JSON Schema of a manifest, for `docs/manifest.schema.json`.

use serde_json::{Map, Value, json};

use super::sections::{Item, Section, sections};
use crate::keys::{DefaultValue, Key, Mapping, Presence, Type, Variants};

/// The schema of a manifest, in the draft 2020-12.
pub(super) fn schema() -> Value {
    let mut definitions = Map::new();
    for section in sections() {
        let definition = match section.item {
            Item::Mapping(mapping) => mapping_schema(mapping, &required_keys(&section, mapping)),
            Item::Variants(variants) => variants_schema(variants),
        };
        definitions.insert(section.item.name().to_owned(), definition);
        if let Item::Mapping(mapping) = section.item {
            for key in mapping.keys {
                if let Type::DefaultsOf(mapping) = key.value_type {
                    definitions.insert(defaults_name(mapping), defaults_schema(mapping));
                }
            }
        }
    }
    let mut schema = definitions.remove("manifest").unwrap();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = "Manifest of ticketlake".into();
    schema["$defs"] = definitions.into();
    schema
}

/// The keys that the schema of the mapping requires, in groups of which one is enough.
fn required_keys(section: &Section, mapping: &Mapping) -> Vec<Vec<&'static str>> {
    let group = |key: &Key| match key.presence {
        Presence::Optional => None,
        Presence::Required => Some(vec![key.name]),
        Presence::RequiredWithout(other) => Some(vec![key.name, other]),
    };
    if section.is_merged { Vec::new() } else { mapping.keys.iter().filter_map(group).collect() }
}

fn mapping_schema(mapping: &Mapping, required: &[Vec<&'static str>]) -> Value {
    let properties: Map<String, Value> =
        mapping.keys.iter().map(|key| (key.name.to_owned(), key_schema(key))).collect();
    let mut schema = json!({
        "type": "object",
        "description": mapping.description,
        "properties": properties,
        "additionalProperties": false,
    });
    let names: Vec<&str> = required.iter().filter(|group| group.len() == 1).map(|group| group[0]).collect();
    if !names.is_empty() {
        schema["required"] = json!(names);
    }
    let alternatives: Vec<Value> = required
        .iter()
        .filter(|group| group.len() > 1)
        .map(|group| json!({"anyOf": group.iter().map(|name| json!({"required": [name]})).collect::<Vec<_>>()}))
        .collect();
    if !alternatives.is_empty() {
        schema["allOf"] = json!(alternatives);
    }
    schema
}

/// The mapping with no required key. A text cannot stand for a mapping that others are laid over.
fn defaults_schema(mapping: &Mapping) -> Value {
    let mut schema = mapping_schema(mapping, &[]);
    for key in mapping.keys {
        let Type::AnyOf(types) = key.value_type else { continue };
        if let Some(merged) = types.iter().find(|value_type| matches!(value_type, Type::Merged(_))) {
            schema["properties"][key.name] = key_schema(&Key { value_type: *merged, ..*key });
        }
    }
    schema
}

fn variants_schema(variants: &Variants) -> Value {
    let mut alternatives = Vec::new();
    if variants.shorthand {
        let has_required = |mapping: &Mapping| mapping.keys.iter().any(|key| key.presence != Presence::Optional);
        let complete = variants.mappings.iter().filter(|mapping| !has_required(mapping));
        let names: Vec<&str> = complete.flat_map(|mapping| mapping.type_names()).copied().collect();
        alternatives.push(json!({"type": "string", "enum": names}));
    }
    for mapping in variants.mappings {
        let mut alternative = reference(mapping.name);
        if variants.default.is_none_or(|default| !mapping.type_names().contains(&default)) {
            alternative["required"] = json!(["type"]);
        }
        alternatives.push(alternative);
    }
    json!({"description": variants.description, "anyOf": alternatives})
}

fn key_schema(key: &Key) -> Value {
    let mut schema = type_schema(&key.value_type);
    if key.nullable {
        schema = json!({"anyOf": [schema, {"type": "null"}]});
    }
    let mut description = key.description.to_owned();
    match key.default {
        DefaultValue::None => {}
        DefaultValue::Text(text) => schema["default"] = text.into(),
        DefaultValue::Integer(number) => schema["default"] = number.into(),
        DefaultValue::Boolean(value) => schema["default"] = value.into(),
        DefaultValue::Described(text) => description = format!("{description} Default: {text}."),
    }
    if key.ignored {
        description.push_str(" The key is accepted without an effect.");
    }
    schema["description"] = description.into();
    schema
}

fn type_schema(value_type: &Type) -> Value {
    match value_type {
        Type::Text | Type::Path => json!({"type": "string", "minLength": 1}),
        Type::Name => json!({"type": "string", "pattern": "^[A-Za-z0-9-][A-Za-z0-9_-]*$"}),
        Type::Address => json!({"type": "string", "pattern": "^https?://"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::IntegerFrom(min) => json!({"type": "integer", "minimum": min}),
        Type::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Type::PositiveNumber => json!({"type": "number", "exclusiveMinimum": 0}),
        Type::Share => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Type::Scalar => json!({"type": ["string", "number", "boolean"]}),
        Type::Json => json!({}),
        Type::Null => json!({"type": "null"}),
        Type::Nothing => json!({"enum": ["", null]}),
        Type::OneOf(names) => choice_schema(names),
        Type::List(element) => json!({"type": "array", "items": type_schema(element)}),
        Type::NonEmptyList(element) => json!({"type": "array", "items": type_schema(element), "minItems": 1}),
        Type::MapOf(member) => json!({"type": "object", "additionalProperties": type_schema(member)}),
        Type::Mapping(mapping) | Type::Merged(mapping) => reference(mapping.name),
        Type::DefaultsOf(mapping) => reference(&defaults_name(mapping)),
        Type::Variants(variants) => reference(variants.name),
        Type::AnyOf(types) => json!({"anyOf": types.iter().map(type_schema).collect::<Vec<_>>()}),
    }
}

/// One of the texts. `N` in a text that ends with `[N]` stands for a whole number.
fn choice_schema(names: &[&str]) -> Value {
    let (numbered, plain): (Vec<&str>, Vec<&str>) = names.iter().partition(|name| name.ends_with("[N]"));
    let choices = json!({"type": "string", "enum": plain});
    if numbered.is_empty() {
        return choices;
    }
    let pattern =
        |name: &&str| json!({"type": "string", "pattern": format!("^{}\\[[0-9]+\\]$", name.trim_end_matches("[N]"))});
    let patterns: Vec<Value> = numbered.iter().map(pattern).collect();
    let alternatives = [vec![choices], patterns].concat();
    json!({"anyOf": alternatives})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn defaults_name(mapping: &Mapping) -> String {
    format!("{}_defaults", mapping.name)
}
