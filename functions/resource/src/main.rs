//! `resource`: reads whichever resource of whichever manifest the request names.

use std::process::ExitCode;

fn main() -> ExitCode {
    ticketlake::app::main(None)
}
