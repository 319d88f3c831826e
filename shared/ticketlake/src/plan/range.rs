//! The range of cursors that a request asks for.

use chrono::TimeDelta;
use manifest::time::Instant;
use manifest::{Cursor, Fault, Resource};

use crate::request::Request;
use crate::state::{Bound, Interval};

/// Returns the bound from which a resource is read if nothing was read before. The read begins at `begin`.
pub fn beginning(request: &Request, resource: &Resource, begin: Instant) -> Bound {
    let Some(incremental) = &resource.endpoint.incremental else { return Bound::Beginning };
    let days = request.initial_days.filter(|_| !request.full).and_then(TimeDelta::try_days);
    let first = days.and_then(|days| begin.checked_sub_signed(days)).map(Cursor::Instant).or(incremental.initial_value);
    first.map_or(Bound::Beginning, |first| Bound::at(first, incremental))
}

/// Returns the interval that a request asks for, whatever was read before. The read begins at `begin`.
///
/// # Errors
///
/// A fault if there is no cursor in it.
pub(super) fn wanted(request: &Request, resource: &Resource, begin: Instant) -> Result<Interval, Fault> {
    let incremental = resource.endpoint.incremental.as_ref();
    let bound = |cursor: Cursor| match incremental {
        Some(incremental) => Bound::at(cursor, incremental),
        None => Bound::ascending(cursor),
    };
    let given = |instant: Option<Instant>| instant.map(|instant| bound(Cursor::Instant(instant)));
    // If runs go backwards, they begin at the greatest cursor.
    let (first, last) = match incremental {
        Some(incremental) if incremental.descending => (given(request.to), given(request.from)),
        Some(_) | None => (given(request.from), given(request.to)),
    };
    let end_value = incremental.and_then(|incremental| incremental.end_value).map(bound);
    let from = first.unwrap_or_else(|| beginning(request, resource, begin));
    let to = last.or(end_value).unwrap_or(Bound::End);
    let text = |bound: Bound| bound.cursor().map(|cursor| cursor.to_string()).unwrap_or_default();
    Interval::new(from, to).ok_or_else(|| {
        Fault::new("to", format!("the range is empty: it begins at {} and ends at {}", text(from), text(to)))
    })
}

/// Returns the whole seconds since 1970 in which the cursors of `interval` lie. Numbers have none.
pub(super) fn seconds(interval: &Interval) -> (Option<i64>, Option<i64>) {
    let instant = |cursor: Option<Cursor>| cursor.and_then(Cursor::instant);
    let last = instant(interval.end()).map(|end| end - TimeDelta::nanoseconds(1));
    (instant(interval.start()).map(|start| start.timestamp()), last.map(|last| last.timestamp()))
}
