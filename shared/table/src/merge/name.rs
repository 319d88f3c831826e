//! The names of parts: `part-00000.parquet` within a partition's folder.

use lake::Listed;

use super::parts::TableParts;
use crate::error::Error;
use crate::format::Format;

/// A part's place within its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) key: String,
    pub(super) number: u32,
    pub(super) format: Format,
}

impl Name {
    /// The name of part `number` below `folder`.
    pub(super) fn new(folder: &str, number: u32, format: Format) -> Self {
        Self { key: format!("{folder}/part-{number:05}.{}", extension(format)), number, format }
    }

    /// As [`Name::parse`]; a part of another format than the table's is an error.
    pub(super) fn of(format: Format, folder: &str, key: &str) -> Result<Option<Self>, Error> {
        let Some(name) = Self::parse(folder, key) else { return Ok(None) };
        if name.format != format {
            let (stored, asked) = (name.format.name(), format.name());
            let message = format!(
                "{folder} is stored as {stored}; writing it as {asked} too would hide keys from each other. Use format {stored}, or another lake"
            );
            return Err(Error::configuration("format", message));
        }
        Ok(Some(name))
    }

    /// Reads a part's name; `None` for an object that is no part.
    pub(super) fn parse(folder: &str, key: &str) -> Option<Self> {
        let name = key.strip_prefix(folder)?.strip_prefix("/part-")?;
        let (number, rest) = name.split_once('.')?;
        let format = [Format::Parquet, Format::Json].into_iter().find(|format| extension(*format) == rest)?;
        Some(Self { key: key.to_owned(), number: number.parse().ok()?, format })
    }
}

/// Every part of the table, with its name.
pub(super) async fn list_parts(table: &TableParts<'_>) -> Result<Vec<(Name, Listed)>, Error> {
    let mut parts = Vec::new();
    for listed in table.store.list(&format!("{}/", table.root)).await? {
        let Some((folder, _)) = listed.key.rsplit_once('/') else { continue };
        if let Some(name) = Name::of(table.format, folder, &listed.key)? {
            parts.push((name, listed));
        }
    }
    Ok(parts)
}

fn extension(format: Format) -> &'static str {
    match format {
        Format::Parquet => "parquet",
        Format::Json => "jsonl.gz",
    }
}
