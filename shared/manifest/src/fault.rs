//! What is wrong with a request, a setting or a manifest.

use std::fmt;

/// One thing wrong with a request, a setting or a manifest: where it is, what it is, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: a request field (`from`), a variable (`LAKE`), or a manifest's place (`see_tickets.yaml:12:5 resources[0].name`).
    pub place: String,
    /// What is wrong, with the value allowed.
    pub message: String,
}

impl Fault {
    /// A fault at `place`.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Every fault found, not only the first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl fmt::Display for Faults {
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

/// `. Did you mean …?` when one of `names` is close to `text`, else nothing.
pub fn nearest(text: &str, names: &[impl AsRef<str>]) -> String {
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(text, name.as_ref()), name.as_ref()))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map_or_else(String::new, |(_, name)| format!(". Did you mean `{name}`?"))
}
