//! The structure of the library: no module cycles, and no way around a rule that the compiler does not hold.

#![allow(clippy::unwrap_used, reason = "clippy knows tests by `#[test]`; what they share is as much a test")]

mod modules;
mod mutations;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sandbox::function::root;

use crate::modules::{Module, read_crate};

/// The crates of the library, each with those that it may use.
const LAYERS: [(&str, &[&str]); 5] = [
    ("manifest", &[]),
    ("lake", &[]),
    ("table", &["manifest", "lake"]),
    ("client", &["manifest"]),
    ("ticketlake", &["manifest", "lake", "table", "client"]),
];

fn sources(of: &str) -> PathBuf {
    root().join("shared").join(of).join("src")
}

/// Cargo refuses a use that is not declared, so that the declarations are what there is to check.
#[test]
fn each_crate_depends_on_lower_layers_alone() {
    for (name, below) in LAYERS {
        let text = fs::read_to_string(root().join("shared").join(name).join("Cargo.toml")).unwrap();
        let (_, dependencies) = text.split_once("[dependencies]").unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        for (other, _) in LAYERS {
            let uses = dependencies.lines().any(|line| line.starts_with(&format!("{other}.")));
            assert!(!uses || below.contains(&other), "{name} depends on {other}");
        }
    }
}

/// The modules of one folder may use each other in one direction. A folder's own module and those within may use each other: they are one
/// unit for all others.
#[test]
fn no_module_cycles() {
    for (name, _) in LAYERS {
        let modules = read_crate(&sources(name));
        assert!(modules.len() > 5, "{name}");
        let folders: BTreeSet<&[String]> =
            modules.iter().filter_map(|module| module.path.split_last()).map(|(_, folder)| folder).collect();
        for folder in folders {
            if let Some(cycle) = find_cycle(&uses_within(&modules, folder)) {
                panic!(
                    "{name}: the modules of `{}` use each other in a circle: {}",
                    folder.join("::"),
                    cycle.join(" -> ")
                );
            }
        }
    }
}

/// For each module of `folder` the other modules of `folder` that it uses, itself or by a module within it.
fn uses_within(modules: &[Module], folder: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let child = |path: &[String]| path.strip_prefix(folder)?.first().cloned();
    let children: BTreeSet<String> = modules.iter().filter_map(|module| child(&module.path)).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in modules {
        let Some(from) = child(&module.path) else { continue };
        let to = module.uses.iter().filter_map(|path| child(path)).filter(|to| *to != from && children.contains(to));
        uses.entry(from.clone()).or_default().extend(to);
    }
    uses
}

/// A circle in `uses`, from a name back to itself.
fn find_cycle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(uses: &BTreeMap<String, BTreeSet<String>>, trail: &mut Vec<String>, done: &mut BTreeSet<String>) -> bool {
        let Some(at) = trail.last().cloned() else { return false };
        for next in uses.get(&at).into_iter().flatten() {
            if let Some(begin) = trail.iter().position(|name| name == next) {
                trail.drain(..begin);
                trail.push(next.clone());
                return true;
            }
            if !done.contains(next) {
                trail.push(next.clone());
                if walk(uses, trail, done) {
                    return true;
                }
                trail.pop();
            }
        }
        done.insert(at);
        false
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|name| {
        let mut trail = vec![name.clone()];
        walk(uses, &mut trail, &mut done).then_some(trail)
    })
}

#[test]
fn a_circle_is_found() {
    let uses = |pairs: &[(&str, &str)]| {
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in pairs {
            uses.entry((*from).into()).or_default().insert((*to).into());
        }
        uses
    };
    assert_eq!(find_cycle(&uses(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
    assert_eq!(find_cycle(&uses(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap(), ["b", "c", "b"]);
}

/// A number that stands for something else, and a function whose caller has to count its arguments.
#[test]
fn no_sentinels_and_no_long_parameter_lists() {
    for (name, _) in LAYERS {
        for file in files(&sources(name)) {
            let text = fs::read_to_string(&file).unwrap();
            for word in ["usize::MAX", "too_many_arguments"] {
                assert!(!text.contains(word), "{} has `{word}`", file.display());
            }
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
