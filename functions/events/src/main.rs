//! `events`: reads the events of a source into the lake.

use std::process::ExitCode;

fn main() -> ExitCode {
    ticketlake::app::main(Some("events"))
}
