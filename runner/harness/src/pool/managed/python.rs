//! Python: a virtual environment for the job, with the staged packages in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use dataflume_proto::pipeline::ArtifactInformation;
use dataflume_proto::urn::roles;

use super::super::launch::lines_of;
use super::super::{PoolError, WorkerSpec, boot, staging};
use super::identify::Sdk;
use super::interpreter::{Interpreter, choose_interpreter};
use super::probes::Probes;
use super::tools::Tool;
use super::venv::VirtualEnvironment;
use super::{Job, Prepared, Runtime, STAGED_FOLDER};

/// Names that the SDK's stager gives.
const REQUIREMENTS: &str = "requirements.txt";
const EXTRA_PACKAGES: &str = "extra_packages.txt";
const WORKFLOW: &str = "workflow.tar.gz";
const SDK_SOURCES: &str = "dataflow_python_sdk.tar";
/// What was installed where the pipeline was submitted. It is there to be compared.
const SUBMISSION_ENVIRONMENT: &str = "submission_environment_dependencies.txt";

pub(super) const HARNESS_MODULE: &str = "apache_beam.runners.worker.sdk_worker_main";

/// What an interpreter would find out by itself, to the same end. `argparse` asks how large the terminal is, and in which language to
/// say things, for each of the SDK's hundreds of options, each time that some of them are read.
const FOUND_OUT: [(&str, &str); 3] = [
    // What is assumed where there is no terminal.
    ("COLUMNS", "80"),
    ("LINES", "24"),
    // That of Beam's images.
    ("LANGUAGE", "C"),
];

/// Variables of interpreters that are workers, or will be.
pub(super) fn interpreter_variables() -> Vec<(String, String)> {
    let said = [
        ("PYTHONUNBUFFERED", "1"),
        // Where it was, if native code ends it.
        ("PYTHONFAULTHANDLER", "1"),
    ];
    let all = said.into_iter().chain(FOUND_OUT);
    all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub(crate) struct Python {
    pub(crate) sdk: Sdk,
}

#[async_trait]
impl Runtime for Python {
    fn starts_without(&self, declared: &[ArtifactInformation]) -> bool {
        let mut names = declared.iter().map(staging::staged_name);
        names.all(|name| name.as_deref() == Some(SUBMISSION_ENVIRONMENT))
    }

    async fn prepare(&self, job: &Job<'_>) -> Result<Prepared, PoolError> {
        let stages_sdk = job
            .staged
            .iter()
            .any(|artifact| is_sdk_wheel(&artifact.name) || artifact.name == SDK_SOURCES);
        let beam_version = match stages_sdk {
            true => None,
            false => self.sdk.beam_version.as_deref(),
        };
        let unknown = Probes::default();
        let probes = match &job.context.warm_pythons {
            Some(warm) => warm.probes(),
            None => &unknown,
        };
        let base = choose_interpreter(
            &job.context.pythons,
            probes,
            self.sdk.language_version.as_deref(),
            beam_version,
            stages_sdk,
        )
        .await?;
        let environment = VirtualEnvironment::create(&job.folder.join("venv"), &base).await?;
        let installer = Installer {
            job,
            base: &base,
            environment: &environment,
        };
        installer.install_staged().await?;
        Ok(Prepared {
            program: environment.python(),
            arguments: vec!["-m".into(), HARNESS_MODULE.into()],
            variables: [
                environment.variables(),
                vec![(
                    "SEMI_PERSISTENT_DIRECTORY".to_owned(),
                    job.folder.display().to_string(),
                )],
            ]
            .concat(),
            // One that has imported another SDK is of no use.
            java: None,
            python: (!stages_sdk).then(|| JobPython {
                staged: job.folder.join(STAGED_FOLDER),
                base,
                environment,
            }),
        })
    }

    fn worker_arguments(&self, _: &WorkerSpec) -> Vec<OsString> {
        Vec::new()
    }

    fn worker_variables(&self, spec: &WorkerSpec) -> Vec<(String, String)> {
        let mut variables = boot::harness_variables(&spec.endpoint, &spec.provision);
        variables.push(("WORKER_ID".to_owned(), spec.worker_id.clone()));
        variables.extend(interpreter_variables());
        variables
    }
}

/// What an interpreter has to know to become a worker of the job.
#[derive(Debug, Clone)]
pub(crate) struct JobPython {
    /// What the environment is layered on.
    pub(crate) base: Interpreter,
    pub(crate) environment: VirtualEnvironment,
    /// The folder with what was staged, which the harness adds to its path.
    pub(crate) staged: PathBuf,
}

/// Installs what was staged, in the order in which Beam's boot program does.
struct Installer<'a> {
    job: &'a Job<'a>,
    base: &'a Interpreter,
    environment: &'a VirtualEnvironment,
}

impl Installer<'_> {
    async fn install_staged(&self) -> Result<(), PoolError> {
        self.install_sdk().await?;
        for artifact in self.job.staged {
            let is_list =
                artifact.name == REQUIREMENTS || artifact.role_urn == roles::PIP_REQUIREMENTS_FILE;
            if is_list {
                self.install_requirements(&artifact.path).await?;
            }
        }
        if let Some(list) = self.find(EXTRA_PACKAGES) {
            let list = tokio::fs::read_to_string(list)
                .await
                .map_err(PoolError::io(list))?;
            for name in list.lines().map(str::trim).filter(|name| !name.is_empty()) {
                self.install_extra_package(name).await?;
            }
        }
        if let Some(workflow) = self.find(WORKFLOW) {
            self.pip(&[workflow.into()], WORKFLOW).await?;
        }
        Ok(())
    }

    /// The SDK itself may be staged (`--sdk_location`): a wheel for this Python, or sources.
    async fn install_sdk(&self) -> Result<(), PoolError> {
        let tag = format!("cp{}{}", self.base.version.0, self.base.version.1);
        let wheel = self
            .job
            .staged
            .iter()
            .find(|artifact| is_sdk_wheel(&artifact.name) && artifact.name.contains(&tag))
            .map(|artifact| artifact.path.as_path());
        let Some(package) = wheel.or_else(|| self.find(SDK_SOURCES)) else {
            return Ok(());
        };
        let force = ["--upgrade", "--force-reinstall", "--no-deps"].map(OsString::from);
        let force = [&force[..], &[package.into()]].concat();
        self.pip(&force, "the staged apache-beam").await?;
        self.pip(&[package.into()], "the staged apache-beam").await
    }

    /// First only from what was staged beside the list, without looking at any index; then
    /// whatever is still missing.
    async fn install_requirements(&self, list: &Path) -> Result<(), PoolError> {
        let arguments = |more: &[&str]| -> Vec<OsString> {
            let mut arguments: Vec<OsString> = vec!["-r".into(), list.into()];
            arguments.extend(more.iter().map(OsString::from));
            arguments.push("--find-links".into());
            arguments.push(self.job.folder.join(STAGED_FOLDER).into());
            arguments
        };
        // Not being able to is no failure: the second round shows whether it matters.
        let offline = arguments(&["--no-index", "--no-deps"]);
        if let Err(error @ PoolError::ShutDown) = self.pip(&offline, REQUIREMENTS).await {
            return Err(error);
        }
        self.pip(&arguments(&[]), REQUIREMENTS).await
    }

    /// An extra package replaces one of the same version; its dependencies don't.
    async fn install_extra_package(&self, name: &str) -> Result<(), PoolError> {
        let Some(package) = self.find(name) else {
            return Err(PoolError::Artifact {
                name: name.to_owned(),
                reason: format!("{EXTRA_PACKAGES} lists it, but it was not staged"),
            });
        };
        let force = ["--upgrade", "--force-reinstall", "--no-deps"].map(OsString::from);
        self.pip(&[&force[..], &[package.into()]].concat(), name)
            .await?;
        self.pip(&[package.into()], name).await
    }

    fn find(&self, name: &str) -> Option<&Path> {
        self.job
            .staged
            .iter()
            .find(|artifact| artifact.name == name)
            .map(|artifact| artifact.path.as_path())
    }

    async fn pip(&self, arguments: &[OsString], what: &str) -> Result<(), PoolError> {
        if !self.base.has_pip {
            return Err(PoolError::MissingTool {
                what: "pip".to_owned(),
                reason: format!(
                    "{} has no pip, and the job stages {what}",
                    self.base.executable.display()
                ),
            });
        }
        let mut all: Vec<OsString> = ["-m", "pip", "install", "--disable-pip-version-check"]
            .map(OsString::from)
            .into();
        let isolated = boot::has_experiment(&self.job.spec.provision, "pip_use_build_isolation");
        if self.base.can_build && !isolated {
            all.push("--no-build-isolation".into());
        }
        all.extend_from_slice(arguments);
        Tool {
            program: &self.environment.python(),
            arguments: all,
            variables: self.pip_variables().await?,
            folder: self.job.folder,
            lines: lines_of(self.job.spec),
        }
        .run(self.job, what)
        .await
    }

    /// Unlike a worker, pip may see how this machine's user reaches package indexes.
    async fn pip_variables(&self) -> Result<Vec<(String, String)>, PoolError> {
        let temporary: PathBuf = self.job.folder.join("tmp");
        tokio::fs::create_dir_all(&temporary)
            .await
            .map_err(PoolError::io(&temporary))?;
        let mut variables = boot::machine_variables();
        variables.extend(std::env::vars().filter(|(name, _)| {
            name.starts_with("PIP_")
                || matches!(name.as_str(), "HOME" | "XDG_CONFIG_HOME" | "XDG_CACHE_HOME")
        }));
        variables.extend(self.environment.variables());
        variables.push(("TMPDIR".to_owned(), temporary.display().to_string()));
        Ok(variables)
    }
}

fn is_sdk_wheel(name: &str) -> bool {
    name.starts_with("apache_beam") && name.ends_with(".whl")
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::ArtifactStagingToRolePayload;
    use prost::Message;

    use super::*;

    #[test]
    fn only_the_list_of_the_submitters_packages_is_not_waited_for() {
        let staged = |name: &str| ArtifactInformation {
            role_urn: roles::STAGING_TO.to_owned(),
            role_payload: ArtifactStagingToRolePayload {
                staged_name: name.to_owned(),
            }
            .encode_to_vec()
            .into(),
            ..Default::default()
        };
        let sdk = Sdk {
            language: super::super::identify::Language::Python,
            language_version: None,
            beam_version: None,
        };
        let python = Python { sdk };
        let list = staged(SUBMISSION_ENVIRONMENT);
        assert!(python.starts_without(&[]));
        assert!(python.starts_without(std::slice::from_ref(&list)));
        for other in [
            staged("pickled_main_session"),
            staged(REQUIREMENTS),
            ArtifactInformation::default(),
        ] {
            assert!(!python.starts_without(&[list.clone(), other]));
        }
    }
}
