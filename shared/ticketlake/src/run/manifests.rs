//! Finds the manifest of a request: in the files that it names, or among the built-in ones.

use std::path::Path;

use lake::Location;
use manifest::{Fault, Faults, Manifest, built_in, nearest};

use crate::context::Clients;
use crate::error::Error;
use crate::request::Request;

/// Returns the manifest of the requested source, with its settings.
///
/// Every manifest file that the request names is checked, also those of other sources. Of the built-in manifests, only the requested one
/// is checked.
pub(super) async fn find(clients: &Clients, request: &Request) -> Result<Manifest, Error> {
    let manifest = find_unconfigured(clients, &request.source, &request.sources).await?;
    Ok(manifest.configure(request.base_url.as_deref(), &clients.settings)?)
}

/// Returns the manifest of `source`, before its settings are set.
async fn find_unconfigured(clients: &Clients, source: &str, files: &[String]) -> Result<Manifest, Error> {
    let mut names = Vec::new();
    let mut faults = Vec::new();
    let mut found = None;
    for file in files {
        match read_file(clients, file).await? {
            Ok(manifest) => {
                names.push(manifest.name.clone());
                faults.extend(case_fault(&manifest.name, source));
                if manifest.name == source && found.replace(manifest).is_some() {
                    faults.push(Fault::new("sources", format!("two files declare the source `{source}`")));
                }
            }
            Err(Faults(more)) => faults.extend(more),
        }
    }
    if !faults.is_empty() {
        return Err(Faults(faults).into());
    }
    if let Some(manifest) = found {
        return Ok(manifest);
    }
    if let Some(manifest) = built_in::find(source) {
        return Ok(manifest?);
    }
    names.extend(built_in::names().map(str::to_owned));
    names.sort();
    let message = format!("`{source}` is not known; known: {}{}", names.join(", "), nearest(source, &names));
    Err(Error::configuration("source", message))
}

/// Returns a fault if the name of a source differs from the requested one, or from a built-in one, only in the case of letters. Some file
/// systems do not tell such names apart, and the sources would share their tables and their state.
fn case_fault(name: &str, source: &str) -> Option<Fault> {
    let is_same_folder = |other: &&str| *other != name && other.eq_ignore_ascii_case(name);
    let mut others = [source].into_iter().chain(built_in::names().map(|name| -> &str { name }));
    let other = others.find(is_same_folder)?;
    let message =
        format!("`{name}` and `{other}` would be one folder where case does not count: give one another name");
    Some(Fault::new("sources", message))
}

/// Reads the manifest in a file or in an object `s3://bucket/key`. The outer error is one of reading it, the inner one of its content.
async fn read_file(clients: &Clients, file: &str) -> Result<Result<Manifest, Faults>, Error> {
    let text = match Location::parse(file) {
        Ok(Location::S3 { bucket, prefix: key }) => {
            let lake = Location::S3 { bucket, prefix: String::new() };
            let object = lake::open(&lake, &clients.aws).await.get(&key).await?;
            let bytes = object.map(|(bytes, _)| bytes);
            let bytes = bytes.ok_or_else(|| Error::configuration("sources", format!("{file} does not exist")))?;
            String::from_utf8_lossy(&bytes).into_owned()
        }
        Ok(Location::Directory(path)) => std::fs::read_to_string(path)
            .map_err(|error| Error::configuration("sources", format!("{file}: {error}")))?,
        Err(reason) => return Err(Error::configuration("sources", reason)),
    };
    let name = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
    Ok(Manifest::parse(&name, &text))
}
