//! The clock of a run: that of the machine, compared with those of the API and of the store.
//!
//! The API says its time in the header `Date` of each response. What is stored has the time of the API, so that the runs of several machines
//! can be put in order. A store on a server says its time, too: it counts if the API says none. If the clock of the machine and one of the
//! others are more than five minutes apart, nothing irreversible is done in the run. Where neither says its time, the clock of the machine
//! is trusted.

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use client::DateListener;
use lake::Store;
use manifest::time::{Clock, Instant};

/// The greatest difference between two clocks that agree. Clocks that are set over the network differ by less than a second, and a response
/// takes a minute at most.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// The clock of a run.
#[derive(Debug)]
pub struct RunClock<'c> {
    machine: &'c dyn Clock,
    store: &'c dyn Store,
    offsets: Mutex<Offsets>,
}

/// Two clocks that disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// The clock that the one of the machine was compared with.
    pub with: OtherClock,
    /// How far that clock is ahead of the one of the machine.
    pub offset: TimeDelta,
}

/// A clock that the one of the machine is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherClock {
    /// The clock of the API.
    Api,
    /// The clock of the store.
    Store,
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
    /// Creates the clock of a run on a machine with the clock `machine` that writes to `store`.
    pub fn new(machine: &'c dyn Clock, store: &'c dyn Store) -> Self {
        Self { machine, store, offsets: Mutex::default() }
    }

    /// Returns the first clock that disagrees with that of the machine. The clock of the machine may have been corrected during the run, so
    /// that the first and the last response of the API count.
    pub fn disagreement(&self) -> Option<Disagreement> {
        let Offsets { first, last } = self.offsets();
        let by_api = first.into_iter().chain(last).map(|offset| (OtherClock::Api, offset.likely));
        let by_store = self.store_offset().map(|offset| (OtherClock::Store, offset));
        by_api
            .chain(by_store)
            .map(|(with, offset)| Disagreement { with, offset })
            .find(|disagreement| disagreement.offset.abs() > CLOCK_TOLERANCE)
    }

    /// Returns the time of the API when the clock of the machine said `begin`, at the start of the run. It can be too early by the time that
    /// the first response took, and is never too late. If the API says no time, it is that of the store.
    pub fn api_time(&self, begin: Instant) -> Instant {
        let offset = self.offsets().first.map(|offset| offset.least).or_else(|| self.wrong_by_store());
        offset.and_then(|offset| begin.checked_add_signed(offset)).unwrap_or(begin)
    }

    /// Returns the time that is stored for something that happened when the clock of the machine said `then`, during the run. It is not later
    /// than the present time.
    pub fn stored_time(&self, then: Instant) -> Instant {
        then.checked_add_signed(self.correction()).unwrap_or(then).min(self.now())
    }

    /// Returns how far the clock of the machine is set forward for what is stored.
    fn correction(&self) -> TimeDelta {
        let by_api = self.offsets().last.map(|offset| offset.likely);
        by_api.or_else(|| self.wrong_by_store()).unwrap_or_default()
    }

    /// Returns how far the clock of the store is ahead. A response takes a while, so that a difference within the tolerance is none.
    fn wrong_by_store(&self) -> Option<TimeDelta> {
        self.store_offset().filter(|offset| offset.abs() > CLOCK_TOLERANCE)
    }

    fn store_offset(&self) -> Option<TimeDelta> {
        self.store.clock_offset().and_then(TimeDelta::try_seconds)
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
    use lake::Memory;

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
            let (machine, store) = (Fixed(at(1_000)), Memory::default());
            let clock = RunClock::new(&machine, &store);
            clock.observe(at(date), at(sent_at));
            assert_eq!((clock.now(), clock.api_time(at(990))), (at(now), at(begin)), "{date} {sent_at}");
            assert_eq!(clock.disagreement(), None);
        }
    }

    #[test]
    fn clocks_disagree_if_they_are_far_apart_at_the_first_or_the_last_response() {
        let (machine, store) = (Fixed(at(100_000)), Memory::default());
        let clock = RunClock::new(&machine, &store);
        assert_eq!((clock.now(), clock.api_time(at(990)), clock.disagreement()), (at(100_000), at(990), None));
        clock.observe(at(1_000), at(99_999));
        assert_eq!((clock.now(), clock.api_time(at(99_990))), (at(1_002), at(990)));
        assert_eq!((clock.stored_time(at(99_990)), clock.stored_time(at(200_000))), (at(992), at(1_002)));
        assert_eq!(clock.disagreement(), disagreement(OtherClock::Api, -98_998));
        // The clock of the machine was corrected after the first response.
        clock.observe(at(100_000), at(99_999));
        assert_eq!((clock.now(), clock.api_time(at(99_990))), (at(100_000), at(990)));
        assert_eq!(clock.disagreement(), disagreement(OtherClock::Api, -98_998));
    }

    fn disagreement(with: OtherClock, seconds: i64) -> Option<Disagreement> {
        Some(Disagreement { with, offset: TimeDelta::seconds(seconds) })
    }

    #[test]
    fn the_clock_of_the_store_counts_if_the_api_says_no_time() {
        let (machine, store) = (Fixed(at(10_000)), Memory::default());
        let clock = RunClock::new(&machine, &store);
        store.set_clock_offset(-300);
        assert_eq!((clock.now(), clock.api_time(at(9_000)), clock.disagreement()), (at(10_000), at(9_000), None));
        store.set_clock_offset(-301);
        assert_eq!((clock.now(), clock.api_time(at(9_000))), (at(9_699), at(8_699)));
        assert_eq!(clock.disagreement(), disagreement(OtherClock::Store, -301));
        // The API agrees with the machine: what is stored has its time, and nothing irreversible is done.
        clock.observe(at(10_000), at(10_000));
        assert_eq!((clock.now(), clock.disagreement()), (at(10_000), disagreement(OtherClock::Store, -301)));
    }
}
