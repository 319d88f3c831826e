//! The clock of a run: that of the machine, compared with that of the API.
//!
//! The API says its time in the header `Date` of each response. If the two clocks agree, the clock of the machine counts. If they do not,
//! the time of the API counts for everything that is stored, and nothing irreversible is done in the run. An API without the header gives
//! nothing to compare, and the clock of the machine is trusted.

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use client::DateListener;
use manifest::time::{Clock, Instant};

/// The greatest difference between two clocks that agree. Clocks that are set over the network differ by less than a second, and a response
/// takes a minute at most.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// The clock of a run.
#[derive(Debug)]
pub struct RunClock<'c> {
    machine: &'c dyn Clock,
    offsets: Mutex<Offsets>,
}

/// How far the clock of the API is ahead of that of the machine.
#[derive(Clone, Copy, Debug, Default)]
struct Offsets {
    /// The offset at the first response. `None` if no response had a date.
    first: Option<TimeDelta>,
    /// The offset at the last response.
    last: Option<TimeDelta>,
}

impl<'c> RunClock<'c> {
    /// Creates the clock of a run on a machine with the clock `machine`.
    pub fn new(machine: &'c dyn Clock) -> Self {
        Self { machine, offsets: Mutex::default() }
    }

    /// Returns how far the clock of the API is ahead of that of the machine, if they disagree. The clock of the machine may have been
    /// corrected during the run, so that the first and the last response count.
    pub fn disagreement(&self) -> Option<TimeDelta> {
        let Offsets { first, last } = self.offsets();
        first.into_iter().chain(last).find(|offset| offset.abs() > CLOCK_TOLERANCE)
    }

    /// Returns the time of the API when the clock of the machine said `begin`, at the start of the run. A header has whole seconds and is
    /// older than its response, so that this time is never too late.
    pub fn api_time(&self, begin: Instant) -> Instant {
        self.offsets().first.and_then(|offset| begin.checked_add_signed(offset)).unwrap_or(begin)
    }

    /// Returns the time that is stored for something that happened when the clock of the machine said `then`, during the run. It is not later
    /// than the present time.
    pub fn stored_time(&self, then: Instant) -> Instant {
        then.checked_add_signed(self.correction()).unwrap_or(then).min(self.now())
    }

    /// Returns how far the clock of the machine is set forward, which is nothing if it agrees with that of the API.
    fn correction(&self) -> TimeDelta {
        self.offsets().last.filter(|offset| offset.abs() > CLOCK_TOLERANCE).unwrap_or_default()
    }

    fn offsets(&self) -> Offsets {
        *self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for RunClock<'_> {
    fn now(&self) -> Instant {
        let now = self.machine.now();
        now.checked_add_signed(self.correction()).unwrap_or(now)
    }
}

impl DateListener for RunClock<'_> {
    fn observe(&self, date: Instant) {
        let offset = date - self.machine.now();
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.first.get_or_insert(offset);
        offsets.last = Some(offset);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(Instant);

    impl Clock for Fixed {
        fn now(&self) -> Instant {
            self.0
        }
    }

    fn at(seconds: i64) -> Instant {
        manifest::time::from_seconds(seconds).unwrap()
    }

    #[test]
    fn a_small_difference_is_agreement() {
        let machine = Fixed(at(1_000));
        let clock = RunClock::new(&machine);
        assert_eq!((clock.now(), clock.api_time(at(990)), clock.disagreement()), (at(1_000), at(990), None));
        clock.observe(at(998));
        assert_eq!((clock.now(), clock.api_time(at(990)), clock.disagreement()), (at(1_000), at(988), None));
        clock.observe(at(1_300));
        assert_eq!((clock.now(), clock.disagreement()), (at(1_000), None));
    }

    #[test]
    fn the_time_of_the_api_counts_if_the_clocks_disagree() {
        let machine = Fixed(at(100_000));
        let clock = RunClock::new(&machine);
        clock.observe(at(1_000));
        assert_eq!((clock.now(), clock.api_time(at(99_990))), (at(1_000), at(990)));
        assert_eq!((clock.stored_time(at(99_990)), clock.stored_time(at(200_000))), (at(990), at(1_000)));
        assert_eq!(clock.disagreement(), Some(TimeDelta::seconds(-99_000)));
        // The clock of the machine was corrected after the first response.
        clock.observe(at(100_000));
        assert_eq!((clock.now(), clock.api_time(at(99_990))), (at(100_000), at(990)));
        assert_eq!(clock.disagreement(), Some(TimeDelta::seconds(-99_000)));
    }
}
