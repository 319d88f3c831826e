//! A function: runs requests, and answers Lambda events.

use std::cell::Cell;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::secret::{SecretStore, Secrets};
use client::{Http, Interrupt};
use lake::Aws;
use lambda_runtime::{LambdaEvent, service_fn};
use manifest::time::{Instant, SystemClock};
use manifest::{Faults, Settings};
use serde_json::Value;
use tracing::Instrument;

use crate::aws::SecretsManager;
use crate::context::{Clients, ProgressListener, RunOptions, Silent};
use crate::error::Error;
use crate::options::Draft;
use crate::report::Report;
use crate::request::Request;
use crate::run;
use crate::telemetry::{self, metrics};

/// The time at the end of a Lambda invocation that is reserved for storing rows: merging a full buffer into S3, and the report.
const STORING_TIME: Duration = Duration::from_secs(30);

/// A function, with the values that its invocations share.
#[derive(Debug)]
pub struct App {
    /// The resource that the function reads. `None` if each request names its resource.
    entity: Option<&'static str>,
    settings: Settings,
    clients: Clients,
    /// Whether the next event is the first one.
    is_cold: Cell<bool>,
}

/// Creates the values that all runs of a process share, as `settings` say.
pub fn clients(settings: Settings) -> Clients {
    let aws = Arc::new(Aws::default());
    let store = settings.get("SECRET_ID").map(|id| {
        let store: Arc<dyn SecretStore> = Arc::new(SecretsManager::new(id, Arc::clone(&aws)));
        store
    });
    let secrets = Secrets::new(settings.clone(), store);
    Clients {
        transport: Arc::new(Http::default()),
        aws,
        secrets,
        settings,
        clock: Arc::new(SystemClock),
        interrupt: Arc::default(),
    }
}

impl App {
    /// Creates the function that reads `entity`, as `settings` say.
    pub fn new(entity: Option<&'static str>, settings: Settings) -> Self {
        Self { entity, clients: clients(settings.clone()), settings, is_cold: Cell::new(true) }
    }

    /// Stops the runs of the function as at a deadline, when it is requested.
    pub(crate) fn interrupt(&self) -> &Interrupt {
        &self.clients.interrupt
    }

    /// Checks and runs a request.
    pub async fn run(
        &self,
        draft: &Draft,
        deadline: Option<Instant>,
        listener: &dyn ProgressListener,
    ) -> (Report, Option<Error>) {
        match Request::check(draft, self.entity, &self.settings) {
            Ok(request) => {
                tracing::info!(request = request.to_event().to_string(), lake = %request.lake, "the run starts");
                run::run(&self.clients, &request, RunOptions { store: None, deadline, listener }).await
            }
            Err(faults) => self.invalid_request(faults),
        }
    }

    /// Answers Lambda events until the environment is shut down.
    pub(crate) async fn serve(&self) -> ExitCode {
        let handler = service_fn(async |event: LambdaEvent<Value>| self.handle(event).await);
        match lambda_runtime::run(handler).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Answers one event. An error makes the invocation fail, so that retries and alarms see it. The report is logged in any case.
    async fn handle(&self, event: LambdaEvent<Value>) -> Result<Report, Error> {
        let span = telemetry::invocation(&event.context, self.is_cold.replace(false));
        let deadline = reading_deadline(event.context.deadline(), SystemTime::now());
        let (report, error) = self.event(&event.payload, deadline).instrument(span.clone()).await;
        let _entered = span.enter();
        let text = serde_json::to_string(&report).unwrap_or_default();
        tracing::info!(status = report.status.name(), elapsed_ms = report.elapsed_ms, report = text, "the run ended");
        for line in metrics::lines(&report, self.clients.clock.now()) {
            // A closed pipe does not change how the invocation ends.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        error.map_or(Ok(report), Err)
    }

    /// Runs the request of an event.
    async fn event(&self, event: &Value, deadline: Option<Instant>) -> (Report, Option<Error>) {
        match Draft::from_event(event) {
            Ok(draft) => self.run(&draft, deadline, &Silent).await,
            Err(faults) => self.invalid_request(faults),
        }
    }

    /// Returns the report of an event that is not a valid request.
    fn invalid_request(&self, faults: Faults) -> (Report, Option<Error>) {
        let error = Error::from(faults);
        let source = self.settings.get("SOURCE").unwrap_or_default().to_owned();
        let resource = self.entity.unwrap_or_default().to_owned();
        (Report { source, resource, ..Report::default() }.failed(&error), Some(error))
    }
}

/// Returns the time when reading must end in an invocation that ends at `deadline`. `None` for a deadline in the past: that of
/// `cargo lambda watch` is 600,000 ms after 1970.
fn reading_deadline(deadline: SystemTime, now: SystemTime) -> Option<Instant> {
    let left = deadline.duration_since(now).ok()?;
    Some((now + left.saturating_sub(STORING_TIME.min(left / 3))).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_the_past_is_ignored() {
        let deadline = SystemTime::UNIX_EPOCH + Duration::from_millis(600_000);
        assert_eq!(reading_deadline(deadline, SystemTime::now()), None);
    }

    #[test]
    fn time_is_reserved_for_storing() {
        let now = SystemTime::now();
        let after = |seconds: u64| Instant::from(now + Duration::from_secs(seconds));
        let until = |seconds: u64| reading_deadline(now + Duration::from_secs(seconds), now);
        assert_eq!(until(900), Some(after(870)));
        assert_eq!(until(30), Some(after(20)));
    }
}
