//! How many requests may leave: every limit of a source at once, none exceeded and all of them used.
//!
//! A limit of up to ten seconds is kept by even spacing (`pace`). A longer one is counted (`window`), in a ledger that all
//! functions on the same key share (`ledger`), and checked against the API's own count in its answers' headers (`told`).
//!
//! The spacing is each process's own: functions that run at the same time on one key share an hour and a day, not a second.

mod headers;
mod pace;
mod quota;
mod window;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use self::headers::RateLimitHeaders;
use self::pace::Pace;
use self::quota::{Entry, Grant};
pub use self::quota::{MemoryQuota, Quota, QuotaChange, QuotaError, SharedQuota};
pub use self::window::QuotaLeft;
use self::window::{Count, Standing, later, may_end};
use crate::error::{Error, Stop};
use manifest::RateWindow;
use manifest::time::Clock;

/// The longest that a run without a deadline waits for a limit to renew: Xurrent's hour, and a minute.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3660);
/// Requests on their way at once where no limit says how many leave within a second.
const UNLIMITED_IN_FLIGHT: usize = 4;
/// A limit that renews as soon as this is none that is counted here.
const SOON: Duration = Duration::from_secs(10);

/// The limits of one source, for the length of a run.
#[derive(Debug)]
pub struct Limits<'s> {
    quota: SharedOrOwn<'s>,
    clock: &'s dyn Clock,
    state: Mutex<State>,
    /// Held by the one that asks the ledger: those that wait for it find what it brought.
    reserving: tokio::sync::Mutex<()>,
}

/// The quota of a run: shared with other runs, or its own.
#[derive(Debug)]
enum SharedOrOwn<'s> {
    Shared(&'s dyn SharedQuota),
    Own(MemoryQuota),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request that may leave, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted(u64);

#[derive(Debug)]
struct State {
    windows: Vec<RateWindow>,
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
    /// Limits of these `windows`; without a shared quota the long ones are counted in this run alone.
    pub fn new(windows: &[RateWindow], quota: Option<&'s dyn SharedQuota>, clock: &'s dyn Clock) -> Self {
        let mut windows = windows.to_vec();
        windows.sort_by_key(|window| window.period);
        let counts = windows.iter().filter(|window| window.is_long()).copied().map(Count::new).collect();
        let state = State { pace: Pace::new(&windows), windows, counts, admitted: 0 };
        Self {
            quota: quota.map_or_else(|| SharedOrOwn::Own(MemoryQuota::default()), SharedOrOwn::Shared),
            clock,
            state: Mutex::new(state),
            reserving: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until a request may leave. [`Stop::Limit`] when that would be after `until`; without it, when a limit renews
    /// later than [`LONGEST_WAIT`] from now.
    pub async fn admit(&self, deadline: Option<DateTime<Utc>>) -> Result<Admitted, Stop> {
        loop {
            let latest = self.latest(deadline);
            let step = lock(&self.state).step(self.clock.now(), Instant::now(), latest);
            match step {
                Step::Leave { at, number, turns } => {
                    let credit = Credit { state: &self.state, turns };
                    if let Some(admitted) = self.leave(at, number, credit, latest).await? {
                        return Ok(admitted);
                    }
                }
                Step::Reserve => self.reserve().await?,
                Step::TooLate(at) => return Err(self.too_late(at)),
                Step::UsedUp { renews, why } => {
                    let wait = (renews - self.clock.now()).to_std().unwrap_or_default();
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
            let now = self.clock.now();
            if !state.counts.iter().zip(&credit.turns).all(|(count, turn)| count.still_counts(*turn, now)) {
                return Ok(None);
            }
            if state.pace.stands(at) {
                credit.turns.clear();
                return Ok(Some(Admitted(number)));
            }
            at = state.pace.departure(Instant::now(), latest).map_err(|at| self.too_late(at))?;
        }
    }

    /// Brings a chunk of every window that has none in hand.
    async fn reserve(&self) -> Result<(), Error> {
        let _turn = self.reserving.lock().await;
        let now = self.clock.now();
        let wanted: Vec<(usize, Entry)> = {
            let mut state = lock(&self.state);
            let empty = state.counts.iter_mut().enumerate().filter_map(|(place, count)| {
                (count.standing(now) == Standing::Empty).then(|| (place, count.entry(now)))
            });
            empty.collect()
        };
        if wanted.is_empty() {
            return Ok(());
        }
        let reserve = |quota: &mut Quota| -> Vec<(usize, Grant)> {
            let mut next = quota.clone();
            let grants = wanted.iter().map(|(place, entry)| (*place, next.reserve(entry, now)));
            let (some, none): (Vec<_>, Vec<_>) = grants.partition(|(_, grant)| grant.granted > 0);
            if none.is_empty() {
                *quota = next;
                return some;
            }
            // Where one window has nothing to give, what the others gave could not be sent.
            none
        };
        let granted = self.update_quota(reserve).await?;
        let mut state = lock(&self.state);
        for (place, grant) in granted {
            state.counts[place].grant(grant.span, grant.granted, grant.behind);
        }
        Ok(())
    }

    /// Makes `change` of the quota, and gives what it gave when it was made last.
    async fn update_quota(
        &self,
        change: impl Fn(&mut Quota) -> Vec<(usize, Grant)> + Sync,
    ) -> Result<Vec<(usize, Grant)>, Error> {
        let grants = Mutex::new(Vec::new());
        let quota: &dyn SharedQuota = match &self.quota {
            SharedOrOwn::Shared(quota) => *quota,
            SharedOrOwn::Own(quota) => quota,
        };
        quota.update(&|quota| *lock(&grants) = change(quota)).await.map_err(Error::Quota)?;
        Ok(grants.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets nothing leave for `pause`: the server said so. What waits to leave then leaves evenly, not at once.
    pub fn pause(&self, pause: Duration) {
        if let Some(until) = Instant::now().checked_add(pause) {
            lock(&self.state).pace.pause(until);
        }
    }

    /// Takes up what the headers of the answer to `admitted` say about limits.
    pub(crate) fn apply_headers(&self, admitted: Admitted, response_headers: &HeaderMap) {
        let (now, clock) = (self.clock.now(), Instant::now());
        for told in headers::read(response_headers, now) {
            lock(&self.state).apply_headers(admitted, &told, now, clock);
        }
    }

    /// What is left of every long window that was used or looked at.
    pub fn left(&self) -> Vec<QuotaLeft> {
        let now = self.clock.now();
        lock(&self.state).counts.iter().filter_map(|count| count.left(now)).collect()
    }

    /// Gives back what was reserved and not used, and tells the ledger the API's own count.
    pub async fn close(&self) -> Result<(), Error> {
        let _turn = self.reserving.lock().await;
        let now = self.clock.now();
        let held: Vec<(usize, Entry)> = {
            let state = lock(&self.state);
            let held = state.counts.iter().enumerate().map(|(place, count)| (place, count.entry(now)));
            held.filter(|(_, entry)| entry.in_hand > 0 || entry.ceiling.is_some()).collect()
        };
        if held.is_empty() {
            return Ok(());
        }
        let give_back = |quota: &mut Quota| -> Vec<(usize, Grant)> {
            held.iter().map(|(place, entry)| (*place, quota.give_back(entry, now))).collect()
        };
        let returned = self.update_quota(give_back).await?;
        let mut state = lock(&self.state);
        for (place, grant) in returned {
            state.counts[place].returned(grant.behind);
        }
        Ok(())
    }

    /// The latest time that a request may leave.
    fn latest(&self, deadline: Option<DateTime<Utc>>) -> Option<Instant> {
        let wait = deadline.map_or(LONGEST_WAIT, |deadline| (deadline - self.clock.now()).to_std().unwrap_or_default());
        Instant::now().checked_add(wait)
    }

    fn too_late(&self, at: Instant) -> Stop {
        let at = later(self.clock.now(), at.saturating_duration_since(Instant::now()));
        Stop::Limit(format!("out of time: the next request may leave at {}, and the run ends before", text(at)))
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

    fn apply_headers(&mut self, admitted: Admitted, told: &RateLimitHeaders, now: DateTime<Utc>, clock: Instant) {
        match self.owner(told, now) {
            Owner::Count(place) => {
                self.counts[place].apply_headers(told, self.admitted.saturating_sub(admitted.0), now)
            }
            Owner::Pace => {}
            Owner::Nobody => {
                let pause = told.reset.filter(|_| told.remaining == 0).and_then(|reset| (reset - now).to_std().ok());
                if let Some(until) = pause.and_then(|pause| clock.checked_add(pause)) {
                    self.pace.pause(until);
                }
            }
        }
    }

    /// The window with the limit that is told; where several have it, the shortest that can end when it says. A key may have
    /// another quota than the manifest knows: such a limit is the shortest long window's that can end then.
    fn owner(&self, told: &RateLimitHeaders, now: DateTime<Utc>) -> Owner {
        let fits = |window: &RateWindow| told.reset.is_none_or(|reset| may_end(window, reset, now));
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
