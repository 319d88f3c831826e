//! Tests of the table of keys, and the files that are generated from it.

mod agreement;
mod reference;
mod schema;
mod sections;

use std::path::{Path, PathBuf};

use serde_json::Value;

use self::sections::{Item, sections};
use crate::built_in::BUILT_IN;
use crate::fault::Faults;
use crate::keys::{DefaultValue, Key, Mapping, Presence, Type};
use crate::source::Manifest;
use crate::yaml::Document;

const REFERENCE_BEGIN: &str = "<!-- generated: keys -->\n";
const REFERENCE_END: &str = "<!-- end -->\n";

/// Manifests that together have every key of the table.
const EVERY_KEY: &str = include_str!("every_key.yaml");

/// The path of a file in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Writes `text` into the file if it is not there yet. Returns whether it was.
fn is_current(path: &str, text: &str) -> bool {
    let path = repository(path);
    let is_current = std::fs::read_to_string(&path).is_ok_and(|current| current == text);
    if !is_current {
        std::fs::write(&path, text).unwrap();
    }
    is_current
}

/// The text of `docs/manifest.md` with the reference that the table gives.
fn guide() -> String {
    let guide = std::fs::read_to_string(repository("docs/manifest.md")).unwrap();
    let (before, rest) = guide.split_once(REFERENCE_BEGIN).expect("the guide marks the beginning of the reference");
    let (_, after) = rest.split_once(REFERENCE_END).expect("the guide marks the end of the reference");
    format!("{before}{REFERENCE_BEGIN}{}{REFERENCE_END}{after}", reference::markdown())
}

#[test]
fn generated_files_are_current() {
    let schema = format!("{:#}\n", schema::schema());
    let current = [is_current("docs/manifest.md", &guide()), is_current("docs/manifest.schema.json", &schema)];
    assert_eq!(current, [true, true], "the files were not current, and have been written: commit them");
}

#[test]
fn every_link_of_the_guide_leads_to_one_heading() {
    let guide = guide();
    let headings = guide.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches(['#', ' ']));
    let anchors: Vec<String> = headings.map(reference::anchor).collect();
    for link in guide.split("](#").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
        assert_eq!(anchors.iter().filter(|anchor| *anchor == link).count(), 1, "{link}");
    }
}

/// The JSON that a manifest in YAML stands for.
fn json(file: &str, text: &str) -> Result<Value, Faults> {
    Document::read(file, text, |root| root.json())
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema::schema()).unwrap()
}

/// The errors that the JSON Schema finds in a manifest.
fn schema_errors(file: &str, text: &str) -> Vec<String> {
    let manifest = json(file, text).unwrap();
    let validator = validator();
    let errors = validator.iter_errors(&manifest);
    errors.map(|error| format!("{file}{}: {error}", error.instance_path())).collect()
}

#[test]
fn the_schema_accepts_every_shipped_manifest_and_each_names_it() {
    for (file, text) in BUILT_IN {
        assert_eq!(schema_errors(file, text), [""; 0]);
        let first_line = text.lines().next().unwrap();
        let path = first_line
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{file}: {first_line}"));
        let sources = repository("shared/manifest/sources");
        assert_eq!(
            sources.join(path).canonicalize().unwrap(),
            repository("docs/manifest.schema.json").canonicalize().unwrap(),
            "{file}"
        );
    }
}

#[test]
fn the_schema_and_the_parser_accept_the_examples() {
    let mut examples = Vec::new();
    for entry in std::fs::read_dir(repository("tests/end_to_end/manifests")).unwrap() {
        let path = entry.unwrap().path();
        examples.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
    }
    let guide = guide();
    let blocks = guide.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let whole = blocks.filter(|(block, _)| block.starts_with("client:"));
    examples.extend(whole.map(|(block, _)| ("docs/manifest.md".to_owned(), block.to_owned())));
    assert!(examples.len() >= 3, "{examples:?}");
    for (file, text) in &examples {
        assert_eq!(schema_errors(file, text), [""; 0]);
        if let Err(faults) = Manifest::parse(file, text) {
            panic!("{faults}");
        }
    }
}

#[test]
fn the_schema_and_the_parser_refuse_the_same_mistakes() {
    let validator = validator();
    let check = |client: &str, resource: &str, is_right: bool| {
        let text = format!("client: {{base_url: https://api.example{client}}}\nresources: [{{name: a{resource}}}]");
        let by_schema = validator.is_valid(&json("a.yaml", &text).unwrap());
        let by_parser = Manifest::parse("a.yaml", &text).is_ok();
        assert_eq!((by_schema, by_parser), (is_right, is_right), "{text}");
    };
    for (client, resource) in [
        ("", ""),
        (", paginator: single_page", ""),
        (", paginator: {type: offset, limit: 5}", ""),
        (", auth: bearer", ", primary_key: [a, b]"),
        (", auth: [{token: {$secret: token}}, {type: api_key, location: query}]", ", primary_key: null"),
        ("", ", endpoint: {paginator: {type: offset, limit: 5, total_path: null}}"),
        ("", ", columns: [{name: a, data_type: text}], partition: [{name: b, from: a, transform: \"bucket[8]\"}]"),
    ] {
        check(client, resource, true);
    }
    for (client, resource) in [
        (", base_uri: https://api.example", ""),
        (", session: {}", ""),
        (", headers: [a]", ""),
        (", rate: {per_second: 0}", ""),
        (", rate: [{requests: 1.5, seconds: 2}]", ""),
        (", auth: api-key", ""),
        (", auth: {type: api_key, location: cookie}", ""),
        (", auth: {type: bearer, token: written}", ""),
        (", auth: {type: bearer, api_key: {$secret: a}}", ""),
        (", auth: oauth2_client_credentials", ""),
        (", paginator: offset", ""),
        (", paginator: {type: offset}", ""),
        (", paginator: {type: offset, limit: 0}", ""),
        (", paginator: {type: offset, limit: all}", ""),
        (", paginator: {type: offset, limit: 5, page_param: page}", ""),
        (", paginator: {limit: 5}", ""),
        ("", ", primary_key: []"),
        ("", ", primary_key: 7"),
        ("", ", write_disposition: upsert"),
        ("", ", write_disposition: {disposition: merge, strategy: upserts}"),
        ("", ", part_bytes: 1"),
        ("", ", history: yes"),
        ("", ", columns: {a: {data_type: string}}"),
        ("", ", columns: {a: {}}"),
        ("", ", columns: {a: {data_type: text}}, partition: [{name: b, from: a, transform: bucket}]"),
        ("", ", endpoint: {method: PUT}"),
        ("", ", endpoint: {params: {a: [1]}}"),
        ("", ", endpoint: {params: {a: {type: resolved}}}"),
        ("", ", endpoint: {incremental: {}}"),
        ("", ", endpoint: {incremental: {cursor_path: at, convert: f}}"),
        ("", ", endpoint: {response_actions: [{status_code: 404, action: retyr}]}"),
        ("", ", endpoint: {filters: {a: {one_of: []}}}"),
        ("", ", refresh: {full_every_days: 7, announced: {lag: 5}}"),
        ("", ", explode: [[]]"),
        ("", ", vanished: {}"),
    ] {
        check(client, resource, false);
    }
}

/// Every key of the table with the mapping that has it.
fn keys() -> Vec<(&'static Mapping, &'static Key)> {
    let mut keys = Vec::new();
    for section in sections() {
        if let Item::Mapping(mapping) = section.item {
            keys.extend(mapping.keys.iter().map(|key| (mapping, key)));
        }
    }
    keys
}

#[test]
fn every_default_has_the_type_of_its_key() {
    for (mapping, key) in keys() {
        let has_type = match key.default {
            DefaultValue::None | DefaultValue::Described(_) => true,
            DefaultValue::Integer(number) => {
                let range = key.value_type.integer_range();
                range.is_some_and(|(min, max)| number >= min && max.is_none_or(|max| number <= max))
            }
            DefaultValue::Boolean(_) => matches!(key.value_type, Type::Boolean),
            DefaultValue::Text(text) => match (key.value_type, key.value_type.choices()) {
                (Type::Variants(variants), _) => variants.mapping(text).is_some(),
                (_, []) => true,
                (_, choices) => choices.contains(&text),
            },
        };
        assert!(has_type, "{}.{}", mapping.name, key.name);
        assert!(
            key.presence == Presence::Optional || key.default == DefaultValue::None,
            "{}.{}",
            mapping.name,
            key.name
        );
    }
}

#[test]
fn every_name_of_the_table_is_unique_and_refers_to_something() {
    let sections = sections();
    for (index, section) in sections.iter().enumerate() {
        let has_name = |other: &sections::Section| {
            other.item.name() == section.item.name() || other.item.title() == section.item.title()
        };
        assert!(!sections[index + 1..].iter().any(has_name), "{}", section.item.name());
        let Item::Variants(variants) = section.item else { continue };
        assert!(variants.mappings.iter().all(|mapping| !mapping.type_names().is_empty()), "{}", variants.name);
        assert!(variants.default.is_none_or(|default| variants.mapping(default).is_some()), "{}", variants.name);
    }
    for (mapping, key) in keys() {
        let same_name = mapping.keys.iter().filter(|other| other.name == key.name).count();
        assert_eq!(same_name, 1, "{}.{}", mapping.name, key.name);
        if let Presence::RequiredWithout(other) = key.presence {
            assert!(mapping.key(other).is_some(), "{}.{}", mapping.name, key.name);
        }
    }
}

#[test]
fn every_description_is_made_of_sentences() {
    let is_sentence =
        |text: &str| text.starts_with(|first: char| first.is_uppercase() || first == '`') && text.ends_with('.');
    for section in sections() {
        let description = match section.item {
            Item::Mapping(mapping) => mapping.description,
            Item::Variants(variants) => variants.description,
        };
        assert!(is_sentence(description), "{}: {description}", section.item.name());
    }
    for (mapping, key) in keys() {
        assert!(is_sentence(key.description), "{}.{}: {}", mapping.name, key.name, key.description);
    }
}
