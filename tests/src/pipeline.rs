//! Pipelines of every SDK, as their users start them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;

use crate::prepared::workspace;
use crate::{Finished, Prepared, expect, run_within};

/// How long a pipeline may take.
const LIMIT: Duration = Duration::from_secs(120);

/// A Beam SDK.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sdk {
    /// The Python SDK.
    Python,
    /// The Java SDK.
    Java,
    /// The Go SDK.
    Go,
}

/// Where the pipeline's code runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Environment {
    /// In the submitting process.
    Loopback,
    /// In processes that the user's own command starts.
    Process,
    /// In what the emulator makes of the SDK's default container image.
    DefaultImage,
    /// In containers of this image.
    Docker(String),
    /// In workers of the worker pool that listens there.
    External(String),
}

/// A pipeline to run, with a folder for what it writes.
#[derive(Debug)]
pub struct Pipeline {
    sdk: Sdk,
    command: Command,
    folder: TempDir,
}

/// Python, about to be given a program and its arguments.
fn python_command() -> Command {
    let mut command = Command::new(&Prepared::get().python);
    command.arg(workspace().join("tests/pipelines/run.py"));
    command
}

impl Pipeline {
    /// The example of this name, reading the input.
    ///
    /// # Errors
    /// If a folder for its output could not be made.
    pub fn example(sdk: Sdk, name: &str, input: &Path) -> Result<Self> {
        let prepared = Prepared::get();
        let mut command = match sdk {
            Sdk::Python => {
                return Self::python(
                    &workspace().join(format!("examples/python/{name}.py")),
                    input,
                );
            }
            Sdk::Java => {
                let class = match name {
                    "wordcount" => "WordCount",
                    "wordfiles" => "WordFiles",
                    _ => "Weather",
                };
                let mut command = Command::new("java");
                command
                    .args(["-cp", &prepared.java_class_path])
                    .arg(format!("dataflume.examples.{class}"));
                command
            }
            Sdk::Go => Command::new(prepared.go_programs.join(name)),
        };
        let folder = tempfile::tempdir()?;
        command.arg(format!("--input={}", input.display()));
        command.arg(format!(
            "--output={}",
            folder.path().join("output").display()
        ));
        Ok(Self {
            sdk,
            command,
            folder,
        })
    }

    /// The Python program, reading the input.
    ///
    /// # Errors
    /// If a folder for its output could not be made.
    pub fn python(program: &Path, input: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = python_command();
        command.arg(program);
        command.arg(format!("--input={}", input.display()));
        command.arg(format!(
            "--output={}",
            folder.path().join("output").display()
        ));
        Ok(Self {
            sdk: Sdk::Python,
            command,
            folder,
        })
    }

    /// The Python program in `tests/pipelines`, which is given no input and no output.
    ///
    /// # Errors
    /// If a folder for it could not be made.
    pub fn of_tests(name: &str) -> Result<Self> {
        let mut command = python_command();
        command.arg(
            workspace()
                .join("tests/pipelines")
                .join(format!("{name}.py")),
        );
        Ok(Self {
            sdk: Sdk::Python,
            command,
            folder: tempfile::tempdir()?,
        })
    }

    /// Where it writes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds a variable to the environment of the submitting process.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The command, pointed at the endpoint.
    fn pointed(&mut self, endpoint: &str, environment: &Environment) -> Result<&mut Command> {
        let (runner, job_endpoint, type_flag, config_flag) = match self.sdk {
            Sdk::Python => (
                "PortableRunner",
                "job_endpoint",
                "environment_type",
                "environment_config",
            ),
            Sdk::Java => (
                "PortableRunner",
                "jobEndpoint",
                "defaultEnvironmentType",
                "defaultEnvironmentConfig",
            ),
            Sdk::Go => (
                "universal",
                "endpoint",
                "environment_type",
                "environment_config",
            ),
        };
        let (kind, config) = match environment {
            Environment::Loopback => ("LOOPBACK", None),
            Environment::Process => {
                let command = self.boot_command()?;
                (
                    "PROCESS",
                    Some(serde_json::json!({ "command": command }).to_string()),
                )
            }
            Environment::DefaultImage => ("DOCKER", None),
            Environment::Docker(image) => ("DOCKER", Some(image.clone())),
            Environment::External(endpoint) => ("EXTERNAL", Some(endpoint.clone())),
        };
        let program = PathBuf::from(self.command.get_program());
        self.command.args([
            format!("--runner={runner}"),
            format!("--{job_endpoint}={endpoint}"),
            format!("--{type_flag}={kind}"),
        ]);
        if let Some(config) = config {
            self.command.arg(format!("--{config_flag}={config}"));
        }
        match self.sdk {
            // Otherwise the program would be built again for each job.
            Sdk::Go => self
                .command
                .arg(format!("--worker_binary={}", program.display())),
            // The agent is in Beam's images only.
            Sdk::Java => self.command.arg("--experiments=disable_jamm_agent"),
            Sdk::Python => &mut self.command,
        };
        Ok(&mut self.command)
    }

    /// A program that starts a worker the way Beam's images do, with its files in the pipeline's folder.
    ///
    /// # Errors
    /// If it could not be written.
    pub fn boot_command(&self) -> Result<PathBuf> {
        let prepared = Prepared::get();
        let name = format!("{:?}", self.sdk).to_lowercase();
        let boot = prepared.boot_programs.join(&name);
        let python = prepared.python.parent().unwrap_or(Path::new("/"));
        let scratch = self.folder.path().join("worker");
        let wrapper = self.folder.path().join("boot.sh");
        // The boot program writes into its current folder, and wants a folder of its own for each worker.
        let script = format!(
            "#!/bin/sh\n\
             mkdir -p '{scratch}'/$$ && cd '{scratch}'/$$ || exit 1\n\
             export PATH='{python}':\"$PATH\" RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1\n\
             exec '{boot}' --semi_persist_dir='{scratch}'/$$ \"$@\"\n",
            scratch = scratch.display(),
            python = python.display(),
            boot = boot.display(),
        );
        fs::write(&wrapper, script)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
        Ok(wrapper)
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// If it could not be started or took too long.
    pub fn run(mut self, endpoint: &str, environment: &Environment) -> Result<Ran> {
        let finished = run_within(self.pointed(endpoint, environment)?, LIMIT)?;
        Ok(Ran {
            finished,
            folder: self.folder,
        })
    }
}

/// A pipeline that has ended.
#[derive(Debug)]
pub struct Ran {
    /// How the submitting process ended.
    pub finished: Finished,
    folder: TempDir,
}

impl Ran {
    /// Fails unless the pipeline succeeded and wrote exactly these lines, in any order.
    ///
    /// # Errors
    /// Says what is wrong, with what the submitting process wrote.
    pub fn check(&self, expected: &[String]) -> Result<()> {
        ensure!(
            self.finished.success,
            "the pipeline failed:\n{}",
            self.finished.output
        );
        let found = expect::lines_of(&self.folder.path().join("output"))?;
        ensure!(
            !expected.is_empty(),
            "nothing is expected: that proves nothing"
        );
        let missing: Vec<_> = expected
            .iter()
            .filter(|line| found.binary_search(line).is_err())
            .take(5)
            .collect();
        let extra: Vec<_> = found
            .iter()
            .filter(|line| expected.binary_search(line).is_err())
            .take(5)
            .collect();
        ensure!(
            found == expected,
            "{} lines instead of {}; missing {missing:?}, too many {extra:?}\n{}",
            found.len(),
            expected.len(),
            self.finished.output
        );
        Ok(())
    }
}
