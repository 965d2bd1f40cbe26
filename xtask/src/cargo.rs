//! What cargo does for us.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::stage::Counts;
use crate::{python, workspace};

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    command
}

/// Is everything formatted?
pub(crate) fn format() -> anyhow::Result<Counts> {
    let arguments = ["fmt", "--all", "--check"];
    workspace::succeeds(cargo().args(arguments)).map(Counts::check)
}

/// Lints, all of them errors.
pub(crate) fn clippy() -> anyhow::Result<Counts> {
    let arguments = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    workspace::succeeds(cargo().args(arguments)).map(Counts::check)
}

/// Every Rust test and doc test.
pub(crate) fn test() -> anyhow::Result<Counts> {
    let beam = python::Beam::ensure()?;
    let mut command = cargo();
    command.args(["test", "--workspace", "--no-fail-fast"]);
    beam.set_variables(&mut command);
    count_tests(&mut command)
}

/// Runs tests, shows what they print, and adds up their results.
fn count_tests(command: &mut Command) -> anyhow::Result<Counts> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("can't run cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("can't read what cargo prints")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        counts += result_of(&line).unwrap_or_default();
    }
    let status = child.wait().context("can't wait for cargo")?;
    if !status.success() && counts.failed == 0 {
        // Something did not compile, or a test's process died.
        counts.failed = 1;
    }
    Ok(counts)
}

/// The numbers in `test result: ok. 3 passed; 0 failed; ..`.
fn result_of(line: &str) -> Option<Counts> {
    let numbers = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut counts = Counts::default();
    for part in numbers.split("; ") {
        match part.split_once(' ') {
            Some((number, "passed")) => counts.passed = number.parse().ok()?,
            Some((number, "failed")) => counts.failed = number.parse().ok()?,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; \
                    1 filtered out; finished in 0.02s";
        let expected = Counts {
            passed: 12,
            failed: 3,
        };
        assert_eq!(result_of(line), Some(expected));
        assert_eq!(result_of("test a ... ok"), None);
    }
}
