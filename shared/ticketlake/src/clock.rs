//! The clock of a run: that of the machine, compared with that of the API.
//!
//! The API says its time in the header `Date` of each response. What is stored has the time of the API, so that the runs of several machines
//! can be put in order. If the two clocks are more than five minutes apart, nothing irreversible is done in the run. An API without the header
//! gives nothing to compare, and the clock of the machine is trusted.

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
    first: Option<Offset>,
    /// The offset at the last response.
    last: Option<Offset>,
}

/// How far the clock of the API is ahead of that of the machine, by one response.
#[derive(Clone, Copy, Debug)]
struct Offset {
    /// The least offset with which the date can be that of the response: it was written when the response arrived.
    least: TimeDelta,
    /// The offset nearest to zero with which it can be.
    likely: TimeDelta,
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
        first.into_iter().chain(last).map(|offset| offset.likely).find(|offset| offset.abs() > CLOCK_TOLERANCE)
    }

    /// Returns the time of the API when the clock of the machine said `begin`, at the start of the run. It can be too early by the time that
    /// the first response took, and is never too late.
    pub fn api_time(&self, begin: Instant) -> Instant {
        self.offsets().first.and_then(|offset| begin.checked_add_signed(offset.least)).unwrap_or(begin)
    }

    /// Returns the time that is stored for something that happened when the clock of the machine said `then`, during the run. It is not later
    /// than the present time.
    pub fn stored_time(&self, then: Instant) -> Instant {
        then.checked_add_signed(self.correction()).unwrap_or(then).min(self.now())
    }

    /// Returns how far the clock of the machine is set forward for what is stored.
    fn correction(&self) -> TimeDelta {
        self.offsets().last.map(|offset| offset.likely).unwrap_or_default()
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
    fn observe(&self, date: Instant, sent_at: Instant) {
        let least = date - self.machine.now();
        // The date may be up to a second later than the header says.
        let greatest = date + TimeDelta::seconds(1) - sent_at;
        let likely = TimeDelta::zero().max(least).min(greatest.max(least));
        let offset = Offset { least, likely };
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

    /// The response arrives at second 1,000 of the machine.
    #[test]
    fn a_date_during_the_request_is_agreement() {
        for (date, sent_at, now, begin) in [
            // The response took a minute, and its date was written at any time of it.
            (940, 940, 1_000, 930),
            (970, 940, 1_000, 960),
            (1_000, 940, 1_000, 990),
            // A header has whole seconds.
            (999, 1_000, 1_000, 989),
            // The machine is ahead, or behind.
            (900, 990, 911, 890),
            (1_100, 990, 1_100, 1_090),
        ] {
            let machine = Fixed(at(1_000));
            let clock = RunClock::new(&machine);
            clock.observe(at(date), at(sent_at));
            assert_eq!((clock.now(), clock.api_time(at(990))), (at(now), at(begin)), "{date} {sent_at}");
            assert_eq!(clock.disagreement(), None);
        }
    }

    #[test]
    fn clocks_disagree_if_they_are_far_apart_at_the_first_or_the_last_response() {
        let machine = Fixed(at(100_000));
        let clock = RunClock::new(&machine);
        assert_eq!((clock.now(), clock.api_time(at(990)), clock.disagreement()), (at(100_000), at(990), None));
        clock.observe(at(1_000), at(99_999));
        assert_eq!((clock.now(), clock.api_time(at(99_990))), (at(1_002), at(990)));
        assert_eq!((clock.stored_time(at(99_990)), clock.stored_time(at(200_000))), (at(992), at(1_002)));
        assert_eq!(clock.disagreement(), Some(TimeDelta::seconds(-98_998)));
        // The clock of the machine was corrected after the first response.
        clock.observe(at(100_000), at(99_999));
        assert_eq!((clock.now(), clock.api_time(at(99_990))), (at(100_000), at(990)));
        assert_eq!(clock.disagreement(), Some(TimeDelta::seconds(-98_998)));
    }
}
