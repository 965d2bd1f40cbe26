//! Beam's Python suite: `PortableRunnerTest`, from the wheel.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::suite::{Batch, Suite, target_folder};
use crate::examples::BEAM_VERSION;
use crate::python::Beam;
use crate::workspace::must;

/// What Beam's tests import that its wheel doesn't ask for.
const TEST_PACKAGES: [&str; 3] = [
    "pyhamcrest==2.1.0",
    "parameterized==0.9.0",
    "tenacity==8.5.0",
];

/// The suite, subclassed in `tests/conformance/python`.
#[derive(Debug)]
pub(crate) struct PythonSuite {
    sources: PathBuf,
    folder: PathBuf,
}

impl PythonSuite {
    /// Its files are below the workspace's root.
    pub(crate) fn new(workspace: &Path) -> Self {
        Self {
            sources: workspace.join("tests/conformance/python"),
            folder: target_folder(workspace, "python"),
        }
    }

    /// Where the test packages are: apart, because the environment is also the workers' and shall be as a user's.
    fn packages(&self) -> PathBuf {
        self.folder.join("packages")
    }

    fn pytest(&self) -> Result<Command> {
        let mut command = Command::new(Beam::ensure()?.python);
        command
            .args([
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-c",
                "/dev/null",
                "--rootdir",
            ])
            .arg(&self.sources)
            .arg(self.sources.join("endpoint_test.py"))
            .current_dir(&self.folder)
            .env("PYTHONPATH", self.packages())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Ok(command)
    }
}

impl Suite for PythonSuite {
    fn name(&self) -> &'static str {
        "python"
    }

    fn title(&self) -> String {
        format!("Python: PortableRunnerTest of apache-beam {BEAM_VERSION}")
    }

    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        let python = Beam::ensure()?.python;
        let installed = self.folder.join("packages.txt");
        let wanted = TEST_PACKAGES.join("\n");
        if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        let mut install = Command::new(python);
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--upgrade",
            "--target",
        ]);
        must(install.arg(self.packages()).args(TEST_PACKAGES))?;
        Ok(fs::write(&installed, wanted)?)
    }

    fn list(&self) -> Result<Vec<String>> {
        let list = self.folder.join("list");
        // pytest's exit code 5 says that nothing ran, which is right here; whether it worked, the file shows.
        let output = self.pytest()?.env("CONFORMANCE_LIST", &list).output()?;
        let names = fs::read_to_string(&list).with_context(|| {
            format!(
                "pytest listed no tests:\n{}",
                String::from_utf8_lossy(&output.stdout)
            )
        })?;
        fs::remove_file(&list)?;
        ensure!(
            !names.is_empty(),
            "pytest found no tests:\n{}",
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(names.lines().map(str::to_owned).collect())
    }

    fn default_limit_seconds(&self) -> u64 {
        60
    }

    fn command(&self, batch: &Batch<'_>) -> Result<Command> {
        let mut command = self.pytest()?;
        command
            .env("CONFORMANCE_ENDPOINT", batch.endpoint)
            .env("CONFORMANCE_TESTS", &batch.tests_file)
            .env("CONFORMANCE_EVENTS", &batch.events_file)
            .env("CONFORMANCE_LIMIT_SECONDS", batch.limit_seconds.to_string());
        Ok(command)
    }
}
