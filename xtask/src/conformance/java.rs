//! Beam's Java suite: the ValidatesRunner tests of the SDK's tests jar.
//!
//! They are started by our own launcher (`tests/conformance/java`) rather than by a build tool's test plug-in, because one test
//! that hangs must cost no other test its result, and because every test is to be run exactly once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::suite::{Batch, Suite, target_folder};
use crate::examples::JAVA_BEAM_VERSION;
use crate::workspace::must;

/// Packages whose private parts Beam's tests and the harness look into.
const OPENED: [&str; 4] = ["java.lang", "java.util", "java.nio", "sun.nio.ch"];

/// The suite, with the launcher that runs it.
#[derive(Debug)]
pub(crate) struct JavaSuite {
    project: PathBuf,
    folder: PathBuf,
}

impl JavaSuite {
    /// Its files are below the workspace's root.
    pub(crate) fn new(workspace: &Path) -> Self {
        Self {
            project: workspace.join("tests/conformance/java"),
            folder: target_folder(workspace, "java"),
        }
    }

    fn launcher(&self) -> Result<Command> {
        let class_path = self.folder.join("classpath.txt");
        let jars = fs::read_to_string(&class_path)
            .with_context(|| format!("reading {}", class_path.display()))?;
        let mut command = Command::new("java");
        for package in OPENED {
            command.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
        }
        command.arg("-cp").arg(format!(
            "{}:{}",
            self.folder.join("classes").display(),
            jars.trim()
        ));
        Ok(command)
    }
}

impl Suite for JavaSuite {
    fn name(&self) -> &'static str {
        "java"
    }

    fn title(&self) -> String {
        format!("Java: ValidatesRunner tests of Beam {JAVA_BEAM_VERSION}")
    }

    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        must(
            Command::new("mvn")
                .args(["--quiet", "--batch-mode", "compile"])
                .arg(format!("-Dbuild.folder={}", self.folder.display()))
                .current_dir(&self.project),
        )
    }

    fn list(&self) -> Result<Vec<String>> {
        let list = self.folder.join("list");
        let log = fs::File::create(self.folder.join("list.log"))?;
        must(
            self.launcher()?
                .args(["dataflume.conformance.Launcher", "list"])
                .arg(&list)
                .stderr(log),
        )?;
        Ok(fs::read_to_string(&list)?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    fn default_limit_seconds(&self) -> u64 {
        90
    }

    fn command(&self, batch: &Batch<'_>) -> Result<Command> {
        let options = serde_json::json!([
            "--runner=TestUniversalRunner",
            format!("--jobEndpoint={}", batch.endpoint),
            "--defaultEnvironmentType=LOOPBACK",
            "--environmentCacheMillis=10000",
            "--experiments=beam_fn_api",
        ]);
        let mut command = self.launcher()?;
        command
            .arg(format!("-DbeamTestPipelineOptions={options}"))
            .args(["dataflume.conformance.Launcher", "run"])
            .arg(&batch.tests_file)
            .arg(&batch.events_file)
            .arg(batch.limit_seconds.to_string())
            .current_dir(&self.folder);
        Ok(command)
    }
}
