//! Which of two versions of a row is the newer one.
//!
//! A run can wait between reading a record and storing it, and another run can read and store a newer version meanwhile. So the order of
//! the writes says nothing. The newer version is the one with the newer cursor, if the resource has one; otherwise the one that was read
//! later.

/// How far the clocks of two runs may be apart, in microseconds: each may differ from the true time by five minutes.
const MAX_CLOCK_DIFFERENCE: i64 = 10 * 60 * 1_000_000;

/// What says how new a version of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Recency {
    /// When the version was read, in microseconds since 1970, by the clock of the run that read it.
    pub(super) read_at: i64,
    /// The cursor of the version: a number, or an instant in microseconds since 1970. `None` if it has none, or if the cursors of the
    /// resource do not grow.
    pub(super) cursor: Option<i64>,
}

impl Recency {
    /// Returns whether this version replaces the `stored` one, which differs. `now` is the time of the merge.
    ///
    /// A greater cursor replaces a smaller one. A smaller cursor replaces a greater one only if it was read so much later that no
    /// difference of the clocks explains it: then the API has corrected the cursor, and the greater one must not stay for ever. Without
    /// a difference of the cursors, what was read later or at the same time replaces the other. A time of reading that lies in the
    /// future is that of a wrong clock, and protects nothing.
    pub(super) fn replaces(self, stored: Self, now: i64) -> bool {
        let is_wrong = stored.read_at > now.saturating_add(MAX_CLOCK_DIFFERENCE);
        match (self.cursor, stored.cursor) {
            (Some(new), Some(old)) if new > old => true,
            (Some(new), Some(old)) if new < old => {
                is_wrong || self.read_at > stored.read_at.saturating_add(MAX_CLOCK_DIFFERENCE)
            }
            _ => is_wrong || self.read_at >= stored.read_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: i64 = 60_000_000;

    #[test]
    fn the_newer_version_replaces_the_older_one() {
        let version = |(minute, cursor): (i64, Option<i64>)| Recency { read_at: minute * MINUTE, cursor };
        for (new, stored, expected) in [
            // Without a cursor, the time of reading decides.
            ((5, None), (4, None), true),
            ((4, None), (4, None), true),
            ((3, None), (4, None), false),
            ((3, Some(1)), (4, None), false),
            ((4, Some(1)), (4, Some(1)), true),
            ((3, Some(1)), (4, Some(1)), false),
            // A newer cursor replaces an older one, whatever the clocks say.
            ((3, Some(2)), (99, Some(1)), true),
            ((14, Some(1)), (4, Some(2)), false),
            ((3, Some(1)), (4, Some(2)), false),
            // The API corrected the cursor.
            ((15, Some(1)), (4, Some(2)), true),
            // The clock of the run that stored the version was wrong.
            ((100, None), (200, None), true),
            ((100, Some(1)), (200, Some(2)), true),
            ((100, None), (110, None), false),
        ] {
            assert_eq!(version(new).replaces(version(stored), 100 * MINUTE), expected, "{new:?} over {stored:?}");
        }
    }

    proptest! {
        /// Two runs whose clocks are at most five minutes wrong read versions of one row and store them in any order.
        #[test]
        fn the_newest_version_stays_whatever_the_order_of_the_writes(
            reads in prop::collection::vec((0_i64..60, -5_i64..=5), 2..6).prop_shuffle(),
            has_cursor in any::<bool>(),
        ) {
            // The version that a run reads is that of the minute. Only a cursor makes up for different clocks.
            let versions = reads.iter().map(|&(minute, error)| {
                let error = if has_cursor { error } else { 0 };
                (minute, Recency { read_at: (minute + error) * MINUTE, cursor: has_cursor.then_some(minute) })
            });
            let stored = versions.reduce(|stored, new| if new.1.replaces(stored.1, 60 * MINUTE) { new } else { stored });
            prop_assert_eq!(stored.map(|(minute, _)| minute), reads.iter().map(|(minute, _)| *minute).max());
        }
    }
}
