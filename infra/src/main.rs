//! Generates files from the manifests: `infra/catalogue.yaml` (Glue tables and Athena's named queries), `infra/duckdb/*.sql` (the
//! same tables as DuckDB views) and `docs/tables.md` (every column).
//!
//! ```text
//! cargo run -p infra              writes the files of the built-in manifests
//! cargo run -p infra -- FILE…     prints the catalogue of other manifests
//! ```

mod columns;
mod glue;
mod query;
mod views;

use std::io::{Error, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use manifest::{Manifest, built_in};
use table::catalogue::{self, TableDefinition};

use crate::query::Query;

fn main() -> ExitCode {
    let files: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let done = if files.is_empty() { write() } else { print(&files) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the files of the built-in manifests.
fn write() -> Result<(), Error> {
    for (path, text) in generated()? {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, text)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Prints the catalogue of the manifests in `files`.
fn print(files: &[PathBuf]) -> Result<(), Error> {
    let manifests = files.iter().map(|file| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        Manifest::parse(name, &std::fs::read_to_string(file)?).map_err(|faults| Error::other(faults.to_string()))
    });
    let tables: Vec<TableDefinition> =
        manifests.collect::<Result<Vec<_>, _>>()?.iter().flat_map(catalogue::tables).collect();
    std::io::stdout().write_all(glue::template(&tables, &[]).as_bytes())
}

/// Returns the generated files with their texts.
fn generated() -> Result<Vec<(PathBuf, String)>, Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manifests = built_in::names().filter_map(built_in::find).collect::<Result<Vec<_>, _>>();
    let manifests = manifests.map_err(|faults| Error::other(faults.to_string()))?;
    let tables: Vec<TableDefinition> = manifests.iter().flat_map(catalogue::tables).collect();
    let queries = Query::all(&root.join("infra/queries"))?;
    let mut files = vec![
        (root.join("infra/catalogue.yaml"), glue::template(&tables, &queries)),
        (root.join("docs/tables.md"), columns::page(&tables)),
    ];
    for source in built_in::names() {
        let of_source: Vec<&TableDefinition> = tables.iter().filter(|table| table.source == source).collect();
        files.push((root.join(format!("infra/duckdb/{source}.sql")), views::script(&of_source)));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_generated_files_are_current() {
        for (path, text) in super::generated().unwrap() {
            let stored = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(stored == text, "{} is out of date: cargo run -p infra", path.display());
        }
    }
}
