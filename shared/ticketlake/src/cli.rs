//! The command line. It takes the same options as a Lambda event, and prints the report on standard output.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use client::Interrupt;
use client::error::chain;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::context::ProgressListener;
use crate::error::Error;
use crate::options::{Draft, Given, OPTIONS, OptionKind, RequestOption, flag_name};
use crate::report::Report;

/// Returns the command line with the options of a request.
fn command() -> Command {
    let about = "Reads a resource of a ticketing API completely, and stores each record once in a lake";
    let exit_codes = "Prints one JSON report. Exit code: 0 complete, 1 other error, 2 wrong request or configuration, 3 partial, 4 incomplete, 5 secret or key.";
    Command::new("ticketlake")
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        .long_about(format!("{about}.\n\n{exit_codes}"))
        .args(OPTIONS.iter().map(argument))
}

/// Returns the flag of an option.
fn argument(option: &RequestOption) -> Arg {
    let mut help = option.help.to_owned();
    if let OptionKind::Number { min, max: Some(max) } = &option.kind {
        help = format!("{help} ({min} to {max})");
    }
    if let Some(variable) = option.variable {
        help = format!("{help} (env: {variable})");
    }
    let argument = Arg::new(option.name).long(flag_name(option)).help(help);
    match option.kind {
        OptionKind::Flag => argument.action(ArgAction::SetTrue),
        OptionKind::Text | OptionKind::Number { .. } => argument.value_name(option.value_name),
        OptionKind::List => argument.value_name(option.value_name).action(ArgAction::Append),
        OptionKind::Params => {
            argument.value_name(option.value_name).action(ArgAction::Append).value_parser(name_and_value)
        }
    }
}

/// Splits `NAME=VALUE`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Returns the request of a command line.
fn draft(arguments: &ArgMatches) -> Draft {
    let mut draft = Draft::default();
    for option in OPTIONS {
        let name = option.name;
        let given = match option.kind {
            OptionKind::Text | OptionKind::Number { .. } => arguments.get_one::<String>(name).cloned().map(Given::Text),
            OptionKind::Flag => Some(Given::Flag(arguments.get_flag(name))),
            OptionKind::List => arguments.get_many::<String>(name).map(|texts| Given::List(texts.cloned().collect())),
            OptionKind::Params => {
                arguments.get_many::<(String, String)>(name).map(|params| Given::Params(params.cloned().collect()))
            }
        };
        if let Some(given) = given {
            draft.set(name, given);
        }
    }
    draft
}

/// Reads the command line `arguments`, of which the first is the name of the program.
///
/// # Errors
///
/// What is wrong with it. Also a request for help or for the version is an error here.
pub(crate) fn parse(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Draft, clap::Error> {
    command().try_get_matches_from(arguments).map(|matches| draft(&matches))
}

/// Runs the command line `arguments`.
pub(crate) async fn run(app: &App, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (report, error) = match parse(arguments) {
        Ok(draft) => {
            let bar = Bar::new();
            let ended = run_until_signals(app, &draft, &bar).await;
            bar.0.finish_and_clear();
            ended
        }
        Err(error) if !error.use_stderr() => {
            // A reader that has closed its pipe has read enough.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let text = error.to_string();
            let error = Error::configuration("command line", text.trim().trim_start_matches("error: "));
            (Report::default().failed(&error), Some(error))
        }
    };
    match serde_json::to_string(&report) {
        Ok(text) => print(std::io::stdout(), &format!("{text}\n")),
        Err(error) => {
            print(std::io::stderr(), &format!("the report could not be written as JSON: {error}\n"));
            return ExitCode::FAILURE;
        }
    }
    match error {
        Some(error) => {
            print(std::io::stderr(), &format!("{}\n", chain(&error)));
            ExitCode::from(error.exit_code())
        }
        None => {
            print(std::io::stderr(), &shortfalls(&report));
            ExitCode::from(report.exit_code())
        }
    }
}

/// Prints `text`. A reader that has closed its pipe does not change how the run ended, nor its exit code.
fn print(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

/// Runs a request. The first SIGTERM or SIGINT stops the run as a deadline does, and the second one ends the process.
async fn run_until_signals(app: &App, draft: &Draft, bar: &Bar) -> (Report, Option<Error>) {
    tokio::select! {
        biased;
        exit_code = second_signal(app.interrupt()) => std::process::exit(exit_code),
        ended = app.run(draft, None, bar) => ended,
    }
}

/// Requests a stop at the first signal. Returns the exit code for the second one.
async fn second_signal(interrupt: &Interrupt) -> i32 {
    /// The exit code of a process that a signal ended is the number of the signal and this.
    const EXIT_CODE_OF_SIGNALS: i32 = 128;
    let (terminate, interrupted) = (SignalKind::terminate(), SignalKind::interrupt());
    let (Ok(mut terminations), Ok(mut interruptions)) = (signal(terminate), signal(interrupted)) else {
        // Without handlers, a signal ends the process.
        return std::future::pending().await;
    };
    loop {
        let (name, kind) = tokio::select! {
            _ = terminations.recv() => ("SIGTERM", terminate),
            _ = interruptions.recv() => ("SIGINT", interrupted),
        };
        if interrupt.is_requested() {
            return EXIT_CODE_OF_SIGNALS + kind.as_raw_value();
        }
        tracing::warn!("{name}: the run stops and stores what was read; another signal ends it at once");
        interrupt.request(format!("stopped by {name}"));
    }
}

/// Returns the lines that say why a run is not complete.
pub(crate) fn shortfalls(report: &Report) -> String {
    let mut lines = Vec::new();
    if let Some(reason) = &report.stopped {
        lines.push(format!("partial: {reason}\n"));
    }
    let all = std::iter::once(report).chain(&report.resources);
    for query in all.clone().flat_map(|report| &report.queries.incomplete) {
        let total = query.total.map_or_else(|| "an unknown number".to_owned(), |total| total.to_string());
        lines.push(format!("incomplete: {}: {} of {total}: {}\n", query.query, query.received, query.reason));
    }
    let more: usize = all.map(|report| report.queries.more_incomplete).sum();
    if more > 0 {
        lines.push(format!("incomplete: {more} more\n"));
    }
    lines.concat()
}

/// A progress bar on standard error. It is hidden if that is not a terminal.
#[derive(Debug)]
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

impl ProgressListener for Bar {
    fn page_read(&self, received: u64, total: Option<u64>) {
        self.0.set_position(received);
        if let Some(total) = total {
            self.0.set_message(format!("of {total} in this query"));
        }
        self.0.tick();
    }
}

#[cfg(test)]
mod tests {
    use manifest::Settings;

    use super::*;
    use crate::request::Request;

    #[test]
    fn a_command_line_makes_the_same_request_as_an_event() {
        command().debug_assert();
        let line = ["sales", "--source", "see_tickets", "--lake", "lake", "--from", "2026-01-01", "--param", "a=b"];
        let arguments = command().try_get_matches_from(line).unwrap();
        let mut event = Draft::from_event(
            &serde_json::json!({"source": "see_tickets", "from": "2026-01-01", "params": {"a": "b"}}),
        )
        .unwrap();
        event.set("lake", Given::Text("lake".into()));
        let check = |draft: &Draft| Request::check(draft, Some("sales"), &Settings::default()).unwrap();
        assert_eq!(check(&draft(&arguments)), check(&event));
    }
}
