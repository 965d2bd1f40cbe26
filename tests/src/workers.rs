//! The emulator's workers, as the machine's process table has them.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What the environment of every worker process begins its marker with; the emulator's process id follows.
const MARKER: &str = "DATAFLUME_WORKER=";

/// The folder in which interpreters wait.
const WAITING: &str = ".warm-python";

/// The folder in which archives of Java classes are made.
const ARCHIVING: &str = ".java-classes";

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

    /// Whether it is where interpreters wait for a job: a worker is in a folder of its own.
    fn is_waiting(&self) -> bool {
        let folder = fs::read_link(format!("/proc/{}/cwd", self.pid));
        folder.is_ok_and(|folder| folder.ends_with(WAITING))
    }

    /// Whether it makes an archive for the jobs to come.
    fn is_archiving(&self) -> bool {
        let folder = fs::read_link(format!("/proc/{}/cwd", self.pid));
        folder.is_ok_and(|folder| folder.ends_with(ARCHIVING))
    }

    fn parent(&self) -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).ok()?;
        // The second field is a name, which may hold blanks and parentheses.
        let fields = stat.rsplit_once(')')?.1;
        fields.split_whitespace().nth(1)?.parse().ok()
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

/// Those that belong to jobs, as opposed to interpreters that wait for one, and what looks after these.
pub fn of_jobs(pid: u32) -> Vec<Worker> {
    let (waiting, mut others): (Vec<_>, Vec<_>) = of_emulator(pid)
        .into_iter()
        .filter(|worker| !worker.is_archiving())
        .partition(|worker| worker.is_waiting());
    let supervisors: Vec<_> = waiting.iter().filter_map(Worker::parent).collect();
    // What looks after a process that waited once is in that folder too.
    let is_idle = |worker: &Worker| {
        let emulator = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        worker.program != emulator || supervisors.contains(&worker.pid)
    };
    others.extend(waiting.into_iter().filter(|worker| !is_idle(worker)));
    others
}

/// Those that run the user's code rather than look after such a process.
pub fn harnesses(pid: u32) -> Vec<Worker> {
    let emulator = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    of_emulator(pid)
        .into_iter()
        .filter(|worker| worker.program != emulator && !worker.is_waiting())
        .collect()
}

/// Interpreters that wait for a worker to become.
pub fn waiting(pid: u32) -> Vec<Worker> {
    let emulator = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    of_emulator(pid)
        .into_iter()
        .filter(|worker| worker.program != emulator && worker.is_waiting())
        .collect()
}
