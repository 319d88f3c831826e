//! Names in `params` that stand for ids: found in a table that is stored.

use lake::Store;
use manifest::{Fault, Faults, Lookup, Manifest, Resource};
use table::merge::Table;

use crate::context;
use crate::error::Error;
use crate::request::Request;

/// Names that a message offers instead of one that is not stored.
const MAX_SUGGESTIONS: usize = 5;

/// The request with the ids of the names in its `params`, where `resource` says that they are names.
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
        let known = known(lookup, request, manifest, store).await?;
        if known.is_empty() {
            let message = format!(
                "`{text}` cannot be looked up: no `{}` are stored; read them first: resource --source {} --resource {} --lake {}",
                lookup.resource, request.source, lookup.resource, request.lake
            );
            faults.push(Fault::new(format!("params.{name}"), message));
            continue;
        }
        match ids(text, &known) {
            Ok(ids) => *text = ids,
            Err(message) => faults.push(Fault::new(format!("params.{name}"), message)),
        }
    }
    if faults.is_empty() { Ok(resolved) } else { Err(Faults(faults).into()) }
}

/// The stored names, each with an id.
async fn known(
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

/// The ids of the names in `text`, with commas. A name with `-` before it is left out by the API, and so is its id. Several ids can
/// have one name.
fn ids(text: &str, known: &[(String, String)]) -> Result<String, String> {
    let mut ids = Vec::new();
    for name in text.split(',').map(str::trim) {
        let (sign, name) = name.strip_prefix('-').map_or(("", name), |name| ("-", name));
        let found: Vec<String> = known
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, id)| format!("{sign}{id}"))
            .collect();
        if found.is_empty() {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!("no `{name}` is stored{}", near(name, &names)));
        }
        ids.extend(found);
    }
    Ok(ids.join(","))
}

/// The stored names that are most like `name`, the likest first.
fn near(name: &str, names: &[&str]) -> String {
    let lower = name.to_lowercase();
    let mut like: Vec<(bool, usize, &str)> = names
        .iter()
        .map(|known| {
            let known_lower = known.to_lowercase();
            let holds = known_lower.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == lower);
            (!holds, strsim::damerau_levenshtein(&lower, &known_lower), *known)
        })
        .filter(|(other, distance, known)| !other || *distance <= 1 + known.len() / 3)
        .collect();
    like.sort_unstable();
    like.dedup();
    let like: Vec<String> = like.into_iter().take(MAX_SUGGESTIONS).map(|(_, _, known)| format!("`{known}`")).collect();
    match like.as_slice() {
        [] => String::new(),
        [one] => format!(". Did you mean {one}?"),
        several => format!(". Did you mean one of {}?", several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_ids_whatever_their_case() {
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
