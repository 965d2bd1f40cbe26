//! Nexmark: Beam's benchmark of streaming systems, an auction's events and queries on them. A query with a model says itself
//! whether its results are right.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use super::java_project::{JavaProject, runner_options};
use super::outcome::Outcome;
use super::setting::Workers;
use super::suite::{Batch, Suite};
use crate::sdk_images::Sdk;

/// The newest version of the benchmark that is published with one of [the SDK's](crate::examples::JAVA_BEAM_VERSION) time. It
/// has a class path of its own.
const VERSION: &str = "2.60.0";

/// The class that runs a query.
const MAIN: &str = "org.apache.beam.sdk.nexmark.Main";

/// Those that have a model.
const QUERIES: [u32; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14];

/// So many that every query finds something.
const EVENTS: u64 = 10_000;

/// How a row of the benchmark's table begins: the number of the configuration.
const ROW: &str = "  0000  ";

/// The class path.
pub(crate) fn project(workspace: &Path) -> JavaProject {
    JavaProject::new(workspace, "java-nexmark", Some("nexmark"))
}

/// Runs a query on so many events, on a runner that is yet to be named.
pub(crate) fn command(
    project: &JavaProject,
    query: &str,
    streaming: bool,
    events: u64,
) -> Result<Command> {
    let mut command = project.machine()?;
    command
        .arg(MAIN)
        .args(["--manageResources=false", "--monitorJobs=true"])
        .arg(format!("--query={query}"))
        .arg(format!("--streaming={streaming}"))
        .arg(format!("--numEvents={events}"));
    Ok(command)
}

/// The suite.
#[derive(Debug)]
pub(crate) struct NexmarkSuite(JavaProject);

impl NexmarkSuite {
    /// Its files are below the workspace's root.
    pub(crate) fn new(workspace: &Path) -> Self {
        Self(project(workspace))
    }
}

impl Suite for NexmarkSuite {
    fn name(&self) -> &'static str {
        "java-nexmark"
    }

    fn title(&self) -> String {
        format!("Java: queries of Nexmark {VERSION} that have a model, {EVENTS} events")
    }

    fn prepare(&self) -> Result<()> {
        self.0.prepare()
    }

    fn list(&self) -> Result<Vec<String>> {
        let modes = ["batch", "streaming"];
        let queries = QUERIES.iter();
        Ok(queries
            .flat_map(|query| modes.map(|mode| format!("Query{query}.{mode}")))
            .collect())
    }

    fn default_limit_seconds(&self) -> u64 {
        120
    }

    fn tests_per_process(&self) -> usize {
        1
    }

    fn sdk_image(&self) -> Option<Sdk> {
        Some(Sdk::Java)
    }

    fn command(&self, batch: &Batch<'_>) -> Result<Command> {
        let test = batch.tests.first().map(String::as_str).unwrap_or_default();
        let query = test.strip_prefix("Query");
        let Some((query, mode)) = query.and_then(|query| query.split_once('.')) else {
            bail!("Nexmark has no query {test:?}");
        };
        let mut command = command(&self.0, query, mode == "streaming", EVENTS)?;
        command
            .args(runner_options(batch, batch.workers.environment_type()))
            .arg("--assertCorrectness=true")
            // The models have one.
            .arg("--numEventGenerators=1");
        if batch.workers == Workers::Loopback {
            command.arg(self.0.hardly_any_files());
        }
        command.current_dir(&self.0.folder);
        Ok(command)
    }

    /// The program ends well, too, when it did not run a query.
    fn judge(&self, log: &str, success: bool) -> Option<Outcome> {
        let has_results = log.lines().any(|line| seconds(line).is_some());
        Some(match success && has_results {
            true => Outcome::Passed,
            false => Outcome::Failed,
        })
    }
}

/// How long the query took from the first event to the last result, if this is the row of the benchmark's table that says so and
/// it found something: behind the seconds are the events in each of them, and how many results there were.
pub(crate) fn seconds(line: &str) -> Option<f64> {
    let mut columns = line.strip_prefix(ROW)?.split_whitespace();
    let seconds = columns.next()?.parse().ok()?;
    let _events_per_second: f64 = columns.next()?.parse().ok()?;
    let results: u64 = columns.next()?.parse().ok()?;
    (results > 0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_was_not_run_or_found_nothing_did_not_pass() {
        let suite = NexmarkSuite::new(Path::new("/nowhere"));
        let right = "  Conf  Runtime(sec)    (Baseline)  Events(/sec)    (Baseline)       Results    (Baseline)\n  \
                     0000           1.4                        7062.1                         376              ";
        for (output, success, expected) in [
            (right, true, Outcome::Passed),
            (right, false, Outcome::Failed),
            (
                "  0000  query:HIGHEST_BID; numEvents:2000",
                true,
                Outcome::Failed,
            ),
            ("  0000  *** not run ***", true, Outcome::Failed),
            (
                "  0000           1.4                        7062.1                           0",
                true,
                Outcome::Failed,
            ),
            ("", true, Outcome::Failed),
        ] {
            assert_eq!(suite.judge(output, success), Some(expected), "{output}");
        }
    }
}
