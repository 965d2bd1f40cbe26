//! The worker's process, found by its connection where it runs on this machine, and how much processor time it has wanted.
//!
//! Only Linux tells. Elsewhere, and of a worker in a container or on another machine, nothing is known.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A process of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Process(i32);

/// What a process has had of the processors, and what it had to wait for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProcessorTime {
    /// Of all its threads, those that have ended among them.
    pub used: Duration,
    /// How long threads that are there could have run while others did.
    pub waited: Duration,
}

impl ProcessorTime {
    /// What it has wanted since then. A thread that has ended takes its wait with it, which is not less than nothing.
    #[must_use]
    pub fn wanted_since(self, before: Self) -> Duration {
        self.used.saturating_sub(before.used) + self.waited.saturating_sub(before.waited)
    }
}

impl Process {
    /// The one that has the other end of a connection.
    pub(crate) fn at_the_other_end(ours: SocketAddr, theirs: SocketAddr) -> Option<Self> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let inode = tables
            .iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .find_map(|table| inode_of(&table, theirs, ours))?;
        Self::with_socket(inode)
    }

    /// The first that has the socket open.
    fn with_socket(inode: u64) -> Option<Self> {
        let wanted = format!("socket:[{inode}]");
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.find(|pid| {
            // Other users' can't be looked into.
            let open = fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten();
            open.flatten()
                .filter_map(|file| fs::read_link(file.path()).ok())
                .any(|link| link.as_os_str() == wanted.as_str())
        })
        .map(Self)
    }

    /// Since it began; `None` when it has ended.
    #[must_use]
    pub fn processor_time(self) -> Option<ProcessorTime> {
        let Self(pid) = self;
        let used = used(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
        let waited = threads
            .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
            .filter_map(|times| waited(&times))
            .sum();
        Some(ProcessorTime { used, waited })
    }
}

/// The inode of an established connection's socket in a table of Linux: its number, the local address, the remote one, the state,
/// and the inode as the tenth word.
fn inode_of(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<u64> {
    let is = |text: &str, wanted: SocketAddr| {
        parse_address(text).is_some_and(|(ip, port)| {
            ip.to_canonical() == wanted.ip().to_canonical() && port == wanted.port()
        })
    };
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let established = words.get(3) == Some(&"01");
        let matches = established && is(words.get(1)?, local) && is(words.get(2)?, remote);
        matches.then(|| words.get(9)?.parse().ok()).flatten()
    })
}

/// An address is in words of 32 bits, each as the machine has the bytes of the network.
fn parse_address(text: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = (0..ip.len()).step_by(8);
    let bytes: Vec<u8> = words
        .map(|at| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok())
        .collect::<Option<Vec<_>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some((ip, port))
}

/// The 14th and 15th word of a process's `stat`: time in the program and for it in the system. Its name, in parentheses, may
/// contain anything.
fn used(stat: &str) -> Option<Duration> {
    let after_name = stat.rsplit_once(')')?.1;
    let mut words = after_name.split_ascii_whitespace().skip(11);
    let mut ticks = || words.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_millis(ticks * 1_000 / ticks_per_second()))
}

fn ticks_per_second() -> u64 {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK);
    let ticks = ticks
        .ok()
        .flatten()
        .and_then(|ticks| u64::try_from(ticks).ok());
    ticks.filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// The second word of a thread's `schedstat`: how long it waited for a processor, in nanoseconds.
fn waited(schedstat: &str) -> Option<Duration> {
    let waited = schedstat.split_ascii_whitespace().nth(1)?;
    Some(Duration::from_nanos(waited.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_are_read() {
        // On a machine whose low byte comes first, as nearly all are.
        let parse =
            |text| parse_address(text).map(|(ip, port)| SocketAddr::new(ip.to_canonical(), port));
        let expected = |text: &str| text.parse::<SocketAddr>().ok();
        if cfg!(target_endian = "little") {
            assert_eq!(parse("0100007F:1F90"), expected("127.0.0.1:8080"));
            assert_eq!(
                parse("0000000000000000FFFF00000100007F:1F90"),
                expected("127.0.0.1:8080")
            );
            assert_eq!(
                parse("00000000000000000000000001000000:0001"),
                expected("[::1]:1")
            );
        }
        for wrong in ["", "0100007F", "0100:1F90", "0100007Fé:1F90", "x:y"] {
            assert_eq!(parse_address(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn times_are_read() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 3 4 20";
        let expected = Duration::from_millis(200_000 / ticks_per_second());
        assert_eq!(used(stat), Some(expected));
        assert_eq!(used("7 (a S"), None);
        assert_eq!(waited("10 1500000 3\n"), Some(Duration::from_micros(1_500)));
        let at = |used, waited| ProcessorTime {
            used: Duration::from_secs(used),
            waited: Duration::from_secs(waited),
        };
        assert_eq!(at(5, 2).wanted_since(at(3, 1)), Duration::from_secs(3));
        assert_eq!(at(5, 0).wanted_since(at(3, 1)), Duration::from_secs(2));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_at_the_other_end_is_this_one() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let theirs = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        let find = || {
            let ours = ours.local_addr().unwrap();
            Process::at_the_other_end(ours, theirs.local_addr().unwrap())
        };
        let found = find().unwrap();
        assert_eq!(found.0.unsigned_abs(), std::process::id());
        let before = found.processor_time().unwrap();
        while found.processor_time().unwrap().wanted_since(before) < Duration::from_millis(20) {}
        drop(listener);
        let nobody = "127.0.0.1:1".parse().unwrap();
        assert_eq!(Process::at_the_other_end(nobody, nobody), None);
    }
}
