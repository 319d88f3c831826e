//! How long a function takes from its process's start to its first request for an event, beside one that does nothing. What
//! Lambda bills as init is this and the loading of the zip.
//!
//! ```text
//! cargo build --release -p events -p bare
//! cargo run -p ticketlake-tests --bin bench-start -- target/release events bare
//! ```

#![expect(clippy::expect_used, reason = "a measurement that cannot be made should say where it stopped")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Starts of each function, in turn, so that what the machine does beside falls on all of them.
const STARTS: usize = 25;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("the folder of the binaries, and their names"));
    let names: Vec<String> = arguments.collect();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port on 127.0.0.1 is free");
    let address = listener.local_addr().expect("a listener has an address").to_string();
    let mut starts = vec![Vec::new(); names.len()];
    for _ in 0..STARTS {
        for (name, starts) in names.iter().zip(&mut starts) {
            starts.push(start(&folder.join(name), &listener, &address));
        }
    }
    for (name, mut starts) in names.iter().zip(starts) {
        starts.sort();
        let (took, kilobytes) = starts[STARTS / 2];
        println!(
            "{name}: {:.1} ms to the first poll (median of {STARTS}), {kilobytes} kB resident",
            took.as_secs_f64() * 1e3
        );
    }
}

/// The time until the process asks for its first event, and the memory that it has by then.
fn start(binary: &PathBuf, listener: &TcpListener, address: &str) -> (Duration, u64) {
    let begin = Instant::now();
    let mut child = Command::new(binary)
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", address),
            ("AWS_LAMBDA_FUNCTION_NAME", "start"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("SOURCE", "ticketmaster"),
            ("LAKE", "s3://bucket/lake"),
            ("SECRET_ID", "key"),
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let (stream, _) = listener.accept().expect("the function connects");
    let line = first_line(&stream);
    let took = begin.elapsed();
    assert!(line.starts_with("GET /2018-06-01/runtime/invocation/next"), "{line}");
    let kilobytes = resident(&child);
    end(&mut child, stream);
    (took, kilobytes)
}

fn first_line(stream: &TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("the function asks");
    line
}

/// `VmRSS` of Linux's `/proc/PID/status`.
fn resident(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse().unwrap_or_default()
}

fn end(child: &mut Child, mut stream: TcpStream) {
    let _ = child.kill();
    let _ = child.wait();
    let _ = stream.flush();
}
