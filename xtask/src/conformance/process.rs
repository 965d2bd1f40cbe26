//! Child processes that are gone, with all their descendants, when we are done with them.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How often a running process is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A process in a process group of its own, which is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    child: Child,
}

impl Group {
    /// Starts the command. Its output goes to the file, or nowhere.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        Self::spawn(command)
    }

    /// Starts the command with the output as the command says.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let child = command
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child })
    }

    /// The started process.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, if it has ended.
    pub(crate) fn poll(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits a moment before the next look.
    pub(crate) fn pause() {
        std::thread::sleep(POLL);
    }

    /// Waits for the end until the deadline; `None` if it still runs then.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.poll()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            Self::pause();
        }
    }

    /// Sends the signal to the whole group.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may be gone already, which is what we want.
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Runs a command that has to succeed and gives its standard output.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_gone_when_dropped() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 1000 & sleep 1000"])
            .stdout(Stdio::null());
        let group = Group::spawn(&mut command).unwrap();
        let pid = Pid::from_raw(group.child.id().cast_signed());
        drop(group);
        // The shell is reaped here; its child is adopted and vanishes a moment later.
        while killpg(pid, None).is_ok() {
            Group::pause();
        }
    }

    #[test]
    fn waits_no_longer_than_the_deadline() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let mut group = Group::spawn(&mut command).unwrap();
        let deadline = Instant::now() + Duration::from_millis(50);
        assert_eq!(group.wait_until(deadline).unwrap(), None);
    }
}
