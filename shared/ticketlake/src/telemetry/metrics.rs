//! Metrics in the embedded metric format (`CloudWatch` user guide, "Embedded metric format specification"): `CloudWatch` extracts them from
//! JSON lines in the log, without a request.
//!
//! Namespace `ticketlake`, dimensions `source` and `entity`. One line for each resource that a run reads:
//!
//! | metric | unit | meaning |
//! |---|---|---|
//! | `Received`, `New`, `Changed`, `Rejected` | Count | records, as in the report |
//! | `Requests`, `Retried`, `Throttled` | Count | requests to the API |
//! | `QuotaLeft` | Count | the requests left in the rate window with the fewest, if windows are counted |
//! | `Lag` | Seconds | from the watermark to now, for resources with a cursor that is a time |
//! | `Duration` | Milliseconds | of the run |
//! | `Complete`, `Partial`, `Incomplete`, `Failed` | Count | 1 for how the run ended, 0 for the others |

use serde_json::{Value, json};

use super::SERVICE;
use crate::report::{Report, Status};
use manifest::time::{self, Instant};

/// Returns the lines for `report`, whose run ended at `now`.
pub fn lines(report: &Report, now: Instant) -> Vec<Value> {
    if report.resources.is_empty() {
        return vec![line(report, now)];
    }
    report.resources.iter().map(|report| line(report, now)).collect()
}

/// Returns the line for the report of one resource.
fn line(report: &Report, now: Instant) -> Value {
    let ended = |status: Status| f64::from(u8::from(report.status == status));
    let left = report.quota.iter().map(|limit| f64::from(limit.left)).reduce(f64::min);
    let lag = report.watermark.as_deref().and_then(time::parse_instant);
    let values = [
        ("Received", "Count", Some(report.records.received as f64)),
        ("New", "Count", Some(report.records.new as f64)),
        ("Changed", "Count", Some(report.records.changed as f64)),
        ("Rejected", "Count", Some(report.records.rejected as f64)),
        ("Requests", "Count", Some(report.requests.sent as f64)),
        ("Retried", "Count", Some(report.requests.retried as f64)),
        ("Throttled", "Count", Some(report.requests.throttled as f64)),
        ("QuotaLeft", "Count", left),
        ("Lag", "Seconds", lag.map(|watermark| (now - watermark).num_seconds() as f64)),
        ("Duration", "Milliseconds", Some(report.elapsed_ms as f64)),
        ("Complete", "Count", Some(ended(Status::Complete))),
        ("Partial", "Count", Some(ended(Status::Partial))),
        ("Incomplete", "Count", Some(ended(Status::Incomplete))),
        ("Failed", "Count", Some(ended(Status::Failed))),
    ];
    let known = values.iter().filter(|(.., value)| value.is_some());
    let metrics: Vec<Value> = known.map(|(name, unit, _)| json!({"Name": name, "Unit": unit})).collect();
    // A dimension must not be empty, and a wrong request may have neither a source nor a resource.
    let named = |name: &str| if name.is_empty() { "unknown".to_owned() } else { name.to_owned() };
    let mut line = json!({
        // Lambda drops lines below the configured level, also these.
        "level": "INFO",
        "timestamp": time::format_instant(now),
        "message": "metrics",
        "service": SERVICE,
        "source": named(&report.source),
        "entity": named(&report.resource),
        "_aws": {
            "Timestamp": now.timestamp_millis(),
            "CloudWatchMetrics": [{"Namespace": SERVICE, "Dimensions": [["source", "entity"]], "Metrics": metrics}],
        },
    });
    for (name, _, value) in values {
        if let Some(value) = value {
            line[name] = value.into();
        }
    }
    line
}
