//! Faults: mistakes in a request, a setting or a manifest.

use std::fmt;

/// A mistake in a request, a setting or a manifest: where it is, what it is, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the mistake is: a field of the request (`from`), a variable (`LAKE`), or a position in a manifest
    /// (`see_tickets.yaml:12:5 resources[0].name`).
    pub place: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Fault {
    /// A fault at `place` with the message `message`.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    /// Writes the place and the message: `place: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All faults that were found. It is never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
    /// Writes one fault in each line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

/// Returns `. Did you mean …?` with the name in `names` that is nearest to `text`, or the empty text if no name is near.
pub fn nearest(text: &str, names: &[impl AsRef<str>]) -> String {
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(text, name.as_ref()), name.as_ref()))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map_or_else(String::new, |(_, name)| format!(". Did you mean `{name}`?"))
}
