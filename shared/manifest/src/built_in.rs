//! The manifests that come with ticketlake.

use crate::fault::Faults;
use crate::source::Manifest;

/// The file name and the text of each built-in manifest.
pub(crate) const BUILT_IN: [(&str, &str); 4] = [
    ("eventzilla.yaml", include_str!("../sources/eventzilla.yaml")),
    ("see_tickets.yaml", include_str!("../sources/see_tickets.yaml")),
    ("ticketmaster.yaml", include_str!("../sources/ticketmaster.yaml")),
    ("xurrent.yaml", include_str!("../sources/xurrent.yaml")),
];

/// The names of the built-in manifests.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(file, _)| file.trim_end_matches(".yaml"))
}

/// The built-in manifest named `source`; `None` if there is none.
///
/// # Errors
///
/// The faults of the manifest. A test proves that no built-in manifest has any.
pub fn find(source: &str) -> Option<Result<Manifest, Faults>> {
    let (file, text) = BUILT_IN.iter().find(|(file, _)| file.trim_end_matches(".yaml") == source)?;
    Some(Manifest::parse(file, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_manifests_have_no_faults() {
        for (file, text) in BUILT_IN {
            if let Err(faults) = Manifest::parse(file, text) {
                panic!("{faults}");
            }
        }
    }
}
