//! What a run says: on the terminal, as JSON, and on the page `docs/conformance.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::known::{KnownFailures, Verdict};
use super::outcome::{Outcome, TestResult};
use super::suite::Suite;

/// Begins the page; the suites' sections follow.
const HEADER: &str = "\
# Conformance

Beam's own suites, unmodified, against Dataflume, test by test. `cargo xtask conformance [python|java|go] [filter]` runs them and
writes this page; `go-sdk`, `typescript`, `java-needs-runner`, `java-extensions`, `java-sql`, `java-io`, `java-nexmark`, `python-fn-runner`,
`python-validates-runner`, `python-pipelines`, `python-cross-language` and `python-yaml` are further ones, run when they are asked
for; `java-dataflow`, `python-dataflow` and `go-dataflow` come through Dataflow's API, as the SDKs' runners for Dataflow submit them.
`--endpoint HOST:PORT` runs them against another job service, and `--time-against-prism` compares how long the tests take.
Pipelines run in LOOPBACK: the workers are threads of the test's own process. Only cross-language tests, Python's with Beam SQL among
them, and what comes through Dataflow's API run in Dataflume's own workers; an expansion service is started by the command. The last section has the
totals with process workers, with several workers, and under stress. A test that is known to fail is in
`tests/conformance/known-failures` with the reason; any other failure fails the run. Seconds include the SDK's own: the Java client
asks for a job's state every 3 s.
";

/// The results of one suite.
#[derive(Debug)]
pub(crate) struct SuiteReport {
    name: &'static str,
    title: String,
    tests: Vec<(TestResult, Verdict, Option<String>)>,
}

impl SuiteReport {
    /// Judges the results by what is known.
    pub(crate) fn new(suite: &dyn Suite, results: Vec<TestResult>, known: &KnownFailures) -> Self {
        let judge = |result: TestResult| {
            let verdict = known.verdict(&result);
            let reason = known.reason(&result.test).map(str::to_owned);
            (result, verdict, reason)
        };
        Self {
            name: suite.name(),
            title: suite.title(),
            tests: results.into_iter().map(judge).collect(),
        }
    }

    /// How many tests got the verdict.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.tests
            .iter()
            .filter(|(_, other, _)| *other == verdict)
            .count()
    }

    /// The names of the tests that failed and that nobody expected to.
    fn unexpected(&self) -> String {
        let unexpected = self
            .tests
            .iter()
            .filter(|(_, verdict, _)| *verdict == Verdict::Unexpected);
        let names: Vec<_> = unexpected
            .map(|(result, ..)| result.test.as_str())
            .collect();
        names.join(", ")
    }

    fn summary(&self) -> String {
        let count = |outcome| {
            self.tests
                .iter()
                .filter(|(result, ..)| result.outcome == outcome)
                .count()
        };
        let without = count(Outcome::NoPipeline);
        let mut summary = format!(
            "{} tests: {} passed, {} failed, {} timed out, {} skipped by the suite itself",
            self.tests.len() - without,
            count(Outcome::Passed),
            count(Outcome::Failed),
            count(Outcome::TimedOut),
            count(Outcome::Skipped)
        );
        if without > 0 {
            let _ = write!(summary, "; {without} more ran no pipeline");
        }
        summary
    }

    /// Prints what a person has to look at.
    pub(crate) fn print(&self) {
        for (result, verdict, _) in &self.tests {
            match verdict {
                Verdict::Unexpected => println!(
                    "\nunexpected failure: {}\n{}",
                    result.test,
                    indented(&result.message)
                ),
                Verdict::Surprise => {
                    println!("\npasses, but is listed as known to fail: {}", result.test)
                }
                Verdict::Fine | Verdict::Known => {}
            }
        }
        println!("\n{}: {}", self.name, self.summary());
        println!(
            "{} of the failures are known, {} are not\n",
            self.count(Verdict::Known),
            self.count(Verdict::Unexpected)
        );
    }

    /// The suite's part of the page.
    fn section(&self) -> String {
        let mut text = format!(
            "## {}\n\n{}.\n\n| test | result | seconds | |\n|---|---|---|---|\n",
            self.title,
            self.summary()
        );
        let rows = self
            .tests
            .iter()
            .filter(|(result, ..)| result.outcome != Outcome::NoPipeline);
        for (result, verdict, reason) in rows {
            let note = match verdict {
                Verdict::Known => reason.clone().unwrap_or_default(),
                Verdict::Unexpected => "not expected".to_owned(),
                Verdict::Surprise => "listed as known to fail".to_owned(),
                Verdict::Fine => String::new(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {:.2} | {note} |",
                result.test,
                result.outcome.word(),
                result.seconds
            );
        }
        text
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

/// The suite's results of the last run in the default setting.
pub(crate) fn read_results(workspace: &Path, suite: &str) -> Result<Vec<TestResult>> {
    let path = workspace.join("target/conformance/results.json");
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut all: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&bytes)?;
    let mut results = all
        .remove(suite)
        .with_context(|| format!("the {suite} suite has not been run"))?;
    let tests = results.get_mut("tests").map(serde_json::Value::take);
    Ok(serde_json::from_value(tests.unwrap_or_default())?)
}

/// Puts the suite's results into `target/conformance/results.json`, beside those of the other suites.
pub(crate) fn write_results(workspace: &Path, report: &SuiteReport) -> Result<()> {
    let path = workspace.join("target/conformance/results.json");
    let mut all: BTreeMap<String, serde_json::Value> = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => BTreeMap::new(),
    };
    let tests: Vec<_> = report.tests.iter().map(|(result, ..)| result).collect();
    all.insert(
        report.name.to_owned(),
        json!({ "title": report.title, "summary": report.summary(), "tests": tests }),
    );
    fs::write(&path, serde_json::to_vec_pretty(&all)?)
        .with_context(|| format!("writing {}", path.display()))
}

/// The section of the runs in other settings than the default. It comes last.
const VARIATIONS: &str = "~settings";

/// Puts the totals of a run in another setting into the page.
pub(crate) fn write_variation(workspace: &Path, report: &SuiteReport, setting: &str) -> Result<()> {
    let path = workspace.join("docs/conformance.md");
    let old = fs::read_to_string(&path).unwrap_or_default();
    let row = format!(
        "| {} | {setting} | {} | {} |",
        report.name,
        report.summary(),
        report.unexpected()
    );
    let page = with_variation(&old, report.name, setting, &row);
    fs::write(&path, page).with_context(|| format!("writing {}", path.display()))
}

/// The page with the row put in or replaced.
fn with_variation(page: &str, name: &str, setting: &str, row: &str) -> String {
    let start = format!("| {name} | {setting} |");
    let old = page
        .split_once(&marker(VARIATIONS))
        .map_or("", |(_, section)| section);
    let old = old.split("<!-- suite: ").next().unwrap_or_default();
    let mut rows: Vec<&str> = old
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| suite |"))
        .filter(|line| !line.starts_with(&start))
        .collect();
    rows.push(row);
    rows.sort_unstable();
    let section = format!("{VARIATIONS_HEADER}{}", rows.join("\n"));
    with_section(page, VARIATIONS, &section)
}

/// Begins the section of other settings.
const VARIATIONS_HEADER: &str = "\
## In other settings

The same suites with other workers and with switches that make it harder (`--workers process`, `--workers docker` with images that
`cargo xtask sdk-image` makes, `--worker-count`, `--max-bundle-elements`, `--fail-every-nth-bundle`). With several workers, Java's
`GroupIntoBatchesTest.testWithShardedKeyInGlobalWindow` passes by luck: it wants no more batches than one shard makes, and shards are
named after the threads that ran the bundles (on the DirectRunner it asks for a parallelism of 1).

| suite | setting | results | failed, but not known to fail |
|---|---|---|---|
";

/// Puts the suite's section into the page; the other suites' sections stay as they are.
pub(crate) fn write_page(workspace: &Path, report: &SuiteReport) -> Result<()> {
    let path = workspace.join("docs/conformance.md");
    let old = fs::read_to_string(&path).unwrap_or_default();
    let page = with_section(&old, report.name, &report.section());
    fs::write(&path, page).with_context(|| format!("writing {}", path.display()))
}

/// Puts the comparison of a suite's times into the page, behind all else.
pub(crate) fn write_timing(workspace: &Path, suite: &str, section: &str) -> Result<()> {
    let path = workspace.join("docs/conformance.md");
    let old = fs::read_to_string(&path).unwrap_or_default();
    let page = with_section(&old, &format!("~time-{suite}"), section);
    fs::write(&path, page).with_context(|| format!("writing {}", path.display()))
}

fn marker(name: &str) -> String {
    format!("<!-- suite: {name} -->")
}

/// The page with the section of the suite put in or replaced. A marker, invisible to a reader, begins each section.
fn with_section(page: &str, name: &str, section: &str) -> String {
    let mut sections = BTreeMap::new();
    for part in page.split("<!-- suite: ").skip(1) {
        if let Some((old_name, text)) = part.split_once(" -->\n") {
            sections.insert(old_name.to_owned(), text.trim_end().to_owned());
        }
    }
    sections.insert(name.to_owned(), section.trim_end().to_owned());
    let mut text = HEADER.to_owned();
    for (name, section) in sections {
        let _ = write!(text, "\n{}\n{section}\n", marker(&name));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let page = with_section("", "python", "## P\n\nold");
        let page = with_section(&page, "go", "## G\n\ngo");
        let page = with_section(&page, "python", "## P\n\nnew");
        assert!(page.starts_with("# Conformance"));
        assert!(page.contains("## G\n\ngo\n"));
        assert!(page.contains("## P\n\nnew\n"));
        assert!(!page.contains("old"));
        assert_eq!(page, with_section(&page, "go", "## G\n\ngo"));
    }

    #[test]
    fn a_variation_replaces_the_one_of_the_same_setting() {
        let page = with_section("", "python", "## P\n\np");
        let page = with_variation(&page, "go", "2 workers", "| go | 2 workers | old | |");
        let page = with_variation(&page, "go", "3 workers", "| go | 3 workers | other | |");
        let page = with_variation(&page, "go", "2 workers", "| go | 2 workers | new | |");
        assert!(page.contains("| new |") && page.contains("| other |") && page.contains("## P"));
        assert!(!page.contains("old"));
        assert!(page.ends_with("| go | 2 workers | new | |\n| go | 3 workers | other | |\n"));
        assert!(with_section(&page, "go", "## G").contains("| new |"));
    }
}
