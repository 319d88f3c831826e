//! `attractions`: reads the attractions of a source into the lake.

use std::process::ExitCode;

fn main() -> ExitCode {
    ticketlake::entry::main(Some("attractions"))
}
