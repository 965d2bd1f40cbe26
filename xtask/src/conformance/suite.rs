//! What a suite of one SDK has to offer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::outcome::Outcome;
use super::setting::Workers;
use crate::sdk_images::Sdk;

/// Beam's tests for one SDK.
pub(crate) trait Suite: Sync {
    /// The short name: `python`, `java`, `go`.
    fn name(&self) -> &'static str;

    /// What runs, with its version.
    fn title(&self) -> String;

    /// Installs and builds what the tests need. Quick if all is there already.
    fn prepare(&self) -> Result<()>;

    /// The names of all tests.
    fn list(&self) -> Result<Vec<String>>;

    /// How long a test may take if the user doesn't say.
    fn default_limit_seconds(&self) -> u64;

    /// How many tests a process runs before the next is started. A process that runs one test needs no restart after a hang.
    fn tests_per_process(&self) -> usize {
        usize::MAX
    }

    /// How the emulator is started, beside what the setting says.
    fn emulator_arguments(&self) -> &'static [&'static str] {
        &[]
    }

    /// The SDK whose image has all that the tests' code needs, if there is one.
    fn sdk_image(&self) -> Option<Sdk> {
        None
    }

    /// Variables for the emulator, by which workers that it makes itself find what the tests' code needs.
    fn worker_variables(&self) -> Result<Vec<(&'static str, OsString)>> {
        Ok(Vec::new())
    }

    /// The command that runs the tests of a batch and tells about them (see [`crate::conformance::outcome::Event`]).
    fn command(&self, batch: &Batch<'_>) -> Result<Command>;

    /// For a suite whose command writes no events: what the end of the process says about the batch's only test.
    fn judge(&self, _log: &str, _success: bool) -> Option<Outcome> {
        None
    }
}

/// Tests that one process runs.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    /// The names of the tests.
    pub(crate) tests: &'a [String],
    /// A file with these names, one a line.
    pub(crate) tests_file: PathBuf,
    /// The file that the process appends its events to.
    pub(crate) events_file: PathBuf,
    /// The job endpoint, HOST:PORT.
    pub(crate) endpoint: &'a str,
    /// What the tests' code is to run in.
    pub(crate) workers: Workers,
    /// Seconds that one test may take.
    pub(crate) limit_seconds: u64,
}

/// The folder for what is built and written for the suite.
pub(crate) fn target_folder(workspace: &Path, suite: &str) -> PathBuf {
    workspace.join("target/conformance").join(suite)
}
