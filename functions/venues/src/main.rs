//! `venues`: reads the venues of a source into the lake.

use std::process::ExitCode;

fn main() -> ExitCode {
    ticketlake::app::main(Some("venues"))
}
