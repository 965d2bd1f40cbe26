//! Samples of `perf script`, added up.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::Result;

use super::FREQUENCY;

/// What a sample's time was spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Workers and the submitting program, their ends of the wire apart.
    Sdk,
    /// Getting messages from one process to another, on either side: gRPC, HTTP/2, sockets.
    Wire,
    /// The emulator, without its end of the wire.
    Runner,
}

/// Names in which a function that serves the wire is recognised, in any process.
const WIRE: &[&str] = &[
    "h2::",
    "hyper::",
    "hyper_util::",
    "tonic::",
    "tcp_",
    "__sys_sendto",
    "__sys_sendmsg",
    "__sys_recvfrom",
    "__sys_recvmsg",
    "sock_",
    "unix_stream",
    "google.golang.org/grpc",
    "golang.org/x/net/http2",
    "grpc_core",
    "__pyx_f_4grpc",
    "__pyx_pw_4grpc",
];

/// Libraries that do nothing else.
const WIRE_LIBRARIES: &[&str] = &["cygrpc"];

/// How often each stack was seen.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    seen: BTreeMap<(Part, String), u64>,
}

/// A sample that is being read.
struct Sample {
    is_emulator: bool,
    is_wire: bool,
    command: String,
    /// Innermost first.
    frames: Vec<String>,
}

impl Stacks {
    pub(super) fn read(lines: impl BufRead, emulator: u32) -> Result<Self> {
        let mut stacks = Self::default();
        let mut sample: Option<Sample> = None;
        for line in lines.lines() {
            let line = line?;
            if line.trim().is_empty() {
                stacks.add(sample.take());
            } else if line.starts_with(char::is_whitespace) {
                if let Some(sample) = &mut sample {
                    sample.take_frame(line.trim());
                }
            } else {
                stacks.add(sample.take());
                sample = Sample::begin(&line, emulator);
            }
        }
        stacks.add(sample);
        Ok(stacks)
    }

    fn add(&mut self, sample: Option<Sample>) {
        let Some(sample) = sample else {
            return;
        };
        let part = match (sample.is_wire, sample.is_emulator) {
            (true, _) => Part::Wire,
            (false, true) => Part::Runner,
            (false, false) => Part::Sdk,
        };
        let root = if sample.is_emulator {
            "emulator"
        } else {
            "SDK"
        };
        let frames = sample.frames.iter().rev().map(String::as_str);
        let stack: Vec<&str> = [root, &sample.command].into_iter().chain(frames).collect();
        *self.seen.entry((part, stack.join(";"))).or_default() += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// A line for each stack, outermost frame first, as tools for flame graphs take them.
    pub(super) fn folded(&self) -> Vec<String> {
        let mut stacks: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, stack), count) in &self.seen {
            *stacks.entry(stack).or_default() += count;
        }
        let lines = stacks.into_iter();
        lines
            .map(|(stack, count)| format!("{stack} {count}"))
            .collect()
    }

    /// The case's line of the table.
    pub(super) fn row(&self, case: &str) -> String {
        let total = self.seen.values().sum::<u64>();
        let share = |part| {
            let of_part = self.seen.iter().filter(|((of, _), _)| *of == part);
            let count: u64 = of_part.map(|(_, count)| count).sum();
            count as f64 / total as f64 * 100.0
        };
        let frequency: f64 = FREQUENCY.parse().unwrap_or(1.0);
        format!(
            "| `{case}` | {:.2} | {:.0} % | {:.0} % | {:.0} % |\n",
            total as f64 / frequency,
            share(Part::Sdk),
            share(Part::Wire),
            share(Part::Runner)
        )
    }
}

impl Sample {
    /// Of a line such as `python  4711  12.345678: `; a command may hold blanks.
    fn begin(line: &str, emulator: u32) -> Option<Self> {
        let mut fields: Vec<&str> = line.split_whitespace().collect();
        let _time = fields.pop()?;
        let pid: u32 = fields.pop()?.parse().ok()?;
        Some(Self {
            is_emulator: pid == emulator,
            is_wire: false,
            command: fields.join(" "),
            frames: Vec::new(),
        })
    }

    /// Of a line such as `7f12 name::of(function) (/lib/library.so)`.
    fn take_frame(&mut self, line: &str) {
        let Some((_, rest)) = line.split_once(' ') else {
            return;
        };
        let (name, library) = rest.rsplit_once(" (").unwrap_or((rest, ""));
        let library = library.trim_end_matches(')');
        let library = library.rsplit('/').next().unwrap_or(library);
        self.is_wire |= WIRE.iter().any(|of_wire| name.contains(of_wire))
            || WIRE_LIBRARIES
                .iter()
                .any(|of_wire| library.contains(of_wire));
        let name = match name.trim() {
            "" | "[unknown]" => format!("[{library}]"),
            name => name.replace(';', ":"),
        };
        // Frames that are not known say nothing more for being many.
        if self.frames.last() != Some(&name) {
            self.frames.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "\
data worker     7   12.5: 
\t    7f01 cut::element (/bin/dataflume)
\t    7f02 driver::run (/bin/dataflume)

data worker     7   12.6: 
\t    7f01 tcp_sendmsg ([kernel.kallsyms])
\t    7f02 driver::run (/bin/dataflume)

python     8   12.6: 
\t    7f03 [unknown] (/lib/libpython.so)
\t    7f04 [unknown] (/lib/libpython.so)

python     8   12.7: 
\t    7f03 [unknown] (/lib/cygrpc.so)
";

    #[test]
    fn samples_are_told_apart_and_added_up() {
        let stacks = Stacks::read(SCRIPT.as_bytes(), 7).unwrap();
        let expected = [
            "SDK;python;[cygrpc.so] 1",
            "SDK;python;[libpython.so] 1",
            "emulator;data worker;driver::run;cut::element 1",
            "emulator;data worker;driver::run;tcp_sendmsg 1",
        ];
        assert_eq!(stacks.folded(), expected);
        assert_eq!(stacks.row("c"), "| `c` | 0.01 | 25 % | 50 % | 25 % |\n");
    }
}
