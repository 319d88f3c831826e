//! The command line: the same request as a Lambda event, the report on standard output, its exit code.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use crate::app::App;
use crate::error::Error;
use crate::report::Report;
use crate::request::Draft;
use crate::run::Progress;

/// Reads one entity of a ticketing API into a lake, completely, each record once.
///
/// Prints one JSON report. Exit code: 0 complete, 2 bad request or configuration, 3 partial, 4 incomplete, 5 secret or auth, 1 any other.
#[expect(clippy::doc_markdown, reason = "the texts are the help of the command line, not Markdown")]
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The source: see_tickets, ticketmaster, eventzilla, xurrent, or the name of a manifest given with --sources (env: SOURCE)
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The resource, for the function `resource`: a name, several with commas, or `all`
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Where the lake lies: a directory or s3://BUCKET/PREFIX (env: LAKE)
    #[arg(long, value_name = "DIR|s3://BUCKET/PREFIX")]
    lake: Option<String>,
    /// The first day or instant, instead of the watermark
    #[arg(long, value_name = "DATE|RFC3339")]
    from: Option<String>,
    /// The last day or instant
    #[arg(long, value_name = "DATE|RFC3339")]
    to: Option<String>,
    /// Read everything, whatever the watermark
    #[arg(long)]
    full: bool,
    /// A condition that the resource accepts; may be given several times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value)]
    params: Vec<(String, String)>,
    /// parquet or json (env: FORMAT)
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// End as `partial` after so many requests
    #[arg(long, value_name = "N")]
    max_requests: Option<String>,
    /// End as `partial` after asking the API for so long
    #[arg(long, value_name = "SECONDS")]
    max_seconds: Option<String>,
    /// Where a resource without a watermark begins: so many days ago, 1 to 365; else everything (env: INITIAL_DAYS)
    #[arg(long, value_name = "N")]
    initial_days: Option<String>,
    /// Days that a record is kept after it is past; 0, the default: for good (env: RETENTION_DAYS)
    #[arg(long, value_name = "N")]
    retention_days: Option<String>,
    /// Records asked for in one page, 1 to the API's largest, which is the default (env: PAGE_SIZE)
    #[arg(long, value_name = "N")]
    page_size: Option<String>,
    /// Seconds that one request may take, 1 to 300; 60 by default (env: REQUEST_TIMEOUT)
    #[arg(long, value_name = "SECONDS")]
    request_timeout: Option<String>,
    /// Requests sent for one page before it is given up, 1 to 10; 5 by default (env: ATTEMPTS)
    #[arg(long, value_name = "N")]
    attempts: Option<String>,
    /// A manifest of your own; may be given several times (env: SOURCES, with commas)
    #[arg(long, value_name = "FILE|s3://BUCKET/KEY")]
    sources: Vec<String>,
    /// Where the API is reached instead of the manifest's base_url (env: <SOURCE>_BASE_URL)
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
    /// Validate and print the plan; reads no data
    #[arg(long)]
    check: bool,
    /// Read no API: land those of the rejected records that fit the present manifest
    #[arg(long)]
    replay_rejected: bool,
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl From<Arguments> for Draft {
    fn from(arguments: Arguments) -> Self {
        Self {
            source: arguments.source,
            resource: arguments.resource,
            lake: arguments.lake,
            from: arguments.from,
            to: arguments.to,
            full: arguments.full,
            params: arguments.params.into_iter().collect(),
            format: arguments.format,
            max_requests: arguments.max_requests,
            max_seconds: arguments.max_seconds,
            initial_days: arguments.initial_days,
            retention_days: arguments.retention_days,
            page_size: arguments.page_size,
            request_timeout: arguments.request_timeout,
            attempts: arguments.attempts,
            sources: arguments.sources,
            base_url: arguments.base_url,
            check: arguments.check,
            replay_rejected: arguments.replay_rejected,
        }
    }
}

/// Runs the command line `arguments`.
pub(crate) async fn run(app: &App, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (report, error) = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => {
            let bar = Bar::new();
            let ended = app.run(arguments.into(), None, &bar).await;
            bar.0.finish_and_clear();
            ended
        }
        Err(error) if !error.use_stderr() => {
            return if error.print().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => {
            let text = error.to_string();
            let error = Error::configuration("command line", text.trim().trim_start_matches("error: "));
            (Report::default().failed(&error), Some(error))
        }
    };
    let printed = serde_json::to_string(&report)
        .map_err(|error| error.to_string())
        .and_then(|text| writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string()));
    if let Err(reason) = printed {
        eprintln!("the report could not be printed: {reason}");
        return ExitCode::FAILURE;
    }
    match error {
        Some(error) => {
            eprintln!("{}", crate::error::chain(&error));
            ExitCode::from(error.exit_code())
        }
        None => {
            if let Some(reason) = &report.stopped {
                eprintln!("partial: {reason}");
            }
            let all = std::iter::once(&report).chain(&report.resources);
            for slice in all.clone().flat_map(|report| &report.slices.incomplete) {
                eprintln!("incomplete: {}: {} of {:?}: {}", slice.name, slice.received, slice.expected, slice.reason);
            }
            let more: usize = all.map(|report| report.slices.more_incomplete).sum();
            if more > 0 {
                eprintln!("incomplete: {more} more");
            }
            ExitCode::from(report.exit_code())
        }
    }
}

/// A progress bar on standard error, where that is a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} records {msg} {elapsed}") {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn page(&self, received: u64, expected: Option<u64>) {
        self.0.set_position(received);
        if let Some(expected) = expected {
            self.0.set_message(format!("of {expected} in this slice"));
        }
        self.0.tick();
    }
}
