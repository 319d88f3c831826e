//! The reference of all keys in Markdown, for `docs/manifest.md`.

use std::fmt::Write;

use super::sections::{Item, Section, sections};
use crate::keys::refused::REFUSED;
use crate::keys::{DefaultValue, Key, Mapping, Origin, Presence, Type, Variants};

/// Writes the reference.
pub(super) fn markdown() -> String {
    let mut text = "## All keys\n\n\
        A value is refused if it does not have the type, and a key if it is not in this list. *dlt* marks the keys of dlt's `rest_api` \
        source, *ours* those of ticketlake. If a default is given, the key may be left out. Where `null` is allowed, it is the same as \
        leaving the key out, unless the meaning says otherwise.\n"
        .to_owned();
    for section in sections() {
        write_section(&section, &mut text);
    }
    text.push_str(
        "\n### Keys of dlt that are refused\n\n\
         | key | of | why, and what to write instead |\n|---|---|---|\n",
    );
    for keys in REFUSED {
        let names: Vec<String> = keys.names.iter().map(|name| code(name)).collect();
        writeln!(text, "| {} | {} | It {}. |", names.join(", "), code(keys.mapping), keys.reason).unwrap();
    }
    text
}

fn write_section(section: &Section, text: &mut String) {
    writeln!(text, "\n### {}\n", section.item.title()).unwrap();
    let (description, table) = match section.item {
        Item::Mapping(mapping) => (mapping.description, table(mapping)),
        Item::Variants(variants) => (variants.description, variants_table(variants)),
    };
    writeln!(text, "{description}\n").unwrap();
    let places: Vec<String> = section.places.iter().map(|place| code(place)).collect();
    if !places.is_empty() {
        writeln!(text, "Found at {}.\n", places.join(", ")).unwrap();
    }
    text.push_str(&table);
}

fn table(mapping: &Mapping) -> String {
    let mut text = "| key | | value | default | meaning |\n|---|---|---|---|---|\n".to_owned();
    for key in mapping.keys {
        let origin = match key.origin {
            Origin::Dlt => "dlt",
            Origin::Ticketlake => "ours",
        };
        let null = if key.nullable { " or `null`" } else { "" };
        let effect = if key.ignored { " The key is accepted without an effect." } else { "" };
        writeln!(
            text,
            "| {} | {origin} | {}{null} | {} | {}{effect} |",
            code(key.name),
            value(&key.value_type),
            default(key),
            escaped(key.description),
        )
        .unwrap();
    }
    text
}

fn variants_table(variants: &Variants) -> String {
    let mut text = match variants.default {
        Some(default) => format!("Without `type`, the type is {}.\n\n", code(default)),
        None => "`type` is required.\n\n".to_owned(),
    };
    text.push_str("| `type` | meaning |\n|---|---|\n");
    for mapping in variants.mappings {
        let names: Vec<String> = mapping.type_names().iter().map(|name| code(name)).collect();
        let link = format!("[{}](#{})", names.join(", "), anchor(mapping.title));
        writeln!(text, "| {link} | {} |", escaped(mapping.description)).unwrap();
    }
    text
}

fn default(key: &Key) -> String {
    match (key.presence, key.default) {
        (Presence::Required, _) => "**required**".into(),
        (Presence::RequiredWithout(other), _) => format!("**required** without {}", code(other)),
        (_, DefaultValue::None) => String::new(),
        (_, DefaultValue::Text(text)) => code(text),
        (_, DefaultValue::Integer(number)) => code(&number.to_string()),
        (_, DefaultValue::Boolean(value)) => code(&value.to_string()),
        (_, DefaultValue::Described(text)) => text.to_owned(),
    }
}

fn value(value_type: &Type) -> String {
    match value_type {
        Type::Text => "text".into(),
        Type::Name => "name".into(),
        Type::Address => "address".into(),
        Type::Path => "JSONPath".into(),
        Type::Boolean => "`true` or `false`".into(),
        Type::IntegerFrom(min) => format!("whole number, at least {min}"),
        Type::Integer { min, max } => format!("whole number, {min} to {max}"),
        Type::PositiveNumber => "number above 0".into(),
        Type::Share => "number from 0 to 1".into(),
        Type::Scalar => "text, number, `true` or `false`".into(),
        Type::Json => "any value".into(),
        Type::Null => "`null`".into(),
        Type::Nothing => "`\"\"` or `null`".into(),
        Type::OneOf(names) => any_of(&names.iter().map(|name| code(name)).collect::<Vec<_>>()),
        Type::List(element) => format!("list of {}", grouped(element)),
        Type::NonEmptyList(element) => format!("list of at least one {}", grouped(element)),
        Type::MapOf(member) => format!("mapping of names to {}", grouped(member)),
        Type::Mapping(mapping) | Type::Merged(mapping) => link(mapping.title),
        Type::DefaultsOf(mapping) => format!("keys of {}", link(mapping.title)),
        Type::Variants(variants) => link(variants.title),
        Type::AnyOf(types) => any_of(&types.iter().map(value).collect::<Vec<_>>()),
    }
}

fn grouped(value_type: &Type) -> String {
    match value_type {
        Type::AnyOf(_) => format!("({})", value(value_type)),
        _ => value(value_type),
    }
}

fn any_of(values: &[String]) -> String {
    match values.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => values.concat(),
    }
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn link(title: &str) -> String {
    format!("[{title}](#{})", anchor(title))
}

/// The anchor that GitHub gives to a heading.
pub(super) fn anchor(title: &str) -> String {
    let letters = title.to_lowercase().replace(' ', "-");
    letters.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_')).collect()
}

/// The text as a cell of a table.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|")
}
