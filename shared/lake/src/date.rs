//! The clock of a store, by the header `Date` of its responses.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

/// No response had a date yet.
const UNKNOWN: i64 = i64::MIN;

/// Compares the date of each response with the clock of this machine.
#[derive(Clone, Debug)]
pub(crate) struct DateObserver(Arc<AtomicI64>);

impl Default for DateObserver {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl DateObserver {
    /// Returns how many seconds the clock of the store was ahead at the last response. `None` if no response had a date.
    pub(crate) fn clock_offset(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|offset| *offset != UNKNOWN)
    }

    /// Compares `date`, the text of a header, with `now`, in seconds since 1970.
    fn observe(&self, date: &str, now: i64) {
        if let Ok(date) = DateTime::from_str(date, DateTimeFormat::HttpDate) {
            self.0.store(date.secs().saturating_sub(now), Ordering::Relaxed);
        }
    }
}

impl Intercept for DateObserver {
    fn name(&self) -> &'static str {
        "DateObserver"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs().cast_signed());
        if let Some(date) = context.response().headers().get("date") {
            self.observe(date, now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_date_counts_and_a_text_that_is_none_does_not() {
        let dates = DateObserver::default();
        assert_eq!(dates.clock_offset(), None);
        dates.observe("soon", 0);
        assert_eq!(dates.clock_offset(), None);
        dates.observe("Thu, 01 Jan 1970 00:10:00 GMT", 1_000);
        assert_eq!(dates.clone().clock_offset(), Some(-400));
        dates.observe("Thu, 01 Jan 1970 01:00:00 GMT", 3_599);
        assert_eq!(dates.clock_offset(), Some(1));
    }
}
