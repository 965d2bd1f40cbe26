//! What the kernel tells of processes. Without `/proc` there are none.

use std::fs;
use std::path::PathBuf;

/// Linux counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// A process's children, their children, and so on.
pub(super) fn descendants(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        let tasks = fs::read_dir(format!("/proc/{parent}/task"));
        for task in tasks.into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace();
            let children: Vec<u32> = children.filter_map(|child| child.parse().ok()).collect();
            found.extend_from_slice(&children);
            next.extend(children);
        }
    }
    found
}

/// The program that a process runs.
pub(super) fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The most memory that a process has had.
pub(super) fn peak_bytes(pid: u32) -> Option<u64> {
    peak_of(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The processor time that a process has taken.
pub(super) fn cpu_seconds(pid: u32) -> Option<f64> {
    time_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// User and system time: the 14th and 15th field. The second is a name, which may hold blanks.
fn time_of(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 5 6";
        assert_eq!(time_of(stat), Some(2.0));
    }
}
