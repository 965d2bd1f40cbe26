//! Requests to end.

use anyhow::Context;
use nix::sys::signal::Signal;
use tokio::signal::unix::{self, SignalKind};

/// The signals that ask the emulator to end.
pub(super) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
}

impl Signals {
    /// Takes them over from the system, which would end the process at once.
    pub(super) fn watch() -> anyhow::Result<Self> {
        let watch = |kind| unix::signal(kind).context("can't watch signals");
        Ok(Self {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel safe.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::SIGINT,
            Some(()) = self.terminate.recv() => Signal::SIGTERM,
            Some(()) = self.hang_up.recv() => Signal::SIGHUP,
            // Their streams end with the runtime only.
            else => std::future::pending().await,
        }
    }
}

/// What shells make of a process that a signal ended.
pub(super) fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}
