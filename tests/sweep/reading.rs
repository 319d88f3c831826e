//! What the tests of this folder share: a run of the events, and what lies in its lake.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbox::Server;
use sandbox::function::{self, Function};

use crate::lake::Lake;

pub(crate) const EVENTS: &str = "ticketmaster/events";
pub(crate) const HISTORY: &str = "ticketmaster/events_history";
pub(crate) const VENUES: &str = "ticketmaster/venues";
pub(crate) const ATTRACTIONS: &str = "ticketmaster/attractions";
/// Records of one page.
pub(crate) const PAGE: usize = 200;

/// One test at a time.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run of the events by the built-in manifest at `rate`, a line of a manifest's client; `None`: as fast as they come.
pub(crate) fn events(server: &Server, lake: &Lake, rate: Option<&str>) -> Function {
    let text = std::fs::read_to_string(function::root().join("shared/manifest/sources/ticketmaster.yaml")).unwrap();
    let lines = text.lines().filter_map(|line| match line.trim_start().starts_with("rate:") {
        true => rate.map(|rate| format!("  rate: {rate}")),
        false => Some(line.to_owned()),
    });
    let manifest = lake.path().with_extension("yaml");
    std::fs::write(&manifest, lines.collect::<Vec<_>>().join("\n")).unwrap();
    // As `template.yaml` sets them: glibc otherwise keeps as free what large blocks leave, half of the process.
    let allocator =
        [("MALLOC_ARENA_MAX", "1"), ("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];
    let function = Function::reading("events", "ticketmaster", lake.path());
    let function = allocator.iter().fold(function, |function, (name, value)| function.env(name, value));
    function.against("ticketmaster", &server.base_url, "sandbox-key").with(&["--sources", manifest.to_str().unwrap()])
}

/// The ids of a table, of which none is there twice.
pub(crate) fn ids(lake: &Lake, table: &str) -> BTreeSet<String> {
    let rows = lake.query(table, "SELECT id FROM {table}");
    let count = rows.len();
    let ids: BTreeSet<String> = rows.into_iter().map(|row| row[0].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), count, "{table}: an id is stored twice");
    ids
}

/// Asserts that two lakes have the same rows in every column but for when they were written.
pub(crate) fn assert_same_rows(one: &Lake, other: &Lake) {
    /// Columns that say when.
    const WHEN: &str = "synced_at, first_seen_at";
    for table in [EVENTS, HISTORY, VENUES, ATTRACTIONS] {
        let of = |from: &str| format!("SELECT * EXCLUDE ({WHEN}) FROM {from}");
        let other =
            format!("read_parquet('{}/{table}/**/*.parquet', hive_partitioning = true)", other.path().display());
        let (here, there) = (of("{table}"), of(&other));
        let rows = one.value(table, &format!("SELECT count(*) FROM ({here})"));
        assert_eq!(rows, one.value(table, &format!("SELECT count(*) FROM ({there})")), "{table}");
        assert_ne!(rows, 0, "{table}");
        for (these, those) in [(&here, &there), (&there, &here)] {
            let differing = one.query(table, &format!("SELECT id FROM ({these} EXCEPT ALL {those}) LIMIT 5"));
            assert!(differing.is_empty(), "{table}: {differing:?} …");
        }
    }
}
