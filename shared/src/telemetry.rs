//! Logs: JSON lines in Lambda, readable ones on a terminal.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::settings::Settings;

/// Starts logging as `settings` say: `AWS_LAMBDA_LOG_LEVEL`, then `RUST_LOG`; `info` in Lambda, else `warn`.
///
/// Lambda's own subscriber leaves the time away, and a JSON line without one counts as `INFO` whatever its level
/// (AWS Lambda developer guide, "Log level filtering"); so this one keeps it. Libraries log at `info` at most: below that, HTTP
/// clients print headers and addresses, and a key may ride in either.
pub fn init(settings: &Settings) {
    let lambda = settings.in_lambda();
    let asked = settings.get("AWS_LAMBDA_LOG_LEVEL").or_else(|| settings.get("RUST_LOG"));
    let fallback = if lambda { LevelFilter::INFO } else { LevelFilter::WARN };
    let level = asked.and_then(|level| level.to_lowercase().parse().ok()).unwrap_or(fallback);
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO)).with_target("ticketlake", level);
    // A second start in one process, as in tests, keeps the first subscriber.
    let _ = if lambda {
        let lines = fmt::layer().json().flatten_event(true).with_current_span(true).with_span_list(false);
        registry().with(lines.with_writer(io::stdout).with_filter(targets)).try_init()
    } else {
        let lines = fmt::layer().without_time().with_target(false).with_writer(io::stderr);
        registry().with(lines.with_filter(targets)).try_init()
    };
}
