//! The failures that we know, and why they fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::outcome::{Outcome, TestResult};
use super::setting::Workers;

/// What a result means, given what we know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Passed, or skipped by the suite itself.
    Fine,
    /// Failed, and is listed.
    Known,
    /// Failed, and is not listed.
    Unexpected,
    /// Listed, and passed.
    Surprise,
}

/// The content of a file in `tests/conformance/known-failures`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    failures: Vec<Failures>,
}

/// Tests that fail for one reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Failures {
    reason: String,
    tests: Vec<String>,
    /// The only workers with which they fail; none for all.
    #[serde(default)]
    workers: Vec<Workers>,
}

/// The reason of each test that is known to fail.
#[derive(Debug, Default)]
pub(crate) struct KnownFailures {
    reasons: BTreeMap<String, String>,
}

impl KnownFailures {
    /// Reads the list of a suite.
    pub(crate) fn read(workspace: &Path, suite: &str, workers: Workers) -> Result<Self> {
        let lists = workspace.join("tests/conformance/known-failures");
        Self::read_file(&lists.join(format!("{suite}.toml")), workers)
    }

    /// Reads a list.
    pub(crate) fn read_file(path: &Path, workers: Workers) -> Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Self::parse(&text, workers).with_context(|| format!("in {}", path.display()))
    }

    fn parse(text: &str, workers: Workers) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        let mut reasons = BTreeMap::new();
        for failures in file.failures {
            if !failures.workers.is_empty() && !failures.workers.contains(&workers) {
                continue;
            }
            let reason = failures.reason;
            for test in failures.tests {
                if let Some(other) = reasons.insert(test.clone(), reason.clone()) {
                    bail!("{test} is listed twice: {other:?} and {reason:?}");
                }
            }
        }
        Ok(Self { reasons })
    }

    /// Why the test is expected to fail.
    pub(crate) fn reason(&self, test: &str) -> Option<&str> {
        self.reasons.get(test).map(String::as_str)
    }

    /// What the result means.
    pub(crate) fn verdict(&self, result: &TestResult) -> Verdict {
        match (result.outcome.is_failure(), self.reason(&result.test)) {
            (true, Some(_)) => Verdict::Known,
            (true, None) => Verdict::Unexpected,
            (false, Some(_)) if result.outcome == Outcome::Passed => Verdict::Surprise,
            (false, _) => Verdict::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(test: &str, outcome: Outcome) -> TestResult {
        TestResult {
            test: test.to_owned(),
            outcome,
            seconds: 0.0,
            message: String::new(),
        }
    }

    #[test]
    fn verdicts() {
        let known = KnownFailures::parse(
            "[[failures]]\nreason = 'why'\ntests = ['a']",
            Workers::Loopback,
        )
        .unwrap();
        for (test, outcome, expected) in [
            ("a", Outcome::Failed, Verdict::Known),
            ("a", Outcome::TimedOut, Verdict::Known),
            ("a", Outcome::Passed, Verdict::Surprise),
            ("a", Outcome::Skipped, Verdict::Fine),
            ("b", Outcome::Failed, Verdict::Unexpected),
            ("b", Outcome::Passed, Verdict::Fine),
        ] {
            assert_eq!(
                known.verdict(&result(test, outcome)),
                expected,
                "{test} {outcome:?}"
            );
        }
    }

    #[test]
    fn some_fail_with_one_kind_of_workers_only() {
        let text = "[[failures]]\nreason = 'why'\ntests = ['a']\nworkers = ['process']";
        for (workers, reason) in [(Workers::Loopback, None), (Workers::Process, Some("why"))] {
            let known = KnownFailures::parse(text, workers).unwrap();
            assert_eq!(known.reason("a"), reason);
        }
    }

    #[test]
    fn a_test_fails_for_one_reason() {
        let twice = "[[failures]]\nreason='x'\ntests=['a']\n[[failures]]\nreason='y'\ntests=['a']";
        assert!(KnownFailures::parse(twice, Workers::Loopback).is_err());
    }
}
