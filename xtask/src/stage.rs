//! Named steps, each timed and counted.

use std::time::{Duration, Instant};

use anyhow::bail;

/// What came of a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tests that passed; a check counts as one.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
}

impl Counts {
    /// A check that holds or does not.
    pub(crate) fn check(holds: bool) -> Self {
        Self {
            passed: u64::from(holds),
            failed: u64::from(!holds),
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// A step of a task.
pub(crate) struct Stage {
    name: &'static str,
    run: Box<dyn Fn() -> anyhow::Result<Counts>>,
}

impl Stage {
    /// A stage that fails with an error counts as one failure.
    pub(crate) fn new(
        name: &'static str,
        run: impl Fn() -> anyhow::Result<Counts> + 'static,
    ) -> Self {
        Self {
            name,
            run: Box::new(run),
        }
    }
}

/// Runs the stages, all of them whatever comes of each, and prints a summary whose last line is
/// `N passed, N failed`. `only` names those to run; if empty, all. True if nothing failed.
pub(crate) fn run(stages: &[Stage], only: &[String]) -> anyhow::Result<bool> {
    let names: Vec<&str> = stages.iter().map(|stage| stage.name).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!(
            "no stage is called {unknown:?}; there are: {}",
            names.join(", ")
        );
    }
    let chosen = |stage: &&Stage| only.is_empty() || only.iter().any(|name| name == stage.name);
    println!("stages: {}", names.join(", "));
    let results: Vec<_> = stages.iter().filter(chosen).map(run_one).collect();
    println!("\n== summary");
    let mut total = Counts::default();
    for (name, counts, time) in results {
        println!(
            "{name:<24} {:>6} passed {:>4} failed {:>8.1} s",
            counts.passed,
            counts.failed,
            time.as_secs_f64()
        );
        total += counts;
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(total.failed == 0)
}

fn run_one(stage: &Stage) -> (&'static str, Counts, Duration) {
    println!("\n== {}", stage.name);
    let start = Instant::now();
    let counts = (stage.run)().unwrap_or_else(|error| {
        println!("error: {error:#}");
        Counts::check(false)
    });
    let time = start.elapsed();
    println!("== {}: {:.1} s", stage.name, time.as_secs_f64());
    (stage.name, counts, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_stage_does_not_hide_the_others() {
        let stages = [
            Stage::new("a", || bail!("broken")),
            Stage::new("b", || Ok(Counts::check(true))),
        ];
        assert!(!run(&stages, &[]).unwrap());
        assert!(run(&stages, &["b".to_owned()]).unwrap());
        assert!(run(&stages, &["c".to_owned()]).is_err());
    }
}
