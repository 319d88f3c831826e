//! Where manifests are found: built in, or in files that a user names.

use std::path::Path;

use super::{Manifest, nearest};
use crate::aws::Aws;
use crate::error::{Error, Fault, Faults};
use crate::request::Location;
use crate::store;

/// The manifests that come with ticketlake: file name and text.
const BUILT_IN: [(&str, &str); 4] = [
    ("eventzilla.yaml", include_str!("../../sources/eventzilla.yaml")),
    ("see_tickets.yaml", include_str!("../../sources/see_tickets.yaml")),
    ("ticketmaster.yaml", include_str!("../../sources/ticketmaster.yaml")),
    ("xurrent.yaml", include_str!("../../sources/xurrent.yaml")),
];

/// The manifest named `source`: of `files` first, then built in. An error names what there is.
///
/// Every one of `files` is read and checked, also those that are not asked for; of the built-in ones only that which is.
pub async fn find(source: &str, files: &[String], aws: &Aws) -> Result<Manifest, Error> {
    let mut names = Vec::new();
    let mut faults = Vec::new();
    let mut found = None;
    for file in files {
        match read_file(file, aws).await? {
            Ok(manifest) => {
                names.push(manifest.name.clone());
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
    if let Some(manifest) = built_in(source) {
        return Ok(manifest?);
    }
    names.extend(self::names().map(str::to_owned));
    names.sort();
    let message = format!("`{source}` is not known; known: {}{}", names.join(", "), nearest(source, &names));
    Err(Error::configuration("source", message))
}

/// The names of the manifests that come with ticketlake.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(file, _)| file.trim_end_matches(".yaml"))
}

/// The manifest named `source` that comes with ticketlake, if there is one.
pub fn built_in(source: &str) -> Option<Result<Manifest, Faults>> {
    let (file, text) = BUILT_IN.iter().find(|(file, _)| file.trim_end_matches(".yaml") == source)?;
    Some(Manifest::parse(file, text))
}

/// The manifest in a file, or in an object `s3://bucket/key`. The outer error is one of reading it, not of what it says.
async fn read_file(file: &str, aws: &Aws) -> Result<Result<Manifest, Faults>, Error> {
    let text = match Location::parse(file) {
        Ok(Location::S3 { bucket, prefix: key }) => {
            let lake = Location::S3 { bucket, prefix: String::new() };
            let object = store::open(&lake, aws).await.get(&key).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_without_fault() {
        for (file, text) in BUILT_IN {
            if let Err(faults) = Manifest::parse(file, text) {
                panic!("{faults}");
            }
        }
    }
}
