//! What every function's `main` is: a Lambda function where there is a Lambda runtime, else a command line.

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::Http;
use client::secret::{SecretStore, Secrets};
use lake::Aws;
use lambda_runtime::{LambdaEvent, service_fn};
use manifest::time::{Instant, SystemClock};
use manifest::{Faults, Settings};
use serde_json::Value;
use tracing::Instrument;

use crate::aws::SecretsManager;
use crate::cli;
use crate::context::{Clients, ProgressListener, RunOptions, Silent};
use crate::error::Error;
use crate::options::Draft;
use crate::report::Report;
use crate::request::Request;
use crate::run;
use crate::telemetry::{self, metrics};

/// The time of a Lambda that is left for storing what was read: a full buffer's merge into S3 and the report.
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

/// What a process shares between its runs: the network, and the keys of `settings`.
pub fn clients(settings: Settings) -> Clients {
    let aws = Arc::new(Aws::default());
    let store = settings.get("SECRET_ID").map(|id| {
        let store: Arc<dyn SecretStore> = Arc::new(SecretsManager::new(id, Arc::clone(&aws)));
        store
    });
    let secrets = Secrets::new(settings.clone(), store);
    Clients { transport: Arc::new(Http::default()), aws, secrets, settings, clock: Arc::new(SystemClock) }
}

impl App {
    /// The function that reads `entity`, as `settings` say.
    pub fn new(entity: Option<&'static str>, settings: Settings) -> Self {
        Self { entity, clients: clients(settings.clone()), settings, cold: Cell::new(true) }
    }

    /// Carries out a request, from its draft on.
    pub async fn run(
        &self,
        draft: &Draft,
        deadline: Option<Instant>,
        listener: &dyn ProgressListener,
    ) -> (Report, Option<Error>) {
        match Request::check(draft, self.entity, &self.settings) {
            Ok(request) => {
                tracing::info!(request = request.to_event().to_string(), lake = %request.lake, "the run begins");
                run::run(&self.clients, &request, RunOptions { store: None, deadline, listener }).await
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

    /// Answers one event. A run that an error ended is a failed invocation, so that retries and alarms see it; what it did is logged.
    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Report, Error> {
        let span = telemetry::invocation(&event.context, self.cold.replace(false));
        let deadline = reading_deadline(event.context.deadline(), SystemTime::now());
        let (report, error) = self.event(&event.payload, deadline).instrument(span.clone()).await;
        let _entered = span.enter();
        let text = serde_json::to_string(&report).unwrap_or_default();
        tracing::info!(status = report.status.name(), elapsed_ms = report.elapsed_ms, report = text, "the run ended");
        for line in metrics::lines(&report, self.clients.clock.now()) {
            println!("{line}");
        }
        error.map_or(Ok(report), Err)
    }

    async fn event(&self, event: &Value, deadline: Option<Instant>) -> (Report, Option<Error>) {
        match Draft::from_event(event) {
            Ok(draft) => self.run(&draft, deadline, &Silent).await,
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

/// When reading must end in an invocation that ends at `deadline`. A deadline that lies in the past is none: `cargo lambda watch` gives
/// 600,000 ms after 1970.
fn reading_deadline(deadline: SystemTime, now: SystemTime) -> Option<Instant> {
    let left = deadline.duration_since(now).ok()?;
    Some((now + left.saturating_sub(RESERVE.min(left / 3))).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_means_none() {
        let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(600_000);
        assert_eq!(reading_deadline(deadline, SystemTime::now()), None);
    }

    #[test]
    fn time_is_kept_for_storing() {
        let now = SystemTime::now();
        let after = |seconds: u64| Instant::from(now + Duration::from_secs(seconds));
        let until = |seconds: u64| reading_deadline(now + Duration::from_secs(seconds), now);
        assert_eq!(until(900), Some(after(870)));
        assert_eq!(until(30), Some(after(20)));
    }
}
