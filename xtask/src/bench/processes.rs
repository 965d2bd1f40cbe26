//! What the kernel tells of processes. Without `/proc` there are none.

use std::fs;
use std::path::PathBuf;
#[cfg(target_os = "linux")]
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::time::ClockId;
#[cfg(target_os = "linux")]
use nix::unistd::Pid;

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

/// The processor time that a process has taken, by its own clock: what `/proc` tells comes in hundredths of a
/// second, which is much of a small job.
#[cfg(target_os = "linux")]
pub(super) fn cpu_seconds(pid: u32) -> Option<f64> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.cast_signed())).ok()?;
    Some(Duration::from(clock.now().ok()?).as_secs_f64())
}

/// Not to be had.
#[cfg(not(target_os = "linux"))]
pub(super) fn cpu_seconds(_pid: u32) -> Option<f64> {
    None
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read() {
        assert_eq!(peak_of("Name:\tx\nVmHWM:\t    2048 kB\n"), Some(2 << 20));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn time_goes_on_while_a_process_works() {
        let own = std::process::id();
        let before = cpu_seconds(own).unwrap();
        std::hint::black_box((0..1_000_000_u64).map(std::hint::black_box).sum::<u64>());
        assert!(cpu_seconds(own).unwrap() > before);
        // Linux has no process of this number.
        assert_eq!(cpu_seconds(1 << 22), None);
    }
}
