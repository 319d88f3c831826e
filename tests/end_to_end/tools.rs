//! What `tests/install-tools` installed, and how a test waits for a server.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use sandbox::function;
use serde_json::Value;

/// The installed program `name`.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = function::folder().parent().expect("target").join("tools/python/bin").join(name);
    assert!(path.exists(), "{} is missing: run tests/install-tools (tests/run does)", path.display());
    path
}

/// Runs a Python script, which prints JSON as its last line.
pub(crate) fn python(script: &str, environment: &[(&str, &str)]) -> Value {
    let output =
        Command::new(program("python")).arg("-c").arg(script).envs(environment.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}\n{errors}");
    serde_json::from_str(text.lines().last().unwrap_or_default())
        .unwrap_or_else(|_| panic!("no JSON: {text}\n{errors}"))
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server's process; killed with its children when it is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts `command` and waits until `port` answers.
    pub(crate) fn start(command: &mut Command, port: u16) -> Self {
        use std::os::unix::process::CommandExt;
        let mut process = Self(command.process_group(0).spawn().unwrap());
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{command:?} does not listen");
            assert!(process.0.try_wait().unwrap().is_none(), "{command:?} ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The whole group: a Python launcher or cargo-lambda has children of its own.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.0.id())]).status();
        let _ = self.0.wait();
    }
}
