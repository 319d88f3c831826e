//! The format of a table's parts.

/// How the parts of a table are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet, compressed with zstd.
    Parquet,
    /// One JSON object a line, compressed with gzip.
    Json,
}

impl Format {
    /// The name that requests and reports have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Json => "json",
        }
    }

    /// The format called `name`; `None` if there is none.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Parquet, Self::Json].into_iter().find(|format| format.name() == name)
    }
}
