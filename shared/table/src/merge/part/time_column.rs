//! A column of times, in microseconds since 1970.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray};

const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// How long before its midnight in UTC a day begins in the first time zone, in microseconds: 14 hours.
const FIRST_ZONE_MICROSECONDS: i64 = 14 * 3_600_000_000;

/// Returns the moment when a day begins in the first time zone of the world, in microseconds since 1970. `day` counts the days since 1970.
pub fn first_moment(day: i32) -> i64 {
    i64::from(day) * DAY_MICROSECONDS - FIRST_ZONE_MICROSECONDS
}

/// A column of timestamps or days.
pub(in crate::merge) enum TimeColumn<'c> {
    Timestamps(&'c PrimitiveArray<TimestampMicrosecondType>),
    Days(&'c PrimitiveArray<Date32Type>),
}

impl<'c> TimeColumn<'c> {
    /// Returns the column as one of times, or `None` if it has another type.
    pub(super) fn new(column: &'c ArrayRef) -> Option<Self> {
        let days = column.as_primitive_opt().map(Self::Days);
        days.or_else(|| column.as_primitive_opt().map(Self::Timestamps))
    }

    /// Returns the time in a row, in microseconds since 1970. That of a day, which has no time zone, is its [`first_moment`].
    pub(super) fn value(&self, row: usize) -> Option<i64> {
        match self {
            Self::Timestamps(column) => column.is_valid(row).then(|| column.value(row)),
            Self::Days(column) => column.is_valid(row).then(|| first_moment(column.value(row))),
        }
    }
}
