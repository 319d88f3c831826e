//! A store that fails at its n-th operation, for every n: a plain run afterwards mends whatever was left.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::lake::{Local, Store};
use bytes::Bytes;
use chrono::Utc;
use manifest::{Manifest, built_in};
use sandbox::see_tickets::Options;
use sandbox::store::{Faulty, Trouble};
use serde_json::Value;
use table::Format;
use table::map::Mapper;
use table::merge::{Merged, Table, key_hash};
use tempfile::TempDir;
use ticketlake::error::Error;
use ticketlake::options::Draft;
use ticketlake::report::Status;
use ticketlake::request::Request;

use crate::lake::{self, HISTORY, REJECTED};
use crate::sales::{self, Sales};

/// Ends the test if the lake at `root` shows a key twice, or a part that is not whole.
fn look(root: &Path) {
    lake::assert_keys_once(&lake::parts(root));
}

fn directory(root: &Path) -> Arc<dyn Store> {
    Arc::new(Local::new(root.to_owned()))
}

/// A store over `root` with a reader that looks after every write.
fn watched(root: &Path, at: Option<(u64, Trouble)>) -> Faulty {
    let inner = directory(root);
    let faulty = match at {
        Some((number, trouble)) => Faulty::failing_at(inner, number, trouble),
        None => Faulty::new(inner),
    };
    let root = PathBuf::from(root);
    faulty.seen_by(move || look(&root))
}

/// One sandbox and one way of storing; each story has a lake of its own.
struct Stage {
    sales: Sales,
    request: Request,
}

impl Stage {
    async fn new(format: &str) -> Self {
        Self::of(sales::few(), format).await
    }

    async fn of(options: Options, format: &str) -> Self {
        let sales = Sales::start(options).await;
        let request = sales.request(&Draft::new([("format", format)]));
        Self { sales, request }
    }

    /// A run with trouble at its `number`-th operation; false when it had fewer. A run that met trouble says so.
    async fn troubled(&self, root: &Path, number: u64, trouble: Trouble) -> bool {
        let store = Arc::new(watched(root, Some((number, trouble))));
        let (report, error) = self.sales.run(Arc::<Faulty>::clone(&store), &self.request).await;
        look(root);
        let met = store.operations() >= number;
        assert_eq!(met, error.is_some(), "{trouble:?} at {number}: {report:?}");
        assert_eq!(met, report.status == Status::Failed, "{trouble:?} at {number}: {report:?}");
        met
    }

    /// A run without trouble, after which the lake is right.
    async fn plain(&self, root: &Path, revision: u32, story: &str) -> u64 {
        let store = Arc::new(watched(root, None));
        let (report, error) = self.sales.run(Arc::<Faulty>::clone(&store), &self.request).await;
        assert_eq!((report.status, error.map(|error| error.to_string())), (Status::Complete, None), "{story}");
        lake::assert_is(&lake::parts(root), &self.sales.truth, revision, story);
        assert_eq!(
            lake::rejected(&lake::objects(root, REJECTED)),
            lake::placeless(&self.sales.truth, revision),
            "{story}"
        );
        store.operations()
    }
}

/// Tells a story for every operation of a run and every way in which it can fail, until the run has no such operation.
async fn for_every_operation(least: u64, mut story: impl AsyncFnMut(u64, Trouble, String) -> bool) {
    for trouble in Trouble::ALL {
        let mut number = 1;
        while story(number, trouble, format!("{trouble:?} at {number}")).await {
            number += 1;
            assert!(number < 1_000, "a run of so few sales never ends");
        }
        assert!(number > least, "a run into several partitions has more than {number} operations");
    }
}

#[tokio::test]
async fn a_first_run_that_fails_anywhere_is_mended_by_the_next() {
    // Ten days: a watermark that was saved before its rows would leave the first three to nobody.
    for (days, format) in [(10, "parquet"), (4, "json")] {
        let stage = Stage::of(Options { days, ..sales::few() }, format).await;
        for_every_operation(10, async |number, trouble, story| {
            let root = tempfile::tempdir().unwrap();
            let met = stage.troubled(root.path(), number, trouble).await;
            stage.plain(root.path(), 0, &story).await;
            met
        })
        .await;
    }
}

#[tokio::test]
async fn a_retry_that_fails_anywhere_is_mended_by_the_next() {
    let stage = Stage::new("parquet").await;
    for_every_operation(10, async |number, trouble, story| {
        let root = tempfile::tempdir().unwrap();
        // Late enough that some partitions are stored, and others not.
        assert!(stage.troubled(root.path(), 9, Trouble::KilledAfter).await);
        let met = stage.troubled(root.path(), number, trouble).await;
        stage.plain(root.path(), 0, &story).await;
        met
    })
    .await;
}

#[tokio::test]
async fn a_first_run_and_its_retry_that_both_fail_anywhere_are_mended_by_the_next() {
    let stage = Stage::new("parquet").await;
    for_every_operation(10, async |number, trouble, story| {
        let root = tempfile::tempdir().unwrap();
        let first = stage.troubled(root.path(), number, trouble).await;
        let second = stage.troubled(root.path(), number, trouble).await;
        stage.plain(root.path(), 0, &story).await;
        first || second
    })
    .await;
}

#[tokio::test]
async fn a_run_that_fails_anywhere_while_it_updates_is_mended_by_the_next() {
    let stage = Stage::new("parquet").await;
    for_every_operation(10, async |number, trouble, story| {
        let root = tempfile::tempdir().unwrap();
        stage.sales.server.set_revision(0);
        stage.plain(root.path(), 0, "before").await;
        stage.sales.server.set_revision(1);
        let met = stage.troubled(root.path(), number, trouble).await;
        stage.plain(root.path(), 1, &story).await;
        met
    })
    .await;
}

/// One day in several parts, as a day has them that outgrew the target size.
struct Parts {
    manifest: Manifest,
    options: Options,
    format: Format,
}

impl Parts {
    const STORED: usize = 3;

    fn new(format: Format) -> Self {
        let options = Options { sales: 300, days: 1, pending_days: 1, added_per_revision: 20, ..Options::default() };
        Self { manifest: built_in::find("see_tickets").unwrap().unwrap(), options, format }
    }

    /// The table, whose parts are full as soon as they are written.
    fn table<'t>(&'t self, store: &'t dyn Store) -> Table<'t> {
        let resource = self.manifest.resource("sales").unwrap();
        Table::new(store, &self.manifest.name, resource, self.format).with_target_bytes(1)
    }

    /// Merges `sales`; see [`Table::merge`].
    async fn merge(
        &self,
        store: &dyn Store,
        sales: impl IntoIterator<Item = Value>,
        merged: &mut Merged,
    ) -> Result<(), Error> {
        let table = self.table(store);
        let mapper = Mapper::new(self.manifest.resource("sales").unwrap());
        let mut buffer = table.buffer();
        sales.into_iter().flat_map(|sale| mapper.map(sale)).for_each(|row| buffer.push(row.unwrap(), Utc::now()));
        Ok(table.merge(&mut buffer, merged).await?)
    }

    /// Merges `sales` into the lake at `root` without trouble.
    async fn mend(&self, root: &Path, sales: impl IntoIterator<Item = Value>) {
        self.merge(&watched(root, None), sales, &mut Merged::default()).await.unwrap();
    }

    /// A lake of [`Parts::STORED`] parts.
    async fn stored(&self) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        let sales: Vec<_> = self.options.truth().sales(0).collect();
        for sales in sales.chunks(sales.len() / Self::STORED) {
            self.mend(root.path(), sales.to_vec()).await;
        }
        assert_eq!(lake::parts(root.path()).len(), Self::STORED);
        root
    }
}

/// The same parts in another directory.
fn copy(parts: &BTreeMap<String, Bytes>) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (key, bytes) in parts {
        let path = root.path().join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    root
}

/// Rows of `after` that `before` does not have, and those that say something else there.
fn written(before: &BTreeMap<String, Bytes>, after: &BTreeMap<String, Bytes>) -> (u64, u64) {
    let (before, after) = (lake::rows(before), lake::rows(after));
    let new = after.keys().filter(|code| !before.contains_key(*code)).count();
    let says = |row: &lake::Row| row["_fingerprint"].clone();
    let changed = after.iter().filter(|(code, row)| before.get(*code).is_some_and(|was| says(was) != says(row)));
    (new as u64, changed.count() as u64)
}

#[tokio::test]
async fn a_merge_that_fails_anywhere_among_several_parts_is_mended_by_the_next() {
    for format in [Format::Parquet, Format::Json] {
        let parts = Parts::new(format);
        let truth = parts.options.truth();
        let before = lake::parts(parts.stored().await.path());
        let touched = Parts::STORED + 1;
        for_every_operation(touched as u64 * 2, async |number, trouble, story| {
            let root = copy(&before);
            let store = watched(root.path(), Some((number, trouble)));
            let mut counted = Merged::default();
            let outcome = parts.merge(&store, truth.sales(1), &mut counted).await;
            let met = store.operations() >= number;
            assert_eq!(met, outcome.is_err(), "{story}");
            look(root.path());
            let landed = written(&before, &lake::parts(root.path()));
            if matches!(trouble, Trouble::Refused | Trouble::KilledBefore) {
                assert_eq!((counted.new, counted.changed), landed, "{story}");
            } else {
                assert!(counted.new <= landed.0 && counted.changed <= landed.1, "{story}: {counted:?}, {landed:?}");
            }

            parts.mend(root.path(), truth.sales(1)).await;
            lake::assert_is(&lake::parts(root.path()), &truth, 1, &story);
            assert_eq!(lake::parts(root.path()).len(), touched, "{story}");
            met
        })
        .await;
    }
}

/// Each version is in the history once, whichever write of the two a merge died at, and the table is right as well.
#[tokio::test]
async fn a_merge_with_a_history_that_fails_anywhere_keeps_each_version_once() {
    let mut parts = Parts::new(Format::Parquet);
    for resource in &mut parts.manifest.resources {
        resource.history = true;
    }
    let truth = parts.options.truth();
    let stored = parts.stored().await;
    let before = lake::objects(stored.path(), "");
    let first: BTreeMap<String, Bytes> = lake::objects(stored.path(), HISTORY);
    assert_eq!(lake::versions(&first).len(), truth.count(0));
    let expected = truth.count(1) + truth.changed_codes(0, 1).len();
    for_every_operation(10, async |number, trouble, story| {
        let root = copy(&before);
        let store = watched(root.path(), Some((number, trouble)));
        let outcome = parts.merge(&store, truth.sales(1), &mut Merged::default()).await;
        let met = store.operations() >= number;
        assert_eq!(met, outcome.is_err(), "{story}");
        look(root.path());
        lake::versions(&lake::objects(root.path(), HISTORY));

        parts.mend(root.path(), truth.sales(1)).await;
        lake::assert_is(&lake::parts(root.path()), &truth, 1, &story);
        assert_eq!(lake::versions(&lake::objects(root.path(), HISTORY)).len(), expected, "{story}");
        met
    })
    .await;
}

/// Half of a day's sales are gone. Wherever a removal died, the next takes the rest, and no row that stays is touched.
#[tokio::test]
async fn a_removal_that_fails_anywhere_is_mended_by_the_next() {
    for format in [Format::Parquet, Format::Json] {
        let parts = Parts::new(format);
        let truth = parts.options.truth();
        let before = lake::parts(parts.stored().await.path());
        let all = lake::rows(&before);
        let left: BTreeMap<_, _> = all.clone().into_iter().step_by(2).collect();
        let seen: HashSet<u64> = left.keys().map(|code| key_hash(code)).collect();
        let begin = Utc::now();
        let remove = async |store: &dyn Store| {
            let mut counted = Merged::default();
            let table = parts.table(store);
            let outcome = match table.begin_reading().await {
                Ok(_) => table.remove_unseen_rows(&seen, begin, &mut counted).await,
                Err(error) => Err(error),
            };
            (counted.removed as usize, outcome)
        };
        for_every_operation(Parts::STORED as u64 * 2, async |number, trouble, story| {
            let root = copy(&before);
            let store = watched(root.path(), Some((number, trouble)));
            let (counted, outcome) = remove(&store).await;
            let met = store.operations() >= number;
            assert_eq!(met, outcome.is_err(), "{story}");
            let gone = all.len() - lake::rows(&lake::parts(root.path())).len();
            let unanswered = matches!(trouble, Trouble::AnswerLost | Trouble::KilledAfter);
            assert!(counted == gone || unanswered && counted < gone, "{story}: {counted} of {gone}");

            let (rest, outcome) = remove(&watched(root.path(), None)).await;
            outcome.unwrap();
            assert_eq!(gone + rest, all.len() - left.len(), "{story}");
            assert_eq!(lake::rows(&lake::parts(root.path())), left, "{story}");
            parts.mend(root.path(), truth.sales(0)).await;
            lake::assert_is(&lake::parts(root.path()), &truth, 0, &story);
            met
        })
        .await;
    }
}
