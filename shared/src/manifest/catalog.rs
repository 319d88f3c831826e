//! Where manifests are found: built in, or in files that a user names.

use std::path::Path;

use super::{Manifest, nearest};
use crate::error::{Error, Fault, Faults};

/// The manifests that come with ticketlake: file name and text.
const BUILT_IN: [(&str, &str); 2] = [
    ("see_tickets.yaml", include_str!("../../sources/see_tickets.yaml")),
    ("ticketmaster.yaml", include_str!("../../sources/ticketmaster.yaml")),
];

/// The manifest named `source`: of `files` first, then built in. An error names what there is.
///
/// Every one of `files` is read and checked, also those that are not asked for; of the built-in ones only that which is.
pub fn find(source: &str, files: &[String]) -> Result<Manifest, Error> {
    let mut names = Vec::new();
    let mut faults = Vec::new();
    let mut found = None;
    for file in files {
        match read_file(file) {
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
    for (file, text) in BUILT_IN {
        let name = file.trim_end_matches(".yaml");
        if name == source {
            return Ok(Manifest::parse(file, text)?);
        }
        names.push(name.to_owned());
    }
    names.sort();
    let message = format!("`{source}` is not known; known: {}{}", names.join(", "), nearest(source, &names));
    Err(Error::configuration("source", message))
}

fn read_file(file: &str) -> Result<Manifest, Faults> {
    let text = std::fs::read_to_string(file).map_err(|error| Fault::new("sources", format!("{file}: {error}")))?;
    let name = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
    Manifest::parse(&name, &text)
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
