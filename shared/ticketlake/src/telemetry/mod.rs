//! Logs and metrics: JSON lines in Lambda, readable lines on a terminal.

pub mod metrics;

use std::io;

use json_subscriber::JsonLayer;
use lambda_runtime::Context;
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use manifest::Settings;

/// The `service` in logs, unless `POWERTOOLS_SERVICE_NAME` is set, and the namespace of the metrics.
pub const SERVICE: &str = "ticketlake";

/// Starts logging. The level is `AWS_LAMBDA_LOG_LEVEL` or else `RUST_LOG` in `settings`; the default is `info` in Lambda and `warn`
/// elsewhere.
///
/// The subscriber of the Lambda runtime writes no time, and Lambda treats a JSON line without a time as `INFO` (AWS Lambda developer guide,
/// "Log level filtering"). Libraries log at `info` at most, since HTTP clients log headers and addresses at lower levels, which may have a
/// key.
pub fn init(settings: &Settings) {
    let lambda = settings.in_lambda();
    let configured = settings.get("AWS_LAMBDA_LOG_LEVEL").or_else(|| settings.get("RUST_LOG"));
    let fallback = if lambda { LevelFilter::INFO } else { LevelFilter::WARN };
    let level = configured.and_then(|level| level.to_lowercase().parse().ok()).unwrap_or(fallback);
    let targets = Targets::new().with_default(level.min(LevelFilter::INFO)).with_target("ticketlake", level);
    // A second start in one process, as in tests, keeps the first subscriber.
    let _ = if lambda {
        registry().with(lines(settings).with_filter(targets)).try_init()
    } else {
        // A reader that has closed the pipe of standard error is no reason to panic.
        let lines = fmt::layer().without_time().with_target(false).with_writer(io::stderr).log_internal_errors(false);
        registry().with(lines.with_filter(targets)).try_init()
    };
}

/// Returns a layer that writes JSON lines with the names of Powertools for AWS Lambda ("Standard structured keys"). The fields of an event
/// and of its spans are members of the line itself, so that a query needs no path.
fn lines<S>(settings: &Settings) -> JsonLayer<S>
where
    S: tracing::Subscriber + for<'span> registry::LookupSpan<'span>,
{
    let mut lines = JsonLayer::stdout();
    lines.with_timer("timestamp", SystemTime);
    lines.with_level("level");
    lines.with_target("location");
    lines.add_static_field("service", settings.get("POWERTOOLS_SERVICE_NAME").unwrap_or(SERVICE).into());
    lines.with_top_level_flattened_span_list();
    lines.with_flattened_event();
    lines
}

/// Returns the span whose fields are in every line of an invocation.
pub fn invocation(context: &Context, cold_start: bool) -> Span {
    tracing::info_span!(
        "invocation",
        function_name = context.env_config.function_name,
        function_memory_size = context.env_config.memory,
        function_arn = context.invoked_function_arn,
        function_request_id = context.request_id,
        xray_trace_id = context.xray_trace_id,
        cold_start,
    )
}
