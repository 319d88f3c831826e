//! The format of a table's parts.

/// The format of a table's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Parquet, compressed with zstd.
    Parquet,
    /// JSON lines, one object for each row, compressed with gzip.
    Json,
}

impl Format {
    /// Returns the name of the format in requests and reports: `parquet` or `json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Json => "json",
        }
    }

    /// Returns the format with this name, or `None` if there is none.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Parquet, Self::Json].into_iter().find(|format| format.name() == name)
    }
}
