//! What every function's `main` is: a Lambda function where there is a Lambda runtime, else a command line.

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tracing::Instrument;

use lake::Aws;
use crate::cli;
use crate::error::{Error, Faults};
use client::Http;
use crate::report::Report;
use crate::request::Draft;
use crate::run::{self, Clients, Progress};
use client::Secrets;
use manifest::Settings;
use crate::telemetry::{self, metrics};

/// What is left of a Lambda's time for storing what was read: a full buffer's merge into S3 and the report.
const RESERVE: Duration = Duration::from_secs(30);

/// Threads for a directory's files and for names of hosts. The C library keeps what each thread has freed for that thread alone.
const BLOCKING_THREADS: usize = 2;

/// A function: what it reads, and what it shares between invocations.
#[derive(Debug)]
pub struct App {
    entity: Option<&'static str>,
    settings: Settings,
    clients: Clients,
    /// Whether no event came yet.
    cold: Cell<bool>,
}

/// Runs the function that reads `entity`; `None`: the resource that each request names.
pub fn main(entity: Option<&'static str>) -> ExitCode {
    let settings = Settings::from_env();
    telemetry::init(&settings);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build();
    let lambda = settings.in_lambda();
    let app = App::new(entity, settings);
    match runtime {
        Ok(runtime) if lambda => runtime.block_on(app.serve()),
        Ok(runtime) => runtime.block_on(cli::run(&app, std::env::args_os())),
        Err(error) => {
            let error = Error::Runtime(error.to_string());
            tracing::error!("{error}");
            ExitCode::from(error.exit_code())
        }
    }
}

impl App {
    /// The function that reads `entity`, as `settings` say.
    pub fn new(entity: Option<&'static str>, settings: Settings) -> Self {
        let aws = Arc::new(Aws::default());
        let secrets = Secrets::new(settings.clone(), Arc::clone(&aws));
        let clients = Clients { http: Http::default(), aws, secrets, settings: settings.clone() };
        Self { entity, settings, clients, cold: Cell::new(true) }
    }

    /// Carries out a request, from its draft on.
    pub async fn run(
        &self,
        draft: Draft,
        until: Option<SystemTime>,
        progress: &dyn Progress,
    ) -> (Report, Option<Error>) {
        match draft.check(self.entity, &self.settings) {
            Ok(request) => {
                tracing::info!(request = request.signature(), lake = %request.lake, "the run begins");
                run::run(&self.clients, &request, until, progress).await
            }
            Err(faults) => self.refused(faults),
        }
    }

    /// Answers Lambda events until the environment is shut down.
    async fn serve(&self) -> ExitCode {
        let handler = service_fn(async |event: LambdaEvent<Value>| self.handle(event).await);
        match lambda_runtime::run(handler).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error}");
                ExitCode::FAILURE
            }
        }
    }

    /// One event. A run that an error ended is a failed invocation, so that retries and alarms see it; what it did is logged.
    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Report, Error> {
        let span = telemetry::invocation(&event.context, self.cold.replace(false));
        let until = fetch_until(event.context.deadline());
        let (report, error) = self.event(&event.payload, until).instrument(span.clone()).await;
        let _entered = span.enter();
        let text = serde_json::to_string(&report).unwrap_or_default();
        tracing::info!(status = report.status.name(), elapsed_ms = report.elapsed_ms, report = text, "the run ended");
        for line in metrics::lines(&report, chrono::Utc::now()) {
            println!("{line}");
        }
        error.map_or(Ok(report), Err)
    }

    async fn event(&self, event: &Value, until: Option<SystemTime>) -> (Report, Option<Error>) {
        match Draft::from_event(event) {
            Ok(draft) => self.run(draft, until, &Silent).await,
            Err(faults) => self.refused(faults),
        }
    }

    /// The report of what is no request.
    fn refused(&self, faults: Faults) -> (Report, Option<Error>) {
        let error = Error::from(faults);
        let source = self.settings.get("SOURCE").unwrap_or_default().to_owned();
        let resource = self.entity.unwrap_or_default().to_owned();
        (Report { source, resource, ..Report::default() }.failed(&error), Some(error))
    }
}

/// When fetching must end. A deadline that lies in the past is none: `cargo lambda watch` gives 600,000 ms after 1970.
fn fetch_until(deadline: SystemTime) -> Option<SystemTime> {
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    Some(SystemTime::now() + left.saturating_sub(RESERVE.min(left / 3)))
}

struct Silent;

impl Progress for Silent {
    fn page(&self, _received: u64, _expected: Option<u64>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_means_none() {
        assert_eq!(fetch_until(SystemTime::UNIX_EPOCH + Duration::from_millis(600_000)), None);
    }

    #[test]
    fn time_is_kept_for_storing() {
        let deadline = SystemTime::now() + Duration::from_secs(900);
        let until = fetch_until(deadline).unwrap();
        assert!(deadline.duration_since(until).unwrap() >= RESERVE - Duration::from_secs(1));
        let short = SystemTime::now() + Duration::from_secs(30);
        assert!(fetch_until(short).unwrap() > SystemTime::now());
    }
}
