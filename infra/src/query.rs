//! Reads the queries in `infra/queries`, which are SQL for both Athena and DuckDB.

use std::io::Error;
use std::path::Path;

/// A named query.
#[derive(Debug)]
pub(crate) struct Query {
    /// The name of the file without `.sql`.
    pub(crate) name: String,
    /// The comment on the first line of the file: the question that the query answers.
    pub(crate) description: String,
    /// The text of the file.
    pub(crate) sql: String,
}

impl Query {
    /// Reads all queries in `folder`, ordered by name.
    pub(crate) fn all(folder: &Path) -> Result<Vec<Self>, Error> {
        let mut queries = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
            let sql = std::fs::read_to_string(&path)?;
            let first = sql.lines().next().unwrap_or_default();
            let Some(description) = first.strip_prefix("-- ") else {
                return Err(Error::other(format!(
                    "{}: the first line must be a comment with the question that the query answers",
                    path.display()
                )));
            };
            queries.push(Self { name, description: description.to_owned(), sql });
        }
        queries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(queries)
    }
}
