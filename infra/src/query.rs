//! The queries in `infra/queries`: SQL that Athena and DuckDB both understand.

use std::io::Error;
use std::path::Path;

/// A query.
#[derive(Debug)]
pub(crate) struct Query {
    /// The file's name without `.sql`.
    pub(crate) name: String,
    /// The file's first line, a comment: what it answers.
    pub(crate) description: String,
    /// The whole file.
    pub(crate) sql: String,
}

impl Query {
    /// Every query in `folder`, by name.
    pub(crate) fn all(folder: &Path) -> Result<Vec<Self>, Error> {
        let mut queries = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let sql = std::fs::read_to_string(&path)?;
            let first = sql.lines().next().unwrap_or_default();
            let Some(description) = first.strip_prefix("-- ") else {
                return Err(Error::other(format!(
                    "{}: the first line must be a comment that says what it answers",
                    path.display()
                )));
            };
            queries.push(Self { name, description: description.to_owned(), sql });
        }
        queries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(queries)
    }
}
