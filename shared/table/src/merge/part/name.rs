//! The names of parts: `part-00000.parquet` or `part-00000.jsonl.gz` within their partition.

use lake::ListedObject;

use crate::error::Error;
use crate::format::Format;
use crate::merge::context::TableContext;

/// The name of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartName {
    /// The key of the part, relative to the lake.
    pub(crate) key: String,
    /// The number of the part within its partition, from 0.
    pub(crate) number: u32,
    pub(crate) format: Format,
}

impl PartName {
    /// Returns the name of the part with this number. `prefix` is that of the partition, without the `/` at its end.
    pub(crate) fn new(prefix: &str, number: u32, format: Format) -> Self {
        Self { key: format!("{prefix}/part-{number:05}.{}", extension(format)), number, format }
    }

    /// Reads the name of a part of the partition with this prefix. Returns `None` if the object is not a part.
    pub(crate) fn parse(prefix: &str, key: &str) -> Option<Self> {
        let name = key.strip_prefix(prefix)?.strip_prefix("/part-")?;
        let (number, rest) = name.split_once('.')?;
        let format = [Format::Parquet, Format::Json].into_iter().find(|format| extension(*format) == rest)?;
        Some(Self { key: key.to_owned(), number: number.parse().ok()?, format })
    }

    /// Reads the name of a part like [`PartName::parse`], for a table whose parts have this format.
    ///
    /// # Errors
    ///
    /// A configuration error for a part of another format: the rows of either format would not be compared with those of the other.
    pub(crate) fn parse_in_format(prefix: &str, key: &str, format: Format) -> Result<Option<Self>, Error> {
        let Some(name) = Self::parse(prefix, key) else { return Ok(None) };
        if name.format != format {
            let (stored, requested) = (name.format.name(), format.name());
            let message = format!(
                "{prefix} is stored as {stored}, and rows written as {requested} would not be compared with these: \
                 use format {stored}, or another lake"
            );
            return Err(Error::configuration("format", message));
        }
        Ok(Some(name))
    }
}

/// Lists every part of the table, with its name.
pub(crate) async fn list_parts(table: &TableContext<'_>) -> Result<Vec<(PartName, ListedObject)>, Error> {
    let mut parts = Vec::new();
    for listed in table.store.list(&format!("{}/", table.root)).await? {
        let Some((prefix, _)) = listed.key.rsplit_once('/') else { continue };
        if let Some(name) = PartName::parse_in_format(prefix, &listed.key, table.format)? {
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
