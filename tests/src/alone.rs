//! Programs in a network that ends at this machine, in which the kernel counts what would have left it.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::command::{Finished, run_within};

/// What is run in the new network: its loopback interface comes up, then the program is run, and then its counters are told.
const SCRIPT: &str = r#"ip link set lo up
"$@"
status=$?
echo "== counters"
cat /proc/net/snmp /proc/net/snmp6
echo "== end of counters"
exit $status"#;

/// Where the counters begin in what is written.
const COUNTERS: &str = "== counters\n";

/// Where they end: what was written as an error follows.
const END: &str = "== end of counters\n";

/// What to make a network with, as any user.
const UNSHARE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--net"];

/// A program that is alone in its network, with all that it starts.
#[derive(Debug)]
pub struct Alone {
    command: Command,
    watched: bool,
}

impl Alone {
    /// The program is to be run in a network of its own. Where this machine does not let its users make networks, it says so and
    /// runs in the machine's, unwatched.
    #[must_use]
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let watched = possible();
        let command = if watched {
            let mut command = Command::new(UNSHARE[0]);
            command.args(&UNSHARE[1..]).args(["sh", "-c", SCRIPT, "sh"]);
            command.arg(program);
            command
        } else {
            Command::new(program)
        };
        Self { command, watched }
    }

    /// For the program's arguments and variables.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Runs it.
    ///
    /// # Errors
    /// As [`run_within`]; and if anything was sent to another machine, or a name server on this one was asked.
    pub fn run_within(mut self, limit: Duration) -> Result<Finished> {
        let mut finished = run_within(&mut self.command, limit)?;
        if !self.watched {
            return Ok(finished);
        }
        let start = finished.output.find(COUNTERS);
        let start = start.with_context(|| format!("no counters in:\n{}", finished.output))?;
        let end = finished.output.find(END);
        let end = end.with_context(|| format!("no end of counters in:\n{}", finished.output))?;
        let counters = finished.output[start..end].to_owned();
        finished.output.replace_range(start..end + END.len(), "");
        let left = left(&counters);
        ensure!(
            left.is_empty(),
            "the network was used: {}\n{}",
            left.join(", "),
            finished.output
        );
        Ok(finished)
    }
}

/// Whether networks can be made here.
pub(crate) fn possible() -> bool {
    static POSSIBLE: OnceLock<bool> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        let mut trial = Command::new(UNSHARE[0]);
        trial
            .args(&UNSHARE[1..])
            .args(["ip", "link", "set", "lo", "up"]);
        let possible = trial.output().is_ok_and(|output| output.status.success());
        if !possible {
            eprintln!(
                "NOT WATCHED: this machine lets its users make no networks, so nothing says whether programs stay within loopback"
            );
        }
        possible
    })
}

/// The counters that tell of something for elsewhere, where they are not zero.
///
/// A packet for another machine has no route. A question to a name server of this machine, such as a stub resolver, finds nobody.
fn left(counters: &str) -> Vec<String> {
    const TELLING: [&str; 4] = [
        "Ip OutNoRoutes",
        "Udp NoPorts",
        "Ip6OutNoRoutes",
        "Udp6NoPorts",
    ];
    let found = values(counters).into_iter();
    found
        .filter(|(name, count)| *count > 0 && TELLING.contains(&name.as_str()))
        .map(|(name, count)| format!("{name} {count}"))
        .collect()
}

/// All counters: those of IPv4 are a line of names and a line of values for each protocol, those of IPv6 a line each.
fn values(counters: &str) -> Vec<(String, u64)> {
    let mut values = Vec::new();
    let mut names: Option<(&str, &str)> = None;
    for line in counters.lines() {
        match (line.split_once(": "), names.take()) {
            (Some((protocol, of)), Some((same, all))) if protocol == same => {
                let pairs = all.split(' ').zip(of.split(' '));
                values.extend(pairs.filter_map(|(name, value)| {
                    Some((format!("{protocol} {name}"), value.parse().ok()?))
                }));
            }
            (Some(first), _) => names = Some(first),
            (None, _) => {
                let mut words = line.split_whitespace();
                if let (Some(name), Some(Ok(value))) = (words.next(), words.next().map(str::parse))
                {
                    values.push((name.to_owned(), value));
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: &str = "Ip: Forwarding OutNoRoutes\nIp: 1 0\nTcp: MaxConn\nTcp: -1\nUdp: NoPorts InErrors\nUdp: 2 9\nIp6OutNoRoutes    \t1\nUdp6NoPorts 0\n";

    #[test]
    fn what_left_is_read_from_the_counters() {
        assert_eq!(left(COUNTED), ["Udp NoPorts 2", "Ip6OutNoRoutes 1"]);
        assert!(left("").is_empty());
    }

    #[test]
    fn a_program_that_looks_up_a_name_is_noticed() -> Result<()> {
        let mut alone = Alone::new("getent");
        alone.command().args(["ahosts", "name.example"]);
        let ran = alone.run_within(Duration::from_secs(60));
        // Where nothing watches, nothing can be noticed.
        assert_eq!(ran.is_err(), possible(), "{ran:?}");
        let mut quiet = Alone::new("getent");
        quiet.command().args(["ahosts", "localhost"]);
        let ran = quiet.run_within(Duration::from_secs(60))?;
        assert!(ran.success, "{ran:?}");
        Ok(())
    }
}
