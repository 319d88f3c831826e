//! The range of cursor values that a run reads.

use chrono::TimeDelta;
use manifest::time::Instant;
use manifest::{Cursor, Resource};

use crate::request::Request;

/// Returns the first and the last cursor value to read at `now`. `None` stands for no beginning or no end.
pub(super) fn range(
    request: &Request,
    resource: &Resource,
    watermark: Option<Cursor>,
    now: Instant,
) -> (Option<Cursor>, Option<Cursor>) {
    let incremental = resource.endpoint.incremental.as_ref();
    let first = incremental.and_then(|incremental| {
        let days = request.initial_days.filter(|_| !request.full).and_then(TimeDelta::try_days);
        days.map(|days| Cursor::Instant(now - days)).or(incremental.initial_value)
    });
    let start = match (request.from, request.to) {
        (Some(from), _) => Some(Cursor::Instant(from)),
        // A range with an end only does not begin at the watermark, which may lie after that end.
        (None, Some(_)) => first,
        (None, None) => {
            let watermark = watermark.filter(|_| !request.full);
            let resumed = incremental.and_then(|incremental| Some(watermark?.minus_lag(incremental)));
            resumed.or(first)
        }
    };
    let end = request.to.map(Cursor::Instant).or_else(|| incremental.and_then(|incremental| incremental.end_value));
    (start, end)
}

/// Returns whether a range that begins at `start` leaves a gap after `watermark`.
pub(super) fn has_gap(resource: &Resource, watermark: Option<Cursor>, start: Option<Cursor>) -> bool {
    let Some(incremental) = &resource.endpoint.incremental else { return false };
    match (watermark, start) {
        (Some(watermark), Some(start)) if incremental.descending => start < watermark,
        (Some(watermark), Some(start)) => start > watermark,
        _ => false,
    }
}

/// Returns a cursor that is a time in seconds since 1970. `None` for a number.
pub(super) fn seconds(cursor: Option<Cursor>) -> Option<i64> {
    cursor.and_then(Cursor::instant).map(|instant| instant.timestamp())
}
