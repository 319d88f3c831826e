//! Names in `params` that stand for ids: found in a table that is stored.

use crate::error::{Error, Fault, Faults};
use crate::manifest::{Lookup, Manifest, Resource, nearest};
use crate::merge::Table;
use crate::request::Request;
use crate::store::Store;

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
            let message = format!("`{text}` cannot be looked up: no `{}` are stored; read them first", lookup.resource);
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
    let resource = super::resource(manifest, &lookup.resource)?;
    let table = Table::new(store, &manifest.name, resource, request.format);
    Ok(table.pairs(&lookup.name, &lookup.id).await?.into_iter().collect())
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
            return Err(format!("no `{name}` is stored{}", nearest(name, &names)));
        }
        ids.extend(found);
    }
    Ok(ids.join(","))
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
    }
}
