//! Beam's Go suites: the SDK module's integration and regression tests, and the tests of its packages that run pipelines; one
//! process for each test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::dataflow;
use super::drain;
use super::go_packages::Tests;
use super::outcome::Outcome;
use super::process::output_of;
use super::setting::Workers;
use super::suite::{Batch, Suite, target_folder};
use crate::examples::{self, BEAM_VERSION};
use crate::sdk_images::Sdk;
use crate::workspace::must;

/// The test whose pipeline ends only when it is drained from outside.
const DRAINED: &str = "TestDrain";

/// The test whose worker runs out of memory, and in a container leaves a profile of its heap where temporary files go. Not in
/// LOOPBACK, where it would take the memory of the test's own process.
const WITHOUT_MEMORY: &str = "TestOomParDo";

/// The suite, with the test programs that are built from the module.
#[derive(Debug)]
pub(crate) struct GoSuite {
    tests: Tests,
    folder: PathBuf,
    module: OnceLock<PathBuf>,
}

impl GoSuite {
    /// It is built below the workspace's target folder.
    pub(crate) fn new(workspace: &Path, tests: Tests) -> Self {
        Self {
            tests,
            folder: target_folder(workspace, tests.name()),
            module: OnceLock::new(),
        }
    }

    /// The folder with the module's sources.
    fn module(&self) -> Result<&Path> {
        if self.module.get().is_none() {
            // Whoever comes second finds the same.
            let _ = self.module.set(examples::beam_go_module()?);
        }
        self.module
            .get()
            .map(PathBuf::as_path)
            .context("the module was not found")
    }

    /// A package's program, by the package's name in those of tests.
    fn program(&self, package: &str) -> PathBuf {
        self.folder
            .join(format!("{}.test", package.replace('/', "-")))
    }
}

impl Suite for GoSuite {
    fn name(&self) -> &'static str {
        self.tests.name()
    }

    fn title(&self) -> String {
        format!("Go: {} of module beam v{BEAM_VERSION}", self.tests.title())
    }

    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let module = self.module()?.to_owned();
        for package in self.tests.packages() {
            must(
                Command::new("go")
                    .args(["test", "-c", "-o"])
                    .arg(self.program(self.tests.name_of(package)))
                    .arg(format!("./go/{}", package.path))
                    .current_dir(&module),
            )?;
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        let mut tests = Vec::new();
        for package in self.tests.packages() {
            let name = self.tests.name_of(package);
            // The programs check their flags before they list.
            let output = output_of(
                Command::new(self.program(name))
                    .args([
                        "-test.list",
                        package.wanted,
                        "--runner=universal",
                        "--endpoint=localhost:1",
                    ])
                    .current_dir(&self.folder),
            )?;
            let wanted = |line: &&str| line.starts_with("Test") || line.starts_with("Example");
            let found = output.lines().filter(wanted);
            tests.extend(found.map(|test| format!("{name}.{test}")));
        }
        Ok(tests)
    }

    fn default_limit_seconds(&self) -> u64 {
        // Until a worker has run out of memory four times.
        240
    }

    fn emulator_arguments(&self) -> &'static [&'static str] {
        // One test is to run out of memory, soon. Workers in the tests' own processes have no such limit.
        &["--worker-memory=400MiB"]
    }

    fn sdk_image(&self) -> Option<Sdk> {
        Some(Sdk::Go)
    }

    fn tests_per_process(&self) -> usize {
        1
    }

    fn command(&self, batch: &Batch<'_>) -> Result<Command> {
        let [test] = batch.tests else {
            bail!("one test a process, not {:?}", batch.tests)
        };
        let (package, name) = test
            .split_once('.')
            .with_context(|| format!("{test} is not PACKAGE.TEST"))?;
        let mut packages = self.tests.packages().iter();
        let found = packages
            .find(|found| self.tests.name_of(found) == package)
            .with_context(|| format!("no package {package}"))?;
        let source = self.module()?.join("go").join(found.path);
        if name == DRAINED && self.tests == Tests::Integration {
            let limit = Duration::from_secs(batch.limit_seconds);
            drain::when_running(batch.endpoint.to_owned(), "go-testdrain", limit);
        }
        let mut command = Command::new(self.program(package));
        if self.tests == Tests::Dataflow {
            dataflow::lead_clients(&mut command, batch.endpoint);
            command.args(dataflow::options("dataflow", batch.endpoint));
        } else {
            command.args(universal_options(batch));
        }
        if batch.workers == Workers::Docker {
            command.env(
                "STORAGE_EMULATOR_HOST",
                format!("http://{}", batch.endpoint),
            );
        }
        if batch.workers == Workers::Docker && name == WITHOUT_MEMORY {
            command.arg(format!("--temp_location={}", dataflow::temporary()));
        }
        command
            .arg(format!("-test.run=^{name}$"))
            .arg("-test.v")
            .arg(format!("-test.timeout={}s", batch.limit_seconds))
            // Not used in LOOPBACK. The program is also a worker of its pipelines.
            .arg(format!(
                "--worker_binary={}",
                self.program(package).display()
            ))
            // Tests find their files from the folder of their sources.
            .current_dir(source);
        Ok(command)
    }

    fn judge(&self, log: &str, success: bool) -> Option<Outcome> {
        Some(match success {
            true if log.contains("--- SKIP: ") => Outcome::Skipped,
            true if log.contains("--- PASS: ") => Outcome::Passed,
            false if log.contains("panic: test timed out") => Outcome::TimedOut,
            _ => Outcome::Failed,
        })
    }
}

/// The options by which Beam's runner for any job service runs pipelines at the batch's endpoint.
fn universal_options(batch: &Batch<'_>) -> Vec<String> {
    let mut options = vec![
        "--runner=universal".to_owned(),
        format!("--endpoint={}", batch.endpoint),
        format!("--environment_type={}", batch.workers.environment_type()),
    ];
    if batch.workers == Workers::Docker {
        options.push(format!("--environment_config={}", Sdk::Go.image()));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_no_test_did_not_pass() {
        let suite = GoSuite::new(Path::new("/nowhere"), Tests::Integration);
        for (output, success, expected) in [
            ("--- PASS: TestX (0.1s)\nPASS", true, Outcome::Passed),
            ("--- SKIP: TestX (0.1s)\nPASS", true, Outcome::Skipped),
            (
                "testing: warning: no tests to run\nPASS",
                true,
                Outcome::Failed,
            ),
            ("--- FAIL: TestX (0.1s)", false, Outcome::Failed),
            ("panic: test timed out after 1m0s", false, Outcome::TimedOut),
        ] {
            assert_eq!(suite.judge(output, success), Some(expected), "{output}");
        }
    }
}
