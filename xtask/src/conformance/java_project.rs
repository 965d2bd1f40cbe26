//! The Maven project with the class paths of what runs in Java, one for each profile.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::setting::Workers;
use super::suite::{Batch, target_folder};
use crate::sdk_images::Sdk;
use crate::workspace::must;

/// Packages whose private parts Beam's tests and the harness look into.
const OPENED: [&str; 4] = ["java.lang", "java.util", "java.nio", "sun.nio.ch"];

/// One class path of the project.
#[derive(Debug)]
pub(crate) struct JavaProject {
    /// Where the sources are.
    pub(super) sources: PathBuf,
    /// For all that is built and written.
    pub(super) folder: PathBuf,
    profile: Option<&'static str>,
}

impl JavaProject {
    /// The class path of the profile, in a folder of its own below the workspace's root.
    pub(crate) fn new(workspace: &Path, folder: &str, profile: Option<&'static str>) -> Self {
        Self {
            sources: workspace.join("tests/conformance/java"),
            folder: target_folder(workspace, folder),
            profile,
        }
    }

    /// Gets the jars, and compiles the launcher.
    pub(crate) fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        must(
            Command::new("mvn")
                .args(["--quiet", "--batch-mode", "compile"])
                .args(self.profile.map(|profile| format!("-P{profile}")))
                .arg(format!("-Dbuild.folder={}", self.folder.display()))
                .current_dir(&self.sources),
        )
    }

    /// A virtual machine with the class path, to be told what to run.
    pub(crate) fn machine(&self) -> Result<Command> {
        let class_path = self.folder.join("classpath.txt");
        let jars = fs::read_to_string(&class_path)
            .with_context(|| format!("reading {}", class_path.display()))?;
        let mut command = Command::new("java");
        for package in OPENED {
            command.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
        }
        command
            .arg("-cp")
            .arg(format!("{}:{}", self.classes().display(), jars.trim()));
        Ok(command)
    }

    /// The option by which next to nothing is staged: for workers that take nothing of it, all these jars would be hashed for each
    /// pipeline.
    pub(super) fn hardly_any_files(&self) -> String {
        format!("--filesToStage={}", self.classes().display())
    }

    /// Where the launcher's classes are.
    fn classes(&self) -> PathBuf {
        self.folder.join("classes")
    }
}

/// The options by which pipelines run at the batch's endpoint, in an environment of this type.
pub(super) fn runner_options(batch: &Batch<'_>, environment: &str) -> Vec<String> {
    let mut options = vec![
        "--runner=TestUniversalRunner".to_owned(),
        format!("--jobEndpoint={}", batch.endpoint),
        format!("--defaultEnvironmentType={environment}"),
        "--experiments=beam_fn_api".to_owned(),
        "--environmentCacheMillis=10000".to_owned(),
    ];
    if batch.workers == Workers::Docker {
        options.push(format!("--defaultEnvironmentConfig={}", Sdk::Java.image()));
    }
    options
}
