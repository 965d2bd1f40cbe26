//! Commands that end in time or are ended, with all that they started.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(10);

/// A process in a group of its own, which is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group(Child);

impl Group {
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self(child))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may be gone already.
        let _ = killpg(Pid::from_raw(self.0.id().cast_signed()), signal);
    }

    /// Waits for the process itself to end.
    pub(crate) fn wait_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let mut status = None;
        wait_until(limit, || {
            status = self.0.try_wait().ok().flatten();
            status.is_some()
        });
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.0.wait();
    }
}

/// A command that has ended by itself.
#[derive(Debug)]
pub struct Finished {
    /// Whether its exit code was 0.
    pub success: bool,
    /// What it wrote, standard output and standard error one after the other.
    pub output: String,
    /// How long it took.
    pub time: Duration,
}

/// Runs the command.
///
/// # Errors
/// If it could not be started, or was not over within the limit; it and its descendants are killed then.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<Finished> {
    let start = Instant::now();
    let mut group = Group::spawn(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )?;
    let stdout = collect(group.child().stdout.take());
    let stderr = collect(group.child().stderr.take());
    let status = group.wait_within(limit)?;
    let time = start.elapsed();
    // Ends the descendants too, or the pipes would stay open.
    drop(group);
    let mut output = stdout.join().unwrap_or_default();
    output.push_str(&stderr.join().unwrap_or_default());
    match status {
        Some(status) => Ok(Finished {
            success: status.success(),
            output,
            time,
        }),
        None => bail!("not over after {limit:?}: {command:?}\n{output}"),
    }
}

/// Reads all of a pipe in the background.
fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read until an error is kept.
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Looks until the condition holds; false if it does not within the limit.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
}
