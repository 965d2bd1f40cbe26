//! The emulator's workers, as the machine's process table has them.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What the environment of every worker process begins its marker with; the emulator's process id follows.
const MARKER: &str = "DATAFLUME_WORKER=";

/// A process that belongs to a worker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Worker {
    /// The process.
    pub pid: i32,
    /// The program it runs.
    pub program: PathBuf,
}

impl Worker {
    /// Kills the process at once.
    pub fn kill(&self) {
        // It may be gone already.
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
    }
}

/// The living processes that carry the marker of the emulator with this process id.
pub fn of_emulator(pid: u32) -> Vec<Worker> {
    let marker = format!("{MARKER}{pid}-");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|process| {
            // Neither can be read of a process that is gone or dead.
            fs::read(format!("/proc/{process}/environ")).is_ok_and(|environment| {
                environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable.starts_with(marker.as_bytes()))
            })
        })
        .filter_map(|process| {
            Some(Worker {
                pid: process,
                program: fs::read_link(format!("/proc/{process}/exe")).ok()?,
            })
        })
        .collect()
}

/// Those that run the user's code rather than look after such a process.
pub fn harnesses(pid: u32) -> Vec<Worker> {
    let emulator = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    of_emulator(pid)
        .into_iter()
        .filter(|worker| worker.program != emulator)
        .collect()
}
