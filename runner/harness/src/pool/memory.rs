//! How much memory a worker's processes take, and what happens when it is too much.
//!
//! Only Linux tells, so that elsewhere there is no limit.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::process_table::descendants;

/// Between two looks. What a process takes within that time may exceed the limit.
const INTERVAL: Duration = Duration::from_millis(250);

const MIB: u64 = 1 << 20;

/// Resolves when the processes that descend from this one take more than the limit, to what they take.
/// Pending for ever where that can't be seen.
pub(crate) async fn exceeded(ancestor: Pid, limit_bytes: u64) -> u64 {
    let mut looks = tokio::time::interval(INTERVAL);
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let used = descendants(ancestor)
            .into_iter()
            .filter_map(private_bytes)
            .sum();
        if used > limit_bytes {
            return used;
        }
    }
}

/// Ends the processes that descend from this one. It is left to take note of that.
pub(crate) fn end_descendants(ancestor: Pid) {
    for pid in descendants(ancestor) {
        // It may have ended by itself meanwhile, which is as good.
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// Why the worker was ended.
pub(crate) fn explain(used_bytes: u64, limit_bytes: u64) -> String {
    format!(
        "out of memory: the worker used {} MiB, and its limit, that of its machine type or of --worker-memory, is {} MiB",
        used_bytes.div_ceil(MIB),
        limit_bytes / MIB
    )
}

/// Resident memory that belongs to no file.
fn private_bytes(pid: Pid) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = statm.split_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, of_files) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(of_files) * page_bytes())
}

fn page_bytes() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok()
        .flatten()
        .and_then(|size| u64::try_from(size).ok())
        .unwrap_or(4096)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn a_child_of_a_child_that_takes_too_much_is_seen_and_ended() {
        let mut child = Command::new("sh")
            // A shell of its own: the variable grows to 32 MiB.
            .args([
                "-c",
                "sh -c 'x=$(head -c 33554432 /dev/zero | tr \"\\0\" x); echo full; cat'; true",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ancestor = Pid::from_raw(child.id().cast_signed());
        let limit = 16 * MIB;
        let used = exceeded(ancestor, limit).await;
        assert!(used > limit);
        assert!(explain(used, limit).contains("is 16 MiB"));
        end_descendants(ancestor);
        // The shell goes on once its own child is gone.
        assert!(child.wait().unwrap().success());
    }
}
