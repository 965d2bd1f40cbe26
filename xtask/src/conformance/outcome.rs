//! How a test ended, and how its process tells.

use serde::{Deserialize, Serialize};

/// How a test ended.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It passed.
    Passed,
    /// It failed, or its process died.
    Failed,
    /// It took longer than the limit.
    TimedOut,
    /// The suite itself skips it.
    Skipped,
    /// It passed and ran no pipeline: it says nothing about a runner.
    NoPipeline,
}

impl Outcome {
    /// The word in the report.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Passed => "pass",
            Self::Failed => "FAIL",
            Self::TimedOut => "TIMEOUT",
            Self::Skipped => "skip",
            Self::NoPipeline => "-",
        }
    }

    /// Whether the test ran and did not pass.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// One test's result.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TestResult {
    /// The test's name within its suite.
    pub(crate) test: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Why it did not pass.
    pub(crate) message: String,
}

/// A line of the file that a test process writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// A test begins.
    Start {
        /// Its name.
        test: String,
    },
    /// A test is over.
    End {
        /// Its name.
        test: String,
        /// How it ended.
        outcome: Outcome,
        /// How long it took.
        seconds: f64,
        /// Why it did not pass.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_test_processes_write() {
        let start = serde_json::from_str(r#"{"event":"start","test":"A.b"}"#).unwrap();
        assert!(matches!(start, Event::Start { test } if test == "A.b"));
        let end = serde_json::from_str(
            r#"{"event":"end","test":"A.b","outcome":"timed_out","seconds":1.5,"message":"m"}"#,
        );
        assert!(matches!(
            end.unwrap(),
            Event::End {
                outcome: Outcome::TimedOut,
                ..
            }
        ));
    }
}
