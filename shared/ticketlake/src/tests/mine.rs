//! A manifest of one's own, called `mine`, and a lake in memory to read into.

use std::cell::Cell;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use client::error::chain;
use client::secret::Secrets;
use lake::{Aws, Memory};
use manifest::time::Clock;
use manifest::{Manifest, Settings};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing_subscriber::fmt::MakeWriter;

use super::api::InMemory;
use super::rows::{Row, rows, text};
use crate::cli;
use crate::context::{Clients, RunOptions, Silent};
use crate::error::Error;
use crate::report::Report;
use crate::request::Request;
use crate::run;

/// The value of every secret.
pub(super) const SECRET: &str = "k3y-of-the-stub";

/// A manifest, a lake, and the time in it.
#[derive(Debug)]
pub(super) struct Mine {
    file: String,
    text: Mutex<String>,
    pub(super) lake: Memory,
    /// When the next run begins.
    now: Cell<DateTime<Utc>>,
}

impl Mine {
    /// A manifest as JSON.
    pub(super) fn json(manifest: &Value) -> Self {
        Self::file("mine.json", &manifest.to_string())
    }

    /// A manifest in a file of this name with this text.
    pub(super) fn file(name: &str, text: &str) -> Self {
        Self {
            file: name.to_owned(),
            text: Mutex::new(text.to_owned()),
            lake: Memory::default(),
            now: Cell::new("2026-11-28T12:00:00Z".parse().unwrap()),
        }
    }

    /// A manifest as JSON, which reads into a lake that another one reads into.
    pub(super) fn into_lake(manifest: &Value, lake: &Memory) -> Self {
        Self { lake: lake.clone(), ..Self::json(manifest) }
    }

    /// Puts another manifest in the place of the present one.
    pub(super) fn now(&self, manifest: &Value) {
        *self.text.lock().unwrap() = manifest.to_string();
    }

    /// Sets the time when the next run begins.
    pub(super) fn set_clock(&self, now: &str) {
        self.now.set(now.parse().unwrap());
    }

    /// The command line that reads `resource`, with [`SECRET`] for a key of each usual name.
    pub(super) fn reading(&self, resource: &str) -> Reading<'_> {
        let variable = |name: &str| (format!("MINE_{name}"), SECRET.to_owned());
        Reading {
            mine: self,
            arguments: ["resource", "--source", "mine", "--lake", "memory", "--resource", resource]
                .map(str::to_owned)
                .to_vec(),
            environment: ["TOKEN", "API_KEY", "CLIENT_SECRET", "PASSWORD"].map(variable).to_vec(),
            interrupted_after: None,
        }
    }

    /// The stored rows of `resource`.
    pub(super) fn rows(&self, resource: &str) -> Vec<Row> {
        rows(&self.lake, &format!("mine/{resource}"))
    }

    /// The ids of `resource` in the lake, in order, each as often as it is stored.
    pub(super) fn ids(&self, resource: &str) -> Vec<String> {
        self.column(resource, "id")
    }

    /// One column of `resource` in the lake as texts, in their order.
    pub(super) fn column(&self, resource: &str, column: &str) -> Vec<String> {
        let mut texts: Vec<String> = self.rows(resource).iter().map(|row| text(row.get(column))).collect();
        texts.sort();
        texts
    }

    /// The number of objects below `folder` of the lake.
    pub(super) fn count_objects(&self, folder: &str) -> usize {
        self.lake.objects().iter().filter(|(key, _)| key.starts_with(&format!("{folder}/"))).count()
    }
}

/// A command line.
#[derive(Clone, Debug)]
pub(super) struct Reading<'m> {
    mine: &'m Mine,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    interrupted_after: Option<Duration>,
}

impl Reading<'_> {
    /// The same with more arguments.
    #[must_use]
    pub(super) fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The same with a variable in its environment.
    #[must_use]
    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same, interrupted after so long, as by a signal.
    #[must_use]
    pub(super) fn interrupted_after(mut self, time: Duration) -> Self {
        self.interrupted_after = Some(time);
        self
    }

    /// Runs it to its end.
    pub(super) fn run(&self) -> Ended {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .without_time()
            .with_writer(log.clone())
            .finish();
        let (report, error) = tracing::subscriber::with_default(subscriber, || self.run_in_memory());
        let mut errors = log.text();
        let code = if let Some(error) = error {
            writeln!(errors, "{}", chain(&error)).unwrap();
            error.exit_code()
        } else {
            errors.push_str(&cli::shortfalls(&report));
            report.exit_code()
        };
        Ended { code: i32::from(code), report: json!(report), errors }
    }

    /// Runs it to its end, which must be complete; returns the report.
    pub(super) fn complete(&self) -> Value {
        let ended = self.run();
        assert_eq!(ended.code, 0, "{:?}\n{}\n{}", self.arguments, ended.report, ended.errors);
        assert_eq!(ended.report["status"], "complete", "{}", ended.report);
        ended.report
    }

    fn run_in_memory(&self) -> (Report, Option<Error>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let clock = Arc::new(TestClock { start: self.mine.now.get(), started: Instant::now() });
            let ended =
                self.run_at(&clock).await.unwrap_or_else(|error| (Report::default().failed(&error), Some(error)));
            self.mine.now.set(clock.now() + TimeDelta::seconds(1));
            ended
        })
    }

    async fn run_at(&self, clock: &Arc<TestClock>) -> Result<(Report, Option<Error>), Error> {
        let settings: Settings = self.environment.iter().cloned().collect();
        let request = Request::check(&cli::parse(&self.arguments).unwrap(), None, &settings)?;
        let manifest = Manifest::parse(&self.mine.file, &self.mine.text.lock().unwrap())?;
        let manifest = manifest.configure(request.base_url.as_deref(), &settings)?;
        let clients = Clients {
            transport: Arc::new(InMemory),
            aws: Arc::new(Aws::default()),
            secrets: Secrets::new(settings.clone(), None),
            settings,
            clock: Arc::<TestClock>::clone(clock),
            interrupt: Arc::default(),
        };
        if let Some(time) = self.interrupted_after {
            let interrupt = Arc::clone(&clients.interrupt);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                interrupt.request("stopped by SIGTERM");
            });
        }
        let store = Arc::new(self.mine.lake.clone());
        let options = RunOptions { store: Some(store), deadline: None, listener: &Silent };
        Ok(run::run_source(&clients, &manifest, &request, options).await)
    }
}

/// How a command line ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// The exit code.
    pub(super) code: i32,
    /// The report.
    pub(super) report: Value,
    /// The log, and what a command line prints on standard error.
    pub(super) errors: String,
}

/// Runs `reading`, which must end with `code`, having said all of `words`, and the secret nowhere.
pub(super) fn ended(reading: &Reading<'_>, code: i32, words: &[&str]) -> Ended {
    let ended = reading.run();
    assert_eq!(ended.code, code, "{}\n{}", ended.report, ended.errors);
    let said = format!("{}\n{}", ended.report, ended.errors);
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    assert!(!said.contains(SECRET), "{said}");
    ended
}

/// A clock that follows tokio's time, which is paused: a wait moves it at once.
#[derive(Debug)]
struct TestClock {
    start: DateTime<Utc>,
    started: Instant,
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        self.start + self.started.elapsed()
    }
}

/// What a run logs.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
