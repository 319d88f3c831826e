//! The sandbox as a process of its own, so that what the servers hold is not counted as the program's.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::process::binary;
use crate::source::Source;

/// The key that the servers accept.
pub(crate) const KEY: &str = "sandbox-key";

/// Running servers. They end when this is dropped.
#[derive(Debug)]
pub(crate) struct Sandbox {
    process: Child,
    addresses: Value,
}

impl Sandbox {
    /// Starts the servers with so many sales, of two years, or a catalogue of so many events.
    pub(crate) fn start(records: usize, page_size: usize) -> Self {
        let (records, page_size) = (records.to_string(), page_size.to_string());
        let mut command = Command::new(binary("sandbox"));
        command.args(["--until-stdin-closes", "--api-key", KEY, "--see-tickets-days", "730"]);
        command.args(["--see-tickets-sales", &records, "--see-tickets-page-cap", &page_size]);
        command.args(["--ticketmaster-events", &records]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the sandbox starts");
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut line).expect("the sandbox prints its addresses");
        let addresses = serde_json::from_str(&line).expect("the addresses are JSON");
        Self { process, addresses }
    }

    /// The base URL of the API of `source`.
    pub(crate) fn base_url(&self, source: Source) -> &str {
        self.addresses[source.api()].as_str().expect("the sandbox has this API")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
