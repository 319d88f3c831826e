//! The runs that are writing into a history: the document `_state/<source>/<resource>/history.json`.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use lake::{Document, JsonContent, Store};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use crate::error::Error;

/// The longest time that a run may take. A run that began earlier has ended in any case: a Lambda function runs for at most 15 minutes.
const MAX_RUN_DAYS: Days = Days::new(1);

/// What the document holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredRuns {
    /// The day on which each run began to write, by the name of the run.
    open: BTreeMap<String, NaiveDate>,
}

impl JsonContent for StoredRuns {
    const NAME: &'static str = "history";
    const VERSION: u64 = 1;
}

/// This run among those that are writing into one history.
#[derive(Debug)]
pub(super) struct OpenRuns<'t> {
    store: &'t dyn Store,
    /// The key of the document.
    key: String,
    /// The name of this run in the document.
    run: String,
    /// The first day of all open runs. It is set when this run is added to the document.
    first_day: OnceCell<NaiveDate>,
}

impl<'t> OpenRuns<'t> {
    /// Creates a new run that is not in the document at `key` yet.
    pub(super) fn new(store: &'t dyn Store, key: String) -> Self {
        let run = format!("{}-{:08x}", Utc::now().format("%Y%m%dT%H%M%S%6f"), rand::rng().random::<u32>());
        Self { store, key, run, first_day: OnceCell::new() }
    }

    /// Adds this run to the document, unless it is there. Returns the day on which the first of all open runs began to write; `today` is
    /// that of this one.
    pub(super) async fn register(&self, today: NaiveDate) -> Result<NaiveDate, Error> {
        let first_day = self.first_day.get_or_try_init(async || {
            let runs = self.update(|runs| _ = runs.open.insert(self.run.clone(), today)).await?;
            Ok::<_, Error>(runs.open.into_values().min().unwrap_or(today))
        });
        first_day.await.copied()
    }

    /// Removes this run from the document, if it is there. `covered_since` is the start of a run that read everything: then runs that were
    /// killed before it are removed too, since that run has read the versions that they recorded and did not write.
    pub(super) async fn close(&self, covered_since: Option<DateTime<Utc>>) -> Result<(), Error> {
        if !self.first_day.initialized() {
            return Ok(());
        }
        let last_ended = covered_since.and_then(|start| start.date_naive().checked_sub_days(MAX_RUN_DAYS));
        self.update(|runs| {
            runs.open.retain(|run, day| *run != self.run && last_ended.is_none_or(|last_ended| *day >= last_ended));
        })
        .await
        .map(|_| ())
    }

    /// Changes the document, and returns what it holds then.
    async fn update(&self, change: impl Fn(&mut StoredRuns)) -> Result<StoredRuns, Error> {
        let mut document = Document::<StoredRuns>::new(self.store, &self.key);
        document
            .update(|stored| {
                let mut runs = stored.cloned().unwrap_or_default();
                change(&mut runs);
                Ok::<_, Error>((stored != Some(&runs)).then_some(runs))
            })
            .await?;
        Ok(document.value().cloned().unwrap_or_default())
    }
}
