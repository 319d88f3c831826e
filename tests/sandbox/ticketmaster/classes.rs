//! The classification tree: segment, genre, sub-genre, and beside it type and sub-type.

use serde_json::{Value, json};

use super::vocabulary::{GENRES, SEGMENTS, STYLES, TYPES};
use crate::dice::{Alphabet, code};

/// How many classes there are on each level. The real page has 6 segments, 124 genres, 1,086 sub-genres, 11 types and
/// 128 sub-types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeSize {
    /// In all six segments together; at least 6.
    pub genres: usize,
    /// In all genres together; at least as many as genres.
    pub subgenres: usize,
    /// At most 11.
    pub types: usize,
    /// In all types together; at least as many as types.
    pub subtypes: usize,
}

impl Default for TreeSize {
    fn default() -> Self {
        Self { genres: 24, subgenres: 60, types: 5, subtypes: 20 }
    }
}

impl TreeSize {
    /// As large as the real tree.
    pub const REAL: Self = Self { genres: 124, subgenres: 1_086, types: 11, subtypes: 128 };
}

/// An id and a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) name: String,
}

/// What an event or attraction is classified as: segment, genre, sub-genre, type, sub-type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) levels: [Named; 5],
    pub(super) family: bool,
}

#[derive(Debug)]
struct Branch {
    own: Named,
    leaves: Vec<Named>,
}

/// The whole tree.
#[derive(Debug)]
pub(super) struct Tree {
    segments: Vec<(Named, Vec<Branch>)>,
    types: Vec<Branch>,
}

impl Tree {
    pub(super) fn new(seed: u64, size: TreeSize) -> Self {
        let id = |prefix: &str, kind: u64, number: usize, length| {
            format!("{prefix}{}", code::<10>(seed ^ kind, number as u64, Alphabet::Base62, length))
        };
        let genres = size.genres.clamp(SEGMENTS.len(), 1_024);
        let subgenres = size.subgenres.max(genres).min(1_024 * 2);
        let genre_counts = share(genres, &SEGMENTS.iter().map(|segment| segment.2).collect::<Vec<_>>());
        let extra_counts =
            share_rest(subgenres - genres, &SEGMENTS.iter().map(|segment| segment.3).collect::<Vec<_>>());

        let (mut genre_number, mut leaf_number) = (0, 0);
        let mut segments = Vec::new();
        for (number, (name, ..)) in SEGMENTS.iter().enumerate() {
            let own = Named { id: format!("KZFzniwnSyZfZ7v7n{}", b"smtaxf"[number] as char), name: (*name).to_owned() };
            let mut branches = Vec::new();
            let count = genre_counts[number];
            for genre in 0..count {
                let name = numbered(GENRES[number], genre);
                let own = Named { id: id("KnvZfZ7vA", 1, genre_number, 2), name: name.clone() };
                genre_number += 1;
                // The rest of a segment's sub-genres, spread evenly over its genres.
                let extra = extra_counts[number] * (genre + 1) / count - extra_counts[number] * genre / count;
                let mut leaves = Vec::new();
                for leaf in 0..=extra {
                    let name = if leaf == 0 { name.clone() } else { format!("{} {name}", numbered(STYLES, leaf - 1)) };
                    // Two thousand sub-genres need more codes than ten bits have.
                    let block = ["Fv", "Av"][leaf_number / 1_024];
                    let id = id(&format!("KZazBEonSMnZfZ7v{block}"), 2, leaf_number % 1_024, 2);
                    leaves.push(Named { id, name });
                    leaf_number += 1;
                }
                branches.push(Branch { own, leaves });
            }
            segments.push((own, branches));
        }

        let count = size.types.clamp(1, TYPES.len());
        let subtypes = size.subtypes.max(count);
        let weights: Vec<usize> = (0..count).map(|number| usize::from(number > 0)).collect();
        let extra = share_rest(subtypes - count, &weights);
        let mut number = 0;
        let branch = |(kind, (name, words)): (usize, &(&str, &[&str]))| {
            let leaves = (0..=extra[kind])
                .map(|leaf| {
                    number += 1;
                    Named { id: id("KZFzBErXgnZfZ7v", 3, number, 2), name: numbered(words, leaf) }
                })
                .collect();
            Branch { own: Named { id: id("KZAyXgnZfZ7v", 4, kind, 2), name: (*name).to_owned() }, leaves }
        };
        let types = TYPES[..count].iter().enumerate().map(branch).collect();
        Self { segments, types }
    }

    /// Every class that an event can have: each sub-genre without a type, and each with one. The number of a class is
    /// its place here.
    pub(super) fn classes(&self) -> Vec<Class> {
        let mut classes = Vec::new();
        for (segment, branches) in &self.segments {
            for genre in branches {
                for leaf in &genre.leaves {
                    let number = classes.len() / 2;
                    for kind in [&self.types[0], &self.types[number % self.types.len()]] {
                        let subtype = &kind.leaves[number % kind.leaves.len()];
                        let levels = [segment, &genre.own, leaf, &kind.own, subtype].map(Clone::clone);
                        classes.push(Class { levels, family: genre.own.name.starts_with("Family") });
                    }
                }
            }
        }
        classes
    }

    /// The items of the real page's shape.
    pub(super) fn items(&self) -> Vec<Value> {
        let leaf = |level: &str, own: &Named, inner: Option<(&str, Vec<Value>)>| {
            let mut value = json!({
                "id": own.id, "name": own.name, "locale": "en-us",
                "_links": {"self": {"href": format!("/discovery/v2/classifications/{level}/{}?locale=en-us", own.id)}},
            });
            if let Some((name, values)) = inner {
                value["_embedded"] = json!({ name: values });
            }
            value
        };
        let item = |level: &str, number: usize, own: &Named, mut value: Value| {
            value["primaryId"] = format!("dataAdmin-{level}-{:016x}", 1_000 + number).into();
            let href = format!("/discovery/v2/classifications/{}?locale=en-us", own.id);
            json!({"family": false, level: value, "_links": {"self": {"href": href}}})
        };
        let mut items = Vec::new();
        for (number, (own, branches)) in self.segments.iter().enumerate() {
            let genres = branches.iter().map(|genre| {
                let leaves = genre.leaves.iter().map(|own| leaf("subgenres", own, None)).collect();
                leaf("genres", &genre.own, Some(("subgenres", leaves)))
            });
            let value = leaf("segments", own, Some(("genres", genres.collect())));
            items.push(item("segment", number, own, value));
        }
        for (number, kind) in self.types.iter().enumerate() {
            let leaves = kind.leaves.iter().map(|own| leaf("subtypes", own, None)).collect();
            let value = leaf("types", &kind.own, Some(("subtypes", leaves)));
            items.push(item("type", number, &kind.own, value));
        }
        items
    }
}

/// The `number`-th of `words`, and after the last one the first again with a number.
fn numbered(words: &[&str], number: usize) -> String {
    let word = words[number % words.len()];
    match number / words.len() {
        0 => word.to_owned(),
        round => format!("{word} {}", round + 1),
    }
}

/// `total` by `weights`, at least 1 each, exactly `total` together.
fn share(total: usize, weights: &[usize]) -> Vec<usize> {
    let mut shares = share_rest(total - weights.len(), weights);
    for share in &mut shares {
        *share += 1;
    }
    shares
}

/// `total` by `weights`, exactly `total` together; weights of 0 get nothing.
fn share_rest(total: usize, weights: &[usize]) -> Vec<usize> {
    let sum: usize = weights.iter().sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let mut passed = 0;
    let upto = |passed: usize| total * passed / sum;
    weights
        .iter()
        .map(|weight| {
            let before = upto(passed);
            passed += weight;
            upto(passed) - before
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::{Tree, TreeSize};

    fn leaves<'a>(items: &'a [Value], level: &str, middle: &str, low: &str) -> Vec<&'a Value> {
        let of = |value: &'a Value, name: &str| value["_embedded"][name].as_array().into_iter().flatten();
        let middles = items.iter().flat_map(|item| of(&item[level], middle));
        if low.is_empty() { middles.collect() } else { middles.flat_map(|value| of(value, low)).collect() }
    }

    #[test]
    fn the_real_size_has_the_real_numbers_and_no_id_twice() {
        let items = Tree::new(1, TreeSize::REAL).items();
        assert_eq!(items.len(), 6 + 11);
        let genres = leaves(&items, "segment", "genres", "");
        let subgenres = leaves(&items, "segment", "genres", "subgenres");
        let subtypes = leaves(&items, "type", "subtypes", "");
        assert_eq!((genres.len(), subgenres.len(), subtypes.len()), (124, 1_086, 128));
        let all = [genres, subgenres, subtypes].concat();
        let ids: HashSet<&str> = all.iter().filter_map(|value| value["id"].as_str()).collect();
        assert_eq!(ids.len(), 124 + 1_086 + 128);
        assert!(all.iter().any(|value| value["name"] == "Jazz"));
    }

    #[test]
    fn every_leaf_is_a_class_with_and_without_a_type() {
        let tree = Tree::new(1, TreeSize::default());
        let classes = tree.classes();
        assert_eq!(classes.len(), 2 * 60);
        assert!(classes.iter().step_by(2).all(|class| class.levels[3].name == "Undefined"));
    }
}
