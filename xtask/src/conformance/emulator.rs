//! Our own emulator, started for a run.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use super::process::Group;
use crate::workspace::{self, must};

/// How long the emulator, or a service that it starts, has to say where it listens.
const START_UP: Duration = Duration::from_secs(60);

/// How long it has to end after it is asked to.
const SHUT_DOWN: Duration = Duration::from_secs(15);

/// The emulator's program: `DATAFLUME_BIN`, or built now.
pub(crate) fn program(workspace: &Path) -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("DATAFLUME_BIN") {
        return Ok(binary.into());
    }
    must(
        Command::new(env!("CARGO"))
            .args(["build", "--package", "dataflume"])
            .current_dir(workspace),
    )?;
    Ok(workspace.join("target/debug/dataflume"))
}

/// The same as users have it, for measurements.
pub(crate) fn optimized_program() -> Result<PathBuf> {
    if let Some(binary) = std::env::var_os("DATAFLUME_BIN") {
        return Ok(binary.into());
    }
    must(crate::cargo::cargo().args(["build", "--release", "--package", "dataflume"]))?;
    Ok(workspace::target()?.join("release/dataflume"))
}

/// A running emulator.
#[derive(Debug)]
pub(crate) struct Emulator {
    group: Group,
    endpoint: String,
}

impl Emulator {
    /// Builds and starts it on a free port, in memory. Its log is `target/conformance/NAME/emulator.log`.
    pub(crate) fn start(workspace: &Path, suite: &str) -> Result<Self> {
        Self::start_with(workspace, suite, &[])
    }

    /// The same, with more options.
    pub(crate) fn start_with(workspace: &Path, suite: &str, options: &[&str]) -> Result<Self> {
        let binary = program(workspace)?;
        Self::spawn(workspace, suite, &binary, options, &[])
    }

    /// Starts this binary, with a log of that name, and with more arguments and variables.
    pub(crate) fn spawn(
        workspace: &Path,
        suite: &str,
        binary: &Path,
        arguments: &[&str],
        variables: &[(&str, &OsStr)],
    ) -> Result<Self> {
        let folder = super::suite::target_folder(workspace, suite);
        std::fs::create_dir_all(&folder)?;
        let log = std::fs::File::create(folder.join("emulator.log"))?;
        let mut command = Command::new(binary);
        command
            .args(["start", "--port", "0", "--ephemeral"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut group = Group::spawn(&mut command)?;
        let endpoint = read_endpoint(&mut group)?;
        Ok(Self { group, endpoint })
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.group.id()
    }

    /// HOST:PORT.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.group.signal(Signal::SIGTERM);
        // What it left running is killed with its group.
        let _ = self.group.wait_until(Instant::now() + SHUT_DOWN);
    }
}

/// A service that expands transforms of another SDK. It ends with this.
#[derive(Debug)]
pub(crate) struct ExpansionService {
    endpoint: String,
    process: Group,
}

impl ExpansionService {
    /// Starts `dataflume expansion-service` with more arguments and variables.
    pub(crate) fn start(
        workspace: &Path,
        arguments: &[&OsStr],
        variables: &[(&str, &OsStr)],
        log: &Path,
    ) -> Result<Self> {
        let log = std::fs::File::create(log)?;
        let mut command = Command::new(program(workspace)?);
        command
            .arg("expansion-service")
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut process = Group::spawn(&mut command)?;
        let endpoint = read_endpoint(&mut process).context("the expansion service")?;
        Ok(Self { endpoint, process })
    }

    /// HOST:PORT.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The port alone.
    pub(crate) fn port(&self) -> &str {
        self.endpoint.rsplit(':').next().unwrap_or_default()
    }
}

impl Drop for ExpansionService {
    fn drop(&mut self) {
        // It passes that on; its child is no member of its group.
        self.process.signal(Signal::SIGTERM);
        let _ = self.process.wait_until(Instant::now() + SHUT_DOWN);
    }
}

/// Waits for the line that says where it listens, and keeps reading so that the program never blocks on its output.
fn read_endpoint(group: &mut Group) -> Result<String> {
    let stdout = group
        .child()
        .stdout
        .take()
        .context("the emulator has no standard output")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(endpoint) = endpoint_in(&line) {
                // Only the first is waited for.
                let _ = sender.send(endpoint);
            }
        }
    });
    match receiver.recv_timeout(START_UP) {
        Ok(endpoint) => Ok(endpoint),
        Err(_) => {
            bail!("the program did not say where it listens within {START_UP:?}; see its log")
        }
    }
}

/// The endpoint, if the line is the JSON object that the emulator prints with `--port 0`.
fn endpoint_in(line: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let port = value.get("port")?.as_u64()?;
    Some(format!("localhost:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_json_line_tells_the_port() {
        assert_eq!(
            endpoint_in(r#"{"port":1234}"#).as_deref(),
            Some("localhost:1234")
        );
        assert_eq!(endpoint_in("listening on port 1234"), None);
        assert_eq!(endpoint_in(r#"{"level":"info"}"#), None);
    }
}
