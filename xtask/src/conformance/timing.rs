//! How long a suite's tests take here, and on Prism.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::outcome::Outcome;
use super::shard::{self, Target};
use super::suite::Suite;
use crate::prism::{self, Prism};

/// How often every test is run on each.
const ROUNDS: usize = 3;

/// Less than this is noise, in seconds and as a share.
const NOISE_SECONDS: f64 = 0.02;
const NOISE_SHARE: f64 = 0.1;

/// The medians of a test's seconds.
#[derive(Clone, Copy, Debug)]
struct Medians {
    here: f64,
    prism: f64,
}

impl Medians {
    fn is_slower_here(self) -> bool {
        self.here - self.prism > NOISE_SECONDS.max(self.prism * NOISE_SHARE)
    }
}

/// The tests that pass on both, each time.
#[derive(Debug)]
pub(super) struct Comparison {
    suite: &'static str,
    tests: BTreeMap<String, Medians>,
}

impl Comparison {
    /// Runs the tests on the emulator at the target and on Prism in turn, one test at a time.
    pub(super) fn make(suite: &dyn Suite, tests: &[String], target: Target<'_>) -> Result<Self> {
        let prism = Prism::start()?;
        let mut here = BTreeMap::new();
        let mut there = BTreeMap::new();
        for _ in 0..ROUNDS {
            for (endpoint, seconds) in
                [(target.endpoint, &mut here), (prism.endpoint(), &mut there)]
            {
                for result in shard::run(suite, tests, Target { endpoint, ..target }, 1)? {
                    if result.outcome == Outcome::Passed {
                        let all: &mut Vec<f64> = seconds.entry(result.test).or_default();
                        all.push(result.seconds);
                    }
                }
            }
        }
        let medians = here.into_iter().filter_map(|(test, here)| {
            let (here, prism) = (median(here)?, median(there.remove(&test)?)?);
            Some((test, Medians { here, prism }))
        });
        Ok(Self {
            suite: suite.name(),
            tests: medians.collect(),
        })
    }

    /// The page's section.
    pub(super) fn section(&self) -> String {
        let total = |of: fn(&Medians) -> f64| self.tests.values().map(of).sum::<f64>();
        let slower = self.tests.values().filter(|test| test.is_slower_here());
        let mut text = format!(
            "## {}: time against Prism {}\n\n\
             Medians of {ROUNDS} runs in turn on one machine, in LOOPBACK, of the {} tests that pass on both: {:.1} s here, {:.1} s on \
             Prism. Slower here by more than {:.0} ms and {:.0} %: {}.\n\n\
             | test | seconds here | on Prism | |\n|---|---|---|---|\n",
            self.suite,
            prism::VERSION,
            self.tests.len(),
            total(|test| test.here),
            total(|test| test.prism),
            NOISE_SECONDS * 1000.0,
            NOISE_SHARE * 100.0,
            slower.count(),
        );
        for (name, test) in &self.tests {
            let note = if test.is_slower_here() { "slower" } else { "" };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {name} | {:.2} | {:.2} | {note} |",
                test.here, test.prism
            );
        }
        text
    }
}

/// Of all rounds; none if the test did not pass in each of them.
fn median(mut seconds: Vec<f64>) -> Option<f64> {
    seconds.sort_by(f64::total_cmp);
    (seconds.len() == ROUNDS).then(|| seconds[ROUNDS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_counts_if_it_passed_each_time() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![3.0, 1.0]), None);
    }

    #[test]
    fn noise_is_not_slow() {
        for (here, prism, expected) in [
            (0.08, 0.07, false),
            (0.10, 0.07, true),
            (10.5, 10.0, false),
            (12.0, 10.0, true),
            (1.0, 9.0, false),
        ] {
            let medians = Medians { here, prism };
            assert_eq!(medians.is_slower_here(), expected, "{medians:?}");
        }
    }
}
