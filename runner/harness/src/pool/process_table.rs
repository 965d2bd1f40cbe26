//! Processes found through `/proc`, by the marker in their environment.
//!
//! Only Linux has that. Elsewhere nothing is found, and the supervisors alone end the workers.

use std::process;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The environment variable that every worker process and its descendants carry:
/// `instance/job/worker`.
pub(crate) const MARKER: &str = "DATAFLUME_WORKER";

/// How often the table is read again after killing: a process may fork while it is read.
const ROUNDS: usize = 100;

/// When a process started, in clock ticks since boot: with the pid it names a process for good.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command name, in parentheses, may contain anything; the 22nd field is the 20th after it.
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_whitespace().nth(19)?.parse().ok()
}

/// The inode of a process's pid namespace. Pids of different namespaces can't be compared.
pub(crate) fn pid_namespace(process: &str) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/{process}/ns/pid")).ok()?;
    let text = link.to_str()?;
    text.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

/// The processes of this pid namespace, other than this one, whose marker is wanted.
pub(crate) fn marked(wanted: impl Fn(&str) -> bool) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let namespace = pid_namespace("self");
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| pid.unsigned_abs() != process::id())
        .filter(|pid| marker(*pid).is_some_and(|marker| wanted(&marker)))
        .filter(|pid| pid_namespace(&pid.to_string()) == namespace)
        .map(Pid::from_raw)
        .collect()
}

/// Kills all processes whose marker is wanted, until none is left. Returns how many there were.
pub(crate) fn kill_marked(wanted: impl Fn(&str) -> bool) -> usize {
    let mut killed = std::collections::HashSet::new();
    for _ in 0..ROUNDS {
        let found = marked(&wanted);
        if found.is_empty() {
            break;
        }
        for pid in found {
            killed.insert(pid);
            // It may have ended by itself meanwhile, which is as good.
            let _ = kill(pid, Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(10));
    }
    killed.len()
}

/// The children of all threads of a process.
#[cfg(target_os = "linux")]
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .map(Pid::from_raw)
                .collect::<Vec<_>>()
        })
        .collect()
}

/// All processes that descend from one.
#[cfg(target_os = "linux")]
pub(crate) fn descendants(ancestor: Pid) -> Vec<Pid> {
    let mut found = children(ancestor);
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children(*pid));
        next += 1;
    }
    found
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn descendants(_: Pid) -> Vec<Pid> {
    Vec::new()
}

fn marker(pid: i32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find_map(|variable| {
        let value = variable
            .strip_prefix(MARKER.as_bytes())?
            .strip_prefix(b"=")?;
        Some(String::from_utf8_lossy(value).into_owned())
    })
}
