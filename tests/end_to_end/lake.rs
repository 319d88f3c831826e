//! A lake as its readers see it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use tempfile::TempDir;

use crate::tools::python;

/// A lake in a directory of its own, gone with the test.
#[derive(Debug)]
pub(crate) struct Lake(TempDir);

impl Lake {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// What DuckDB answers to `query`, as rows of columns; `{table}` stands for the table `source/resource` with its folders'
    /// columns.
    pub(crate) fn query(&self, table: &str, query: &str) -> Vec<Vec<Value>> {
        duckdb(self.path(), table, query)
    }

    /// A query's single value.
    pub(crate) fn value(&self, table: &str, query: &str) -> Value {
        self.query(table, query).remove(0).remove(0)
    }

    /// A query's single value over parts with different columns, united by their names.
    pub(crate) fn united(&self, table: &str, query: &str) -> Value {
        let query = query.replace("{table}", "(SELECT * FROM {united})");
        duckdb(self.path(), table, &query).remove(0).remove(0)
    }

    /// Every object with its size and time, for "nothing was written"; without what counts the requests.
    pub(crate) fn objects(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut found = BTreeMap::new();
        walk(self.path(), &mut found);
        found.retain(|path, _| {
            !path.components().any(|part| part.as_os_str() == "_tmp" || part.as_os_str() == "_quota.json")
        });
        found
    }

    /// Every part with its size and time, of all tables: [`Lake::objects`] without the state, which tells when what was read.
    pub(crate) fn parts(&self) -> BTreeMap<PathBuf, (u64, SystemTime)> {
        let mut found = self.objects();
        found.retain(|path, _| !path.components().any(|part| part.as_os_str() == "_state"));
        found
    }
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, (u64, SystemTime)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            walk(&entry.path(), found);
        } else {
            found.insert(entry.path(), (metadata.len(), metadata.modified().unwrap()));
        }
    }
}

/// What DuckDB answers over the lake at `root`; see [`Lake::query`].
pub(crate) fn duckdb(root: &Path, table: &str, query: &str) -> Vec<Vec<Value>> {
    let script = r"
import duckdb, glob, json, os
root, query = os.environ['TABLE'], os.environ['QUERY']
if glob.glob(root + '/**/*.parquet', recursive=True):
    table = f'''read_parquet('{root}/**/*.parquet', hive_partitioning = true)'''
else:
    table = f'''read_json('{root}/**/*.jsonl.gz', hive_partitioning = true, format = 'newline_delimited')'''
united = table.replace('hive_partitioning = true', 'hive_partitioning = true, union_by_name = true')
rows = duckdb.sql(query.replace('{table}', table).replace('{united}', united)).fetchall()
print(json.dumps(rows, default=str))
";
    let table = root.join(table).display().to_string();
    serde_json::from_value(python(script, &[("TABLE", &table), ("QUERY", query), ("TZ", "UTC")])).unwrap()
}
