//! The modules of a crate and what they use, read from its sources.

use std::fs;
use std::path::Path;

/// A module that is a file, without those that hold tests.
#[derive(Debug)]
pub(crate) struct Module {
    /// The names from the crate's root; none: the root itself.
    pub(crate) path: Vec<String>,
    /// The paths that it uses within its crate, from the root.
    pub(crate) uses: Vec<Vec<String>>,
}

/// All modules of the crate whose sources are in `folder`.
pub(crate) fn read_crate(folder: &Path) -> Vec<Module> {
    let mut modules = Vec::new();
    read_folder(folder, &[], &mut modules);
    modules
}

fn read_folder(folder: &Path, path: &[String], modules: &mut Vec<Module>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        let name = entry.file_stem().unwrap().to_str().unwrap().to_owned();
        if matches!(name.as_str(), "tests" | "fake") {
            continue;
        }
        let mut own = path.to_vec();
        if entry.is_dir() {
            own.push(name);
            read_folder(&entry, &own, modules);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            if !matches!(name.as_str(), "mod" | "lib") {
                own.push(name);
            }
            let text = without_tests_and_comments(&fs::read_to_string(&entry).unwrap());
            modules.push(Module { uses: used_paths(&text, &own), path: own });
        }
    }
}

/// The text before a module of tests, without comments.
fn without_tests_and_comments(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Every path in `text`, the text of the module `module`, that begins with `crate::` or `super::`, from the root.
fn used_paths(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (start, keyword) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        let before = text[..start].chars().next_back();
        if before.is_some_and(|before| before.is_alphanumeric() || matches!(before, '_' | ':')) {
            continue;
        }
        let mut base = if keyword == "crate::" { Vec::new() } else { parent(module) };
        let mut rest = &text[start + keyword.len()..];
        while let Some(further) = rest.strip_prefix("super::") {
            base = parent(&base);
            rest = further;
        }
        expand(rest, &base, &mut paths);
    }
    paths
}

fn parent(path: &[String]) -> Vec<String> {
    path.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default()
}

/// Adds the path at the beginning of `text`, below `base`; every path where it has braces. Returns the text behind it.
fn expand<'t>(text: &'t str, base: &[String], paths: &mut Vec<Vec<String>>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = expand(rest, base, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(further) if !further.trim_start().starts_with('}') => rest = further,
                _ => break,
            }
        }
        let rest = rest.trim_start_matches(',').trim_start();
        return rest.strip_prefix('}').unwrap_or(rest);
    }
    let end = text.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let mut path = base.to_vec();
    if !matches!(name, "" | "self") {
        path.push(name.to_owned());
    }
    if let Some(rest) = rest.strip_prefix("::") {
        return expand(rest, &path, paths);
    }
    paths.push(path);
    let rest = rest.trim_start();
    match rest.strip_prefix("as ") {
        Some(alias) => alias.trim_start_matches(|char: char| char.is_alphanumeric() || char == '_'),
        None => rest,
    }
}

#[test]
fn paths_in_braces_are_all_found() {
    let text = "use crate::{a::{self, B}, c::d as e,\n f};\nfn g() { super::super::h::i(); not_crate::j(); }";
    let of = |paths: &[&str]| -> Vec<Vec<String>> {
        paths.iter().map(|path| path.split("::").map(str::to_owned).collect()).collect()
    };
    let module = ["x", "y", "z"].map(str::to_owned);
    assert_eq!(used_paths(text, &module), of(&["a", "a::B", "c::d", "f", "x::h::i"]));
}
