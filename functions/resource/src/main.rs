//! `resource`: reads the resource that the request names into the lake, by any manifest.

use std::process::ExitCode;

fn main() -> ExitCode {
    ticketlake::entry::main(None)
}
