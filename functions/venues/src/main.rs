//! `venues`: reads the venues of a source into the lake.

use std::process::ExitCode;

fn main() -> ExitCode {
    ticketlake::entry::main(Some("venues"))
}
