//! The names of parts: `part-00000.parquet` within a partition's folder.

use crate::request::Format;

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

    /// Reads a part's name; `None` for an object that is no part.
    pub(super) fn parse(folder: &str, key: &str) -> Option<Self> {
        let name = key.strip_prefix(folder)?.strip_prefix("/part-")?;
        let (number, rest) = name.split_once('.')?;
        let format = [Format::Parquet, Format::Json].into_iter().find(|format| extension(*format) == rest)?;
        Some(Self { key: key.to_owned(), number: number.parse().ok()?, format })
    }
}

fn extension(format: Format) -> &'static str {
    match format {
        Format::Parquet => "parquet",
        Format::Json => "jsonl.gz",
    }
}
