//! The command that `exec` runs: a process group of its own, gone at the end.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::signals::{self, Signals};
use super::terminal::Lent;

/// How long the command has to end after it was asked to; then it is killed.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what the command left running has.
const REST_PATIENCE: Duration = Duration::from_secs(2);
/// How often is looked whether it is gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Exit codes as shells have them.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// A command that runs.
pub(super) struct Running {
    child: Child,
    group: Pid,
    /// While it runs, the terminal is its own.
    _terminal: Option<Lent>,
}

/// A command that could not be started.
#[derive(Debug)]
pub(super) struct NotStarted {
    pub(super) exit_code: u8,
    pub(super) error: anyhow::Error,
}

impl Running {
    /// Starts it.
    pub(super) fn start(
        command: &[OsString],
        variables: &[(&str, String)],
        removed: &[&str],
    ) -> Result<Self, NotStarted> {
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| not_started(io::Error::from(io::ErrorKind::NotFound), "no command"))?;
        let mut command = Command::new(program);
        removed.iter().for_each(|name| {
            command.env_remove(name);
        });
        let spawned = command
            .args(arguments)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .process_group(0)
            .spawn();
        let child = spawned.map_err(|error| not_started(error, &program.to_string_lossy()))?;
        // It is there as long as nobody has waited for the child.
        let id = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .unwrap_or_default();
        let group = Pid::from_raw(id);
        let terminal = Lent::to(group);
        if terminal.is_some() {
            // It may have been stopped since it read from a terminal that wasn't its own yet.
            let _ = killpg(group, Signal::SIGCONT);
        }
        Ok(Self {
            child,
            group,
            _terminal: terminal,
        })
    }

    /// Waits for its end, passing on signals, and ends what it left behind. Gives its exit code.
    pub(super) async fn finish(mut self, signals: &mut Signals) -> anyhow::Result<u8> {
        let status = self
            .wait(signals)
            .await
            .context("the command can't be waited for")?;
        self.end_rest().await;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
            (None, Some(signal)) => signals::exit_code(signal),
            (None, None) => u8::MAX,
        })
    }

    async fn wait(&mut self, signals: &mut Signals) -> io::Result<ExitStatus> {
        let signal = tokio::select! {
            status = self.child.wait() => return status,
            signal = signals.next() => signal,
        };
        self.signal(signal);
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                status = self.child.wait() => return status,
                again = signals.next() => self.signal(again),
                () = &mut patience => break,
            }
        }
        self.signal(Signal::SIGKILL);
        self.child.wait().await
    }

    /// Ends the rest of the command's process group.
    async fn end_rest(&self) {
        let mut waited = Duration::ZERO;
        self.signal(Signal::SIGTERM);
        while killpg(self.group, None) != Err(Errno::ESRCH) {
            if waited >= REST_PATIENCE {
                self.signal(Signal::SIGKILL);
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            waited += LOOK_EVERY;
        }
    }

    fn signal(&self, signal: Signal) {
        // A group without processes has nobody to tell.
        let _ = killpg(self.group, signal);
    }
}

fn not_started(error: io::Error, program: &str) -> NotStarted {
    let exit_code = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    NotStarted {
        exit_code,
        error: anyhow::Error::new(error).context(format!("{program:?} can't be run")),
    }
}
