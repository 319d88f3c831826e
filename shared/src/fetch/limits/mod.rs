//! How many requests may leave: every limit of a source at once, none exceeded and all of them used.
//!
//! A limit of up to ten seconds is kept by even spacing (`pace`). A longer one is counted (`window`), in a ledger that all
//! functions on the same key share (`ledger`), and checked against the API's own count in its answers' headers (`told`).
//!
//! The spacing is each process's own: functions that run at the same time on one key share an hour and a day, not a second.

mod ledger;
mod pace;
mod told;
mod window;

#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::HeaderMap;
use tokio::time::Instant;

pub use self::ledger::Ledger;
use self::pace::Pace;
use self::told::Told;
pub use self::window::Left;
use self::window::{Count, Standing, later, may_end};
use super::{Stop, lock};
use crate::error::Error;
use crate::manifest::Window;

/// The longest that a run without a deadline waits for a limit to renew: Xurrent's hour, and a minute.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3660);
/// Requests on their way at once where no limit says how many leave within a second.
const UNLIMITED_IN_FLIGHT: usize = 4;
/// A limit that renews as soon as this is none that is counted here.
const SOON: Duration = Duration::from_secs(10);

/// The limits of one source, for the length of a run.
#[derive(Debug)]
pub struct Limits<'s> {
    ledger: Ledger<'s>,
    state: Mutex<State>,
    /// Held by the one that asks the ledger: those that wait for it find what it brought.
    reserving: tokio::sync::Mutex<()>,
}

/// A request that may leave, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted(u64);

#[derive(Debug)]
struct State {
    windows: Vec<Window>,
    pace: Pace,
    counts: Vec<Count>,
    admitted: u64,
}

/// What comes next for one that wants to leave.
enum Step {
    /// It leaves, at `at`; `turns` are the spans that it counts in.
    Leave { at: Instant, number: u64, turns: Vec<u64> },
    /// The ledger is to be asked first.
    Reserve,
    /// A limit is used up until `renews`.
    UsedUp { renews: DateTime<Utc>, why: String },
    /// The spacing or a pause puts it after the latest time.
    TooLate(Instant),
}

impl<'s> Limits<'s> {
    /// Limits of these `windows`; without a ledger the long ones are counted in this process alone.
    pub fn new(windows: &[Window], ledger: Option<Ledger<'s>>) -> Self {
        let mut windows = windows.to_vec();
        windows.sort_by_key(|window| window.period);
        let counts = windows.iter().filter(|window| window.is_long()).copied().map(Count::new).collect();
        let state = State { pace: Pace::new(&windows), windows, counts, admitted: 0 };
        Self {
            ledger: ledger.unwrap_or_else(Ledger::in_memory),
            state: Mutex::new(state),
            reserving: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until a request may leave. [`Stop::Limit`] when that would be after `until`; without it, when a limit renews
    /// later than [`LONGEST_WAIT`] from now.
    pub async fn admit(&self, until: Option<SystemTime>) -> Result<Admitted, Stop> {
        loop {
            let latest = latest(until);
            let step = lock(&self.state).step(Utc::now(), Instant::now(), latest);
            match step {
                Step::Leave { at, number, turns } => {
                    let credit = Credit { state: &self.state, turns };
                    if let Some(admitted) = self.leave(at, number, credit, latest).await? {
                        return Ok(admitted);
                    }
                }
                Step::Reserve => self.reserve().await?,
                Step::TooLate(at) => return Err(too_late(at)),
                Step::UsedUp { renews, why } => {
                    let wait = (renews - Utc::now()).to_std().unwrap_or_default();
                    if latest.is_some_and(|latest| Instant::now() + wait > latest) {
                        return Err(Stop::Limit(why));
                    }
                    tracing::info!(wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "{why}; waiting");
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Sleeps until `at`, and on when the server asked for a pause meanwhile. `None` when a window ended before it could leave:
    /// what it counts in is over.
    async fn leave(
        &self,
        mut at: Instant,
        number: u64,
        mut credit: Credit<'_>,
        latest: Option<Instant>,
    ) -> Result<Option<Admitted>, Stop> {
        loop {
            tokio::time::sleep_until(at).await;
            let mut state = lock(&self.state);
            let now = Utc::now();
            if !state.counts.iter().zip(&credit.turns).all(|(count, turn)| count.still_counts(*turn, now)) {
                return Ok(None);
            }
            if state.pace.stands(at) {
                credit.turns.clear();
                return Ok(Some(Admitted(number)));
            }
            at = state.pace.departure(Instant::now(), latest).map_err(too_late)?;
        }
    }

    /// Brings a chunk of every window that has none in hand.
    async fn reserve(&self) -> Result<(), Error> {
        let _turn = self.reserving.lock().await;
        let now = Utc::now();
        let wanted: Vec<_> = {
            let mut state = lock(&self.state);
            let empty = state.counts.iter_mut().enumerate().filter_map(|(place, count)| {
                (count.standing(now) == Standing::Empty).then(|| (place, count.entry(now)))
            });
            empty.collect()
        };
        if wanted.is_empty() {
            return Ok(());
        }
        let reserve = |book: &mut ledger::Book| -> Vec<_> {
            let mut next = book.clone();
            let grants = wanted.iter().map(|(place, entry)| (*place, next.reserve(entry, now)));
            let (some, none): (Vec<_>, Vec<_>) = grants.partition(|(_, grant)| grant.granted > 0);
            if none.is_empty() {
                *book = next;
                return some;
            }
            // Where one window has nothing to give, what the others gave could not be sent.
            none
        };
        let granted = self.ledger.change(reserve).await?;
        let mut state = lock(&self.state);
        for (place, grant) in granted {
            state.counts[place].grant(grant.span, grant.granted, grant.behind);
        }
        Ok(())
    }

    /// Lets nothing leave for `pause`: the server said so. What waits to leave then leaves evenly, not at once.
    pub fn hold(&self, pause: Duration) {
        if let Some(until) = Instant::now().checked_add(pause) {
            lock(&self.state).pace.hold(until);
        }
    }

    /// Takes up what the headers of the answer to `admitted` say about limits.
    pub fn told(&self, admitted: Admitted, headers: &HeaderMap) {
        let (now, clock) = (Utc::now(), Instant::now());
        for told in told::read(headers, now) {
            lock(&self.state).told(admitted, &told, now, clock);
        }
    }

    /// What is left of every long window that was used or looked at.
    pub fn left(&self) -> Vec<Left> {
        let now = Utc::now();
        lock(&self.state).counts.iter().filter_map(|count| count.left(now)).collect()
    }

    /// Gives back what was reserved and not used, and tells the ledger the API's own count.
    pub async fn close(&self) -> Result<(), Error> {
        let _turn = self.reserving.lock().await;
        let now = Utc::now();
        let held: Vec<_> = {
            let state = lock(&self.state);
            let held = state.counts.iter().enumerate().map(|(place, count)| (place, count.entry(now)));
            held.filter(|(_, entry)| entry.in_hand > 0 || entry.ceiling.is_some()).collect()
        };
        if held.is_empty() {
            return Ok(());
        }
        let give_back = |book: &mut ledger::Book| -> Vec<_> {
            held.iter().map(|(place, entry)| (*place, book.give_back(entry, now))).collect()
        };
        let returned = self.ledger.change(give_back).await?;
        let mut state = lock(&self.state);
        for (place, grant) in returned {
            state.counts[place].returned(grant.behind);
        }
        Ok(())
    }

    /// Requests that may be on their way at once: about as many as leave within an answer's second, 1 to 8.
    pub fn in_flight(&self) -> usize {
        let interval = lock(&self.state).pace.interval();
        if interval.is_zero() {
            return UNLIMITED_IN_FLIGHT;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=8")]
        let count = (1.0 / interval.as_secs_f64()).ceil().clamp(1.0, 8.0) as usize;
        count
    }
}

/// The latest time that a request may leave.
fn latest(until: Option<SystemTime>) -> Option<Instant> {
    let wait = until.map_or(LONGEST_WAIT, |until| until.duration_since(SystemTime::now()).unwrap_or_default());
    Instant::now().checked_add(wait)
}

fn too_late(at: Instant) -> Stop {
    let at = later(Utc::now(), at.saturating_duration_since(Instant::now()));
    Stop::Limit(format!("out of time: the next request may leave at {}, and the run ends before", text(at)))
}

/// RFC 3339, to the second.
fn text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// What was taken for a request; goes back unless it leaves.
struct Credit<'l> {
    state: &'l Mutex<State>,
    turns: Vec<u64>,
}

impl Drop for Credit<'_> {
    fn drop(&mut self) {
        if !self.turns.is_empty() {
            let mut state = lock(self.state);
            state.counts.iter_mut().zip(&self.turns).for_each(|(count, turn)| count.release(*turn));
        }
    }
}

/// Whose limit an answer tells of.
enum Owner {
    /// That of the count at this place.
    Count(usize),
    /// A declared short one, which the spacing keeps: its few requests come and go too fast for a count that is an answer old.
    Pace,
    /// One that the manifest does not have.
    Nobody,
}

impl State {
    fn step(&mut self, now: DateTime<Utc>, clock: Instant, latest: Option<Instant>) -> Step {
        let mut empty = false;
        let mut closed: Option<(DateTime<Utc>, String)> = None;
        for count in &mut self.counts {
            match count.standing(now) {
                Standing::Ready => {}
                Standing::Empty => empty = true,
                Standing::Closed(renews) => {
                    if closed.as_ref().is_none_or(|(last, _)| renews > *last) {
                        let whose = if count.is_closed_by_the_api() { ", by the API's own count" } else { "" };
                        let why = format!("the limit of {} is used up until {}{whose}", count.window, text(renews));
                        closed = Some((renews, why));
                    }
                }
            }
        }
        if let Some((renews, why)) = closed {
            return Step::UsedUp { renews, why };
        }
        if empty {
            return Step::Reserve;
        }
        match self.pace.departure(clock, latest) {
            Err(at) => Step::TooLate(at),
            Ok(at) => {
                self.admitted += 1;
                Step::Leave { at, number: self.admitted, turns: self.counts.iter_mut().map(Count::take).collect() }
            }
        }
    }

    fn told(&mut self, admitted: Admitted, told: &Told, now: DateTime<Utc>, clock: Instant) {
        match self.owner(told, now) {
            Owner::Count(place) => self.counts[place].told(told, self.admitted.saturating_sub(admitted.0), now),
            Owner::Pace => {}
            Owner::Nobody => {
                let pause = told.reset.filter(|_| told.remaining == 0).and_then(|reset| (reset - now).to_std().ok());
                if let Some(until) = pause.and_then(|pause| clock.checked_add(pause)) {
                    self.pace.hold(until);
                }
            }
        }
    }

    /// The window with the limit that is told; where several have it, the shortest that can end when it says. A key may have
    /// another quota than the manifest knows: such a limit is the shortest long window's that can end then.
    fn owner(&self, told: &Told, now: DateTime<Utc>) -> Owner {
        let fits = |window: &Window| told.reset.is_none_or(|reset| may_end(window, reset, now));
        let declared = self.windows.iter().filter(|window| Some(window.requests) == told.limit);
        if let Some(window) = declared.clone().find(|window| fits(window)).or(declared.clone().next()) {
            let place = self.counts.iter().position(|count| count.window == *window);
            return place.map_or(Owner::Pace, Owner::Count);
        }
        let place = match told.reset {
            Some(reset) if reset <= later(now, SOON) => None,
            Some(_) => self.counts.iter().position(|count| fits(&count.window)),
            None => self.counts.len().checked_sub(1),
        };
        place.map_or(Owner::Nobody, Owner::Count)
    }
}
