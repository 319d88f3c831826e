//! The mappings of the table in the order in which a manifest has them.

use crate::keys::{MANIFEST, Mapping, Type, Variants};

/// A part of the table that the documentation and the JSON Schema describe once.
#[derive(Clone, Copy)]
pub(super) enum Item {
    Mapping(&'static Mapping),
    Variants(&'static Variants),
}

impl Item {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mapping(mapping) => mapping.name,
            Self::Variants(variants) => variants.name,
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Mapping(mapping) => mapping.title,
            Self::Variants(variants) => variants.title,
        }
    }
}

/// An item with the places where a manifest has it.
pub(super) struct Section {
    pub(super) item: Item,
    /// The keys that lead to the item: `resources[].endpoint`.
    pub(super) places: Vec<String>,
    /// Whether the item is laid over that of `resource_defaults` anywhere, so that none of its keys is required in one place.
    pub(super) is_merged: bool,
}

/// All items of the table, each before those inside it.
pub(super) fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    visit_mapping(&MANIFEST, "", false, &mut sections);
    sections
}

fn visit(value_type: &'static Type, place: &str, sections: &mut Vec<Section>) {
    match value_type {
        Type::List(element) | Type::NonEmptyList(element) => visit(element, &format!("{place}[]"), sections),
        Type::MapOf(member) => visit(member, &format!("{place}.<name>"), sections),
        Type::AnyOf(types) => types.iter().for_each(|value_type| visit(value_type, place, sections)),
        Type::Mapping(mapping) => visit_mapping(mapping, place, false, sections),
        Type::Merged(mapping) => visit_mapping(mapping, place, true, sections),
        Type::Variants(variants) => visit_variants(variants, place, sections),
        _ => {}
    }
}

fn visit_mapping(mapping: &'static Mapping, place: &str, is_merged: bool, sections: &mut Vec<Section>) {
    if add(Item::Mapping(mapping), Some(place), is_merged, sections) {
        visit_keys(mapping, place, sections);
    }
}

fn visit_variants(variants: &'static Variants, place: &str, sections: &mut Vec<Section>) {
    if !add(Item::Variants(variants), Some(place), false, sections) {
        return;
    }
    for mapping in variants.mappings {
        if add(Item::Mapping(mapping), None, false, sections) {
            visit_keys(mapping, place, sections);
        }
    }
}

fn visit_keys(mapping: &'static Mapping, place: &str, sections: &mut Vec<Section>) {
    for key in mapping.keys {
        let place = if place.is_empty() { key.name.to_owned() } else { format!("{place}.{}", key.name) };
        visit(&key.value_type, &place, sections);
    }
}

/// Adds the item, or another place of it. Returns whether the item is new. An item without a place is one of the variants above it.
fn add(item: Item, place: Option<&str>, is_merged: bool, sections: &mut Vec<Section>) -> bool {
    let place = place.filter(|place| !place.is_empty()).map(str::to_owned);
    if let Some(section) = sections.iter_mut().find(|section| section.item.name() == item.name()) {
        section.places.extend(place);
        section.is_merged |= is_merged;
        return false;
    }
    sections.push(Section { item, places: place.into_iter().collect(), is_merged });
    true
}
