//! Replaces names in `params` by ids, which are looked up in a stored table.

use lake::Store;
use manifest::{Fault, Faults, Lookup, Manifest, Resource};
use table::merge::Table;

use crate::context;
use crate::error::Error;
use crate::request::Request;

/// The greatest number of names that a message suggests.
const MAX_SUGGESTIONS: usize = 5;

/// Returns the request with ids in place of the names in `params` for which the manifest declares a `lookup`.
pub(super) async fn resolve(
    request: &Request,
    manifest: &Manifest,
    resource: &Resource,
    store: &dyn Store,
) -> Result<Request, Error> {
    let mut resolved = request.clone();
    let mut faults = Vec::new();
    for (name, text) in &mut resolved.params {
        let Some(lookup) = resource.endpoint.filters.get(name).and_then(|filter| filter.lookup.as_ref()) else {
            continue;
        };
        let stored_names = stored_names(lookup, request, manifest, store).await?;
        if stored_names.is_empty() {
            let message = format!(
                "`{text}` cannot be looked up: no `{}` are stored; read them first: resource --source {} --resource {} --lake {}",
                lookup.resource, request.source, lookup.resource, request.lake
            );
            faults.push(Fault::new(format!("params.{name}"), message));
            continue;
        }
        match ids(text, &stored_names) {
            Ok(ids) => *text = ids,
            Err(message) => faults.push(Fault::new(format!("params.{name}"), message)),
        }
    }
    if faults.is_empty() { Ok(resolved) } else { Err(Faults(faults).into()) }
}

/// Reads the stored names, each with an id.
async fn stored_names(
    lookup: &Lookup,
    request: &Request,
    manifest: &Manifest,
    store: &dyn Store,
) -> Result<Vec<(String, String)>, Error> {
    let resource = context::resource(manifest, &lookup.resource)?;
    let table = Table::new(store, &manifest.name, resource, request.format);
    let rows = table.count_distinct_values(&[&lookup.name, &lookup.id]).await?;
    let pair = |mut row: Vec<Option<String>>| {
        let id = row.pop()??;
        Some((row.pop()??, id))
    };
    Ok(rows.into_keys().filter_map(pair).collect())
}

/// Returns the ids of the names in `text`, with commas between them. A `-` before a name, which excludes it, is kept before the id.
/// Several ids can have the same name.
fn ids(text: &str, stored_names: &[(String, String)]) -> Result<String, String> {
    let mut ids = Vec::new();
    for name in text.split(',').map(str::trim) {
        let (sign, name) = name.strip_prefix('-').map_or(("", name), |name| ("-", name));
        let found: Vec<String> = stored_names
            .iter()
            .filter(|(stored, _)| stored.eq_ignore_ascii_case(name))
            .map(|(_, id)| format!("{sign}{id}"))
            .collect();
        if found.is_empty() {
            let names: Vec<&str> = stored_names.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!("no `{name}` is stored{}", suggestion(name, &names)));
        }
        ids.extend(found);
    }
    Ok(ids.join(","))
}

/// Returns a sentence with the stored names that are most similar to `name`.
fn suggestion(name: &str, names: &[&str]) -> String {
    let lower = name.to_lowercase();
    let mut similar: Vec<(bool, usize, &str)> = names
        .iter()
        .map(|known| {
            let known_lower = known.to_lowercase();
            let has_word = known_lower.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == lower);
            (!has_word, strsim::damerau_levenshtein(&lower, &known_lower), *known)
        })
        .filter(|(lacks_word, distance, known)| !lacks_word || *distance <= 1 + known.len() / 3)
        .collect();
    similar.sort_unstable();
    similar.dedup();
    let similar: Vec<String> =
        similar.into_iter().take(MAX_SUGGESTIONS).map(|(_, _, known)| format!("`{known}`")).collect();
    match similar.as_slice() {
        [] => String::new(),
        [one] => format!(". Did you mean {one}?"),
        several => format!(". Did you mean one of {}?", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_by_ids_in_any_case() {
        let known = [("Jazz", "1"), ("Rock", "2"), ("Rock", "3")].map(|(name, id)| (name.to_owned(), id.to_owned()));
        assert_eq!(ids("jazz", &known).as_deref(), Ok("1"));
        assert_eq!(ids("Rock, -Jazz", &known).as_deref(), Ok("2,3,-1"));
        assert!(ids("Jaz", &known).unwrap_err().contains("Did you mean `Jazz`?"));
        let known = ["Acid Jazz", "Jazz", "Jizz", "Opera"].map(|name| (name.to_owned(), "1".to_owned()));
        let message = ids("Rock,jazzy", &known).unwrap_err();
        assert_eq!(message, "no `Rock` is stored");
        let message = ids("jazzy", &known).unwrap_err();
        assert_eq!(message, "no `jazzy` is stored. Did you mean one of `Jazz`, `Jizz`?");
    }
}
