//! What becomes of tests, as pytest and Go's tool tell it.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::conformance::outcome::{Outcome, TestResult};
use crate::stage::Counts;
use crate::workspace;

/// A line of the plugin `tests/clients/outcomes.py`.
#[derive(Deserialize)]
struct PytestLine {
    test: String,
    outcome: String,
}

/// A line of `go test -json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoLine {
    action: String,
    #[serde(default)]
    test: Option<String>,
    #[serde(default)]
    output: String,
}

/// Runs pytest with that plugin, which tells about every test.
pub(super) fn of_pytest(command: &mut Command) -> Result<Vec<TestResult>> {
    let folder = workspace::target()?.join("clients");
    fs::create_dir_all(&folder)?;
    let file = folder.join("outcomes.jsonl");
    // What an earlier run wrote says nothing about this one.
    let _ = fs::remove_file(&file);
    let success = workspace::succeeds(command.env("DATAFLUME_OUTCOMES", &file))?;
    let text = fs::read_to_string(&file).context("pytest did not get to its end")?;
    let lines = text.lines().map(serde_json::from_str::<PytestLine>);
    let lines: Vec<_> = lines.collect::<Result<_, _>>()?;
    let results: Vec<_> = lines
        .into_iter()
        .map(|line| result(line.test, &line.outcome))
        .collect();
    if results.is_empty() || (!success && !results.iter().any(|r| r.outcome.is_failure())) {
        bail!("pytest failed, but none of its tests");
    }
    Ok(results)
}

/// Runs `go test -json`.
pub(super) fn of_go(command: &mut Command) -> Result<Vec<TestResult>> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.context("can't run go: is it installed?")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut results = Vec::new();
    for line in text.lines() {
        let Ok(line) = serde_json::from_str::<GoLine>(line) else {
            println!("{line}");
            continue;
        };
        print!("{}", line.output);
        if let (Some(test), "pass" | "fail" | "skip") = (line.test, line.action.as_str()) {
            results.push(result(test, &line.action));
        }
    }
    if results.is_empty()
        || (!output.status.success() && !results.iter().any(|r| r.outcome.is_failure()))
    {
        bail!("go test failed, but none of its tests");
    }
    Ok(results)
}

fn result(test: String, outcome: &str) -> TestResult {
    TestResult {
        test,
        outcome: match outcome {
            "passed" | "pass" => Outcome::Passed,
            "skipped" | "skip" => Outcome::Skipped,
            _ => Outcome::Failed,
        },
        seconds: 0.0,
        message: String::new(),
    }
}

/// How many passed and failed.
pub(super) fn count(results: &[TestResult]) -> Counts {
    let mut counts = Counts::default();
    for result in results {
        match result.outcome {
            Outcome::Passed => counts.passed += 1,
            Outcome::Skipped => {}
            _ => counts.failed += 1,
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_passes_and_failures_count() {
        let results: Vec<_> = ["passed", "skip", "failed", "error", "pass"]
            .map(|outcome| result("t".to_owned(), outcome))
            .into();
        let counts = count(&results);
        assert_eq!((counts.passed, counts.failed), (2, 2));
    }
}
