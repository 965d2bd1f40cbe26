//! Beam's TypeScript suite: the tests of the npm package that run pipelines.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::json;

use super::python;
use super::setting::Workers;
use super::suite::{Batch, Suite, target_folder};
use crate::python::{Beam, PYTHON_VARIABLE};
use crate::workspace::must;

/// The newest version of the npm package.
const VERSION: &str = "2.49.0";

/// What the Python transforms of cross-language tests import that Beam's wheel doesn't ask for.
const PYTHON_PACKAGES: [&str; 2] = ["pandas==2.2.3", "python-dateutil==2.9.0.post0"];

/// The SDK starts services of these names itself, unless this variable says where they are.
const SERVICES: &str = "BEAM_SERVICE_OVERRIDES";
const JOB_SERVICE: &str = "python:apache_beam.runners.portability.local_job_service_main";
const OTHER_PYTHON_SERVICES: &str = "python:*";

/// The suite, with the program that runs it.
#[derive(Debug)]
pub(crate) struct TypeScriptSuite {
    sources: PathBuf,
    folder: PathBuf,
}

impl TypeScriptSuite {
    /// Its files are below the workspace's root.
    pub(crate) fn new(workspace: &Path) -> Self {
        Self {
            sources: workspace.join("tests/conformance/typescript"),
            folder: target_folder(workspace, "typescript"),
        }
    }

    fn python_packages(&self) -> PathBuf {
        self.folder.join("packages")
    }

    /// For the SDK's expansion services, and for workers of what they expand.
    fn python(&self) -> Result<PathBuf> {
        python::interpreter(
            &Beam::ensure()?,
            &self.folder.join("worker"),
            &[&self.python_packages()],
        )
    }

    fn program(&self, endpoint: &str) -> Result<Command> {
        let services = json!({ JOB_SERVICE: endpoint, OTHER_PYTHON_SERVICES: self.python()? });
        let mut command = Command::new("node");
        command
            .arg("run.js")
            .current_dir(&self.folder)
            .env(SERVICES, services.to_string());
        Ok(command)
    }
}

impl Suite for TypeScriptSuite {
    fn name(&self) -> &'static str {
        "typescript"
    }

    fn title(&self) -> String {
        format!("TypeScript: tests of npm package apache-beam {VERSION} that run pipelines")
    }

    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        fs::copy(self.sources.join("run.js"), self.folder.join("run.js"))?;
        python::install(&self.python_packages(), &PYTHON_PACKAGES)?;

        let wanted = fs::read(self.sources.join("package-lock.json"))?;
        let lock = self.folder.join("package-lock.json");
        let is_installed = self.folder.join("node_modules").is_dir();
        if is_installed && fs::read(&lock).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        fs::copy(
            self.sources.join("package.json"),
            self.folder.join("package.json"),
        )?;
        fs::write(&lock, wanted)?;
        must(
            Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&self.folder),
        )
    }

    fn list(&self) -> Result<Vec<String>> {
        let list = self.folder.join("list");
        must(self.program("localhost:1")?.arg("list").arg(&list))?;
        Ok(fs::read_to_string(&list)?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    fn default_limit_seconds(&self) -> u64 {
        60
    }

    fn worker_variables(&self) -> Result<Vec<(&'static str, OsString)>> {
        Ok(vec![(PYTHON_VARIABLE, self.python()?.into())])
    }

    fn command(&self, batch: &Batch<'_>) -> Result<Command> {
        ensure!(
            batch.workers == Workers::Loopback,
            "the TypeScript SDK has no workers but those of LOOPBACK here"
        );
        let mut command = self.program(batch.endpoint)?;
        command
            .arg("run")
            .arg(&batch.tests_file)
            .arg(&batch.events_file)
            .arg(batch.limit_seconds.to_string());
        Ok(command)
    }
}
