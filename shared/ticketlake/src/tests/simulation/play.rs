//! Plays a scenario: runs the engine in its world, step by step, and holds it to the law.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::error::chain;
use client::secret::Secrets;
use lake::{Aws, Memory};
use manifest::{Manifest, Settings};
use tokio::runtime::Runtime;

use super::api::Api;
use super::dice::Dice;
use super::lake_rows::{Rows, stored_rows};
use super::law::{Broken, Judged};
use super::manifest::manifest;
use super::scenario::{Change, Correction, Run, Scenario, Step};
use super::seat::{Seat, Seated, take_turns};
use super::world::{View, World};
use crate::context::{Clients, RunOptions, Silent};
use crate::error::Error;
use crate::options::Draft;
use crate::report::{Report, Status};
use crate::request::Request;
use crate::run::run_source;

/// The quiet runs in which a scenario must become complete.
const QUIET_RUNS: u32 = 3;

/// The key of the simulated API.
pub(super) const SECRET: &str = "s3cret+of/the==simulation";

/// What a scenario did, for statistics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) runs: u64,
    pub(super) complete: u64,
    pub(super) requests: u64,
}

/// What distinguishes the requests of two runs: whether it is a full one, and its days. An interrupted reading is resumed by the same
/// request alone.
type RequestKey = (bool, Option<(u32, u32)>);

fn request_key(run: &Run) -> RequestKey {
    (run.full, run.days)
}

/// A reading that a later run may go on with.
#[derive(Debug)]
struct OpenReading {
    /// The moment when it began.
    since: usize,
    /// The corrections of its manifest.
    corrections: Vec<Correction>,
}

/// How a run ended: its report, and its error. `None` if it was killed.
type Ended = Option<(Report, Option<Error>)>;

/// Plays `scenario` to its end.
///
/// # Errors
///
/// The law that was broken.
pub(super) fn play(runtime: &Runtime, scenario: &Scenario) -> Result<Tally, Broken> {
    let played = std::panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let mut player = Player::new(scenario)?;
            player.play().await?;
            Ok(player.tally)
        })
    }));
    played.unwrap_or_else(|panic| {
        let text =
            panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).into()));
        Err(Broken::new("panic", text.unwrap_or_default()))
    })
}

struct Player<'s> {
    scenario: &'s Scenario,
    world: Arc<World>,
    settings: Settings,
    manifest: Manifest,
    corrections: Vec<Correction>,
    dice: Dice,
    rows: Rows,
    /// The readings that a later run may go on with, by what distinguishes their requests.
    open_readings: BTreeMap<RequestKey, OpenReading>,
    /// Whether an answer was untrue since then.
    was_lied_to: bool,
    /// Whether progress may rest on a reading that nothing proves.
    is_tainted: bool,
    tally: Tally,
    /// What the runs said, for the message.
    told: Vec<String>,
}

impl<'s> Player<'s> {
    fn new(scenario: &'s Scenario) -> Result<Self, Broken> {
        let settings: Settings = [("SIM_TOKEN".to_owned(), SECRET.to_owned())].into_iter().collect();
        Ok(Self {
            scenario,
            world: Arc::new(World::new(Api::new(scenario), scenario.turns % 4 > 1)),
            manifest: parse(scenario, &[], &settings)?,
            settings,
            corrections: Vec::new(),
            dice: Dice::new(scenario.turns),
            rows: Rows::new(),
            open_readings: BTreeMap::new(),
            was_lied_to: false,
            is_tainted: false,
            tally: Tally::default(),
            told: Vec::new(),
        })
    }

    async fn play(&mut self) -> Result<(), Broken> {
        self.play_steps().await.map_err(|broken| {
            Broken::new(broken.law, format!("{}\nThe runs said:\n  {}", broken.detail, self.told.join("\n  ")))
        })
    }

    async fn play_steps(&mut self) -> Result<(), Broken> {
        for step in &self.scenario.steps {
            match step {
                Step::Run(run) => self.run_alone(run).await?,
                Step::Overlap(first, second) => self.run(&[first.clone(), second.clone()]).await.map(drop)?,
                Step::Change(change) => self.change(*change),
                Step::Correct(correction) => self.correct(*correction)?,
                Step::Wait(seconds) => self.world.pass(i64::from(*seconds) * 1000),
            }
        }
        self.settle().await
    }

    /// Runs the engine once. The header `Date` has whole seconds, so that a run whose clock is wrong knows its time to a second or two: it is
    /// not compared with runs that are closer.
    async fn run_alone(&mut self, run: &Run) -> Result<(), Broken> {
        let distance = if run.ahead == 0 { 0 } else { 2_000 };
        self.world.pass(distance);
        self.run(std::slice::from_ref(run)).await?;
        self.world.pass(distance);
        Ok(())
    }

    /// Changes the API while nothing runs. Where no reading waits for its end, it may change as often as it likes.
    fn change(&self, change: Change) {
        if self.open_readings.is_empty() {
            self.world.end_reading();
        }
        self.world.change(&mut self.world.api.lock().unwrap(), change);
    }

    /// Puts the manifest right, and runs until a run is complete. The run after that finds nothing new.
    async fn settle(&mut self) -> Result<(), Broken> {
        if !self.corrections.is_empty() {
            self.corrections.clear();
            self.manifest = parse(self.scenario, &[], &self.settings)?;
        }
        for _ in 0..QUIET_RUNS {
            self.world.pass(3_600_000);
            if self.run(&[Run::default()]).await? {
                return self.repeat().await;
            }
        }
        if self.can_be_complete() {
            return Err(Broken::new("blocked", format!("{QUIET_RUNS} quiet runs in a row are not complete")));
        }
        Ok(())
    }

    /// After a complete run, quiet runs stay complete. The first of them may still find what changed while the reading went over several
    /// runs; the second finds nothing. Only every fourth scenario has a second one, which would be a fifth of all runs otherwise.
    async fn repeat(&mut self) -> Result<(), Broken> {
        let repetitions = if self.scenario.turns.is_multiple_of(4) { 2 } else { 1 };
        for repetition in 0..repetitions {
            let before = self.rows.clone();
            self.world.pass(3_600_000);
            let is_complete = self.run(&[Run::default()]).await?;
            if !self.can_be_complete() {
                return Ok(());
            }
            if !is_complete {
                return Err(Broken::new("again", "a quiet run is complete, and the next one is not".into()));
            }
            if repetition > 0 && self.rows != before {
                return Err(Broken::new("again", format!("one more quiet run changed the rows from {before:?}")));
            }
        }
        Ok(())
    }

    fn can_be_complete(&self) -> bool {
        self.scenario.can_be_complete(self.world.api.lock().unwrap().records())
    }

    fn correct(&mut self, correction: Correction) -> Result<(), Broken> {
        match self.corrections.iter().position(|known| *known == correction) {
            Some(place) => {
                self.corrections.remove(place);
            }
            None => self.corrections.push(correction),
        }
        self.manifest = parse(self.scenario, &self.corrections, &self.settings)?;
        Ok(())
    }

    /// Runs the engine, once or several times at once, and judges what it did. Returns whether the last run says `complete`.
    async fn run(&mut self, runs: &[Run]) -> Result<bool, Broken> {
        let began = self.world.api.lock().unwrap().begin_run();
        self.world.given.lock().unwrap().clear();
        if self.open_readings.is_empty() {
            self.world.end_reading();
        }
        let reads_side_by_side = runs.len() > 1 || self.scenario.owners.is_some() || self.scenario.api.depth.is_some();
        self.world.begin_reading(reads_side_by_side);
        let open = runs.iter().filter_map(|run| Some(self.open_readings.get(&request_key(run))?.since));
        let since = open.min().unwrap_or(began);
        let seats: Vec<Arc<Seat>> = runs.iter().map(|run| Arc::new(Seat::new(run.clone(), runs.len() > 1))).collect();
        let ended = self.let_run(&seats).await?;
        self.tally.runs += runs.len() as u64;
        no_secret(&self.world.lake, &ended)?;
        let before =
            std::mem::replace(&mut self.rows, stored_rows(&self.world.lake, "things", self.scenario.table.has_key));
        self.was_lied_to |= seats.iter().any(|seat| seat.was_lied_to.load(Ordering::Relaxed));
        let api = self.world.api.lock().unwrap();
        let is_calm = api.ledger.now() == since && !self.was_lied_to;
        let is_sandbox = self.corrections.contains(&Correction::Sandbox);
        let is_filtered = self.corrections.contains(&Correction::Filter);
        let judged = Judged {
            scenario: self.scenario,
            ledger: &api.ledger,
            before: &before,
            after: &self.rows,
            began,
            is_sandbox,
            is_filtered,
        };
        for (seat, ended) in seats.iter().zip(&ended) {
            self.told.push(tell(seat, ended.as_ref()));
            self.tally.requests += u64::from(seat.requests());
        }
        let is_honest = !self.scenario.is_guesswork();
        let all_complete =
            ended.iter().all(|ended| matches!(ended, Some((report, None)) if report.status == Status::Complete));
        // The total of a split query, and the first page that shows how an API gives pages, bring records that are not stored. Of two requests
        // at the same time, of two runs, the one that was sent first can be answered last: only a cursor says then which version is the newer
        // one.
        let api_is_told = self.scenario.api.depth.is_none() && self.scenario.api.is_declared;
        let is_ordered = runs.len() == 1 || self.scenario.api.changes.is_some();
        let all_stored = api_is_told && runs.iter().all(|run| run.days.is_none()) && is_ordered;
        if is_honest && all_complete && all_stored && !self.was_lied_to {
            judged.nothing_given_lost(&self.world.given.lock().unwrap())?;
        }
        // Without a declared total, an answer that is untrue can be no evidence of a record: an empty page that counts its own records is what
        // an API without records gives, and so is one beside a record that moves between two readings.
        judged.always(is_honest && (self.scenario.proves() || !self.was_lied_to))?;
        let mut is_complete = false;
        for (seat, ended) in seats.iter().zip(&ended) {
            is_complete = matches!(ended, Some((report, None)) if report.status == Status::Complete);
            let Some((report, _)) = ended.as_ref().filter(|_| is_complete) else { continue };
            self.tally.complete += 1;
            if self.scenario.is_guesswork() {
                continue;
            }
            let was_proven = self.scenario.proves() && report.proof.is_proven();
            if was_proven || (is_calm && !self.is_tainted) {
                judged.complete(since, &seat.run)?;
                // A page token that is the key of a record leads past another record with that key.
                let shows_twins = !self.scenario.api.paging.is_by_key();
                if is_calm && shows_twins && seat.run.days.is_none() && !is_filtered && !is_sandbox {
                    judged.no_conflict(api.records())?;
                }
            }
            self.is_tainted |= self.scenario.api.changes.is_some() && !is_calm;
        }
        drop(api);
        for key in runs.iter().map(request_key) {
            if all_complete {
                self.open_readings.remove(&key);
            } else {
                self.open_readings.insert(key, OpenReading { since, corrections: self.corrections.clone() });
            }
        }
        // Without a cursor, a complete run of any request has read what an earlier one began to read.
        if all_complete && self.scenario.api.changes.is_none() {
            self.open_readings.retain(|_, open| open.corrections != self.corrections);
        }
        self.was_lied_to &= !self.open_readings.is_empty();
        Ok(is_complete)
    }

    /// Runs the engine in each of `seats` at the same time.
    async fn let_run(&mut self, seats: &[Arc<Seat>]) -> Result<Vec<Ended>, Broken> {
        let mut dice = self.dice.clone();
        let ended = {
            let this = &*self;
            let runs = seats
                .iter()
                .map(|seat| Seated { seat: Arc::clone(seat), future: Box::pin(this.run_in(Arc::clone(seat))) });
            tokio::time::timeout(Duration::from_secs(864_000), take_turns(runs.collect(), &mut dice)).await
        };
        self.dice = dice;
        ended.map_err(|_| Broken::new("hangs", "a run does not end in ten days".into()))
    }

    async fn run_in(&self, seat: Arc<Seat>) -> (Report, Option<Error>) {
        let request = match Request::check(&self.draft(&seat.run), None, &self.settings) {
            Ok(request) => request,
            Err(faults) => panic!("{faults}"),
        };
        let view = Arc::new(View { world: Arc::clone(&self.world), seat });
        let clients = Clients {
            transport: Arc::<View>::clone(&view),
            aws: Arc::new(Aws::default()),
            secrets: Secrets::new(self.settings.clone(), None),
            settings: self.settings.clone(),
            clock: Arc::<View>::clone(&view),
            interrupt: Arc::default(),
        };
        let options = RunOptions { store: Some(view), deadline: None, listener: &Silent };
        run_source(&clients, &self.manifest, &request, options).await
    }

    fn draft(&self, run: &Run) -> Draft {
        let format = if self.scenario.table.is_parquet { "parquet" } else { "json" };
        let max_requests = run.max_requests.map(|most| most.to_string());
        let days = run.days.map(|(first, last)| (day(first), day(last)));
        let mut options = vec![("source", "sim"), ("resource", "things"), ("lake", "memory"), ("format", format)];
        options.extend(max_requests.as_deref().map(|most| ("max_requests", most)));
        if let Some((first, last)) = &days {
            options.extend([("from", first.as_str()), ("to", last.as_str())]);
        }
        let draft = Draft::new(options);
        if run.full { draft.with_flag("full") } else { draft }
    }
}

/// The key of the API is in no object, no report and no error.
fn no_secret(lake: &Memory, ended: &[Ended]) -> Result<(), Broken> {
    let has_secret = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
    let broken = |place: String| Err(Broken::new("secret", format!("the key of the API is in {place}")));
    if let Some((key, _)) = lake.objects().iter().find(|(_, bytes)| has_secret(bytes)) {
        return broken(key.clone());
    }
    for (report, error) in ended.iter().flatten() {
        let text = serde_json::to_string(report).unwrap_or_default();
        let error = error.as_ref().map(|error| chain(error)).unwrap_or_default();
        if has_secret(text.as_bytes()) || has_secret(error.as_bytes()) {
            return broken("the report or the error".into());
        }
    }
    Ok(())
}

/// The day that lies so many days before the beginning.
fn day(before: u32) -> String {
    let day = chrono::DateTime::from_timestamp_millis(super::world::BEGIN).unwrap_or_default();
    (day - chrono::TimeDelta::days(i64::from(before))).format("%Y-%m-%d").to_string()
}

fn parse(scenario: &Scenario, corrections: &[Correction], settings: &Settings) -> Result<Manifest, Broken> {
    let text = manifest(scenario, corrections).to_string();
    let broken = |faults| Broken::new("manifest", format!("{faults}\n{text}"));
    Manifest::parse("sim.json", &text).map_err(broken)?.configure(None, settings).map_err(broken)
}

/// How a run ended, in one line.
fn tell(seat: &Seat, ended: Option<&(Report, Option<Error>)>) -> String {
    let requests = seat.requests();
    match ended {
        None => format!("killed after {requests} requests"),
        Some((_, Some(error))) => format!("failed after {requests} requests: {}", chain(error)),
        Some((report, None)) => {
            let records = report.records;
            let reasons: Vec<&str> = report.queries.incomplete.iter().map(|query| query.reason.as_str()).collect();
            format!(
                "{} after {requests} requests: {} new, {} changed, {} unchanged, {} removed {:?} {:?}",
                report.status.name(),
                records.new,
                records.changed,
                records.unchanged,
                records.removed,
                report.stopped,
                reasons
            )
        }
    }
}
