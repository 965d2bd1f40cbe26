//! Beam's Java suites: the ValidatesRunner and the NeedsRunner tests of the SDK's tests jar, and those of its extensions', Beam
//! SQL's, and its connectors' that run a pipeline.
//!
//! They are started by our own launcher (`tests/conformance/java`) rather than by a build tool's test plug-in, because one test
//! that hangs must cost no other test its result, and because every test is to be run exactly once.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use super::dataflow;
use super::emulator::ExpansionService;
use super::java_project::{JavaProject, runner_options};
use super::suite::{Batch, Suite};
use crate::examples::JAVA_BEAM_VERSION;
use crate::python::{Beam, PYTHON_VARIABLE};
use crate::sdk_images::Sdk;
use crate::workspace::{self, must};

/// Google's clients look here for the project, which tests of connectors want to have one.
const PROJECT_VARIABLE: &str = "GOOGLE_CLOUD_PROJECT";

/// Which of Beam's tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Category {
    /// Those that say whether a runner is one.
    ValidatesRunner,
    /// The same, as Dataflow's own runner submits them.
    Dataflow,
    /// All others of the SDK's core that run a pipeline.
    NeedsRunner,
    /// Those of extensions: joins, Avro, JSON, protocol buffers.
    Extensions,
    /// Those of Beam SQL, which is an extension too, with many more libraries.
    Sql,
    /// Those of connectors: Parquet, Google Cloud, synthetic sources. They bring fakes of their services.
    Io,
}

impl Category {
    /// The suite's name.
    fn suite(self) -> &'static str {
        match self {
            Self::ValidatesRunner => "java",
            Self::Dataflow => "java-dataflow",
            Self::NeedsRunner => "java-needs-runner",
            Self::Extensions => "java-extensions",
            Self::Sql => "java-sql",
            Self::Io => "java-io",
        }
    }

    /// The Maven profile with its class path; none for the core's.
    fn profile(self) -> Option<&'static str> {
        match self {
            Self::ValidatesRunner | Self::NeedsRunner => None,
            Self::Dataflow => Some("dataflow"),
            Self::Extensions => Some("extensions"),
            Self::Sql => Some("sql"),
            Self::Io => Some("io"),
        }
    }

    /// Each class path has a folder of its own.
    fn folder(self) -> &'static str {
        match self {
            Self::ValidatesRunner | Self::NeedsRunner => "java",
            Self::Dataflow | Self::Extensions | Self::Sql | Self::Io => self.suite(),
        }
    }

    /// The launcher's name for it.
    fn launched(self) -> String {
        match self {
            Self::Dataflow => Self::ValidatesRunner.launched(),
            category => format!("{category:?}"),
        }
    }
}

/// The suite, with the launcher that runs it.
#[derive(Debug)]
pub(crate) struct JavaSuite {
    category: Category,
    project: JavaProject,
    /// Started for the first test that needs it.
    expansion: Mutex<Option<ExpansionService>>,
}

impl JavaSuite {
    /// Its files are below the workspace's root.
    pub(crate) fn new(workspace: &Path, category: Category) -> Self {
        Self {
            category,
            project: JavaProject::new(workspace, category.folder(), category.profile()),
            expansion: Mutex::default(),
        }
    }

    /// The port of a service with the Python SDK's test transforms.
    fn expansion_port(&self) -> Result<String> {
        let mut expansion = self
            .expansion
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if expansion.is_none() {
            let python = Beam::ensure()?.python;
            let service = ExpansionService::start(
                workspace::root(),
                &["python", "--module", "test_transforms"].map(OsStr::new),
                &[
                    (PYTHON_VARIABLE, python.as_os_str()),
                    ("PYTHONPATH", self.project.sources.as_os_str()),
                ],
                &self.project.folder.join("expansion.log"),
            )?;
            *expansion = Some(service);
        }
        let port = expansion.as_ref().map(ExpansionService::port);
        Ok(port.unwrap_or_default().to_owned())
    }
}

impl Suite for JavaSuite {
    fn name(&self) -> &'static str {
        self.category.suite()
    }

    fn title(&self) -> String {
        let what = match self.category {
            Category::Extensions => "extensions of Beam",
            Category::Sql => "Beam SQL",
            Category::Io => "connectors of Beam",
            Category::Dataflow => {
                return format!(
                    "Java: ValidatesRunner tests of Beam {JAVA_BEAM_VERSION} through Dataflow's runner"
                );
            }
            category => return format!("Java: {category:?} tests of Beam {JAVA_BEAM_VERSION}"),
        };
        format!("Java: tests of {what} {JAVA_BEAM_VERSION} that run pipelines")
    }

    fn prepare(&self) -> Result<()> {
        self.project.prepare()
    }

    fn list(&self) -> Result<Vec<String>> {
        let category = self.category.launched();
        let list = self.project.folder.join(format!("list-{category}"));
        let log = fs::File::create(self.project.folder.join("list.log"))?;
        must(
            self.project
                .machine()?
                .args(["dataflume.conformance.Launcher", "list"])
                .arg(&list)
                .arg(category)
                .stderr(log),
        )?;
        Ok(fs::read_to_string(&list)?
            .lines()
            .map(str::to_owned)
            .collect())
    }

    fn default_limit_seconds(&self) -> u64 {
        match self.category {
            // The SDK takes a minute to plan some of its pipelines, on a busy machine.
            Category::Sql => 300,
            _ => 90,
        }
    }

    fn sdk_image(&self) -> Option<Sdk> {
        Some(Sdk::Java)
    }

    fn worker_variables(&self) -> Result<Vec<(&'static str, OsString)>> {
        // Cross-language tests are the core's.
        if matches!(
            self.category,
            Category::Extensions | Category::Sql | Category::Io
        ) {
            return Ok(Vec::new());
        }
        Ok(vec![(PYTHON_VARIABLE, Beam::ensure()?.python.into())])
    }

    fn command(&self, batch: &Batch<'_>) -> Result<Command> {
        let mut command = self.project.machine()?;
        let usual = batch.workers.environment_type();
        for (property, environment) in [("usual", usual), ("managed", "DOCKER")] {
            let mut options = match self.category {
                Category::Dataflow => dataflow::java_options(batch.endpoint),
                _ => runner_options(batch, environment),
            };
            if matches!(self.category, Category::Sql | Category::Io) && environment == "LOOPBACK" {
                options.push(self.project.hardly_any_files());
            }
            let options = serde_json::json!(options);
            command.arg(format!("-Ddataflume.options.{property}={options}"));
        }
        if batch.tests.iter().any(|test| test.contains("Xlang")) {
            command.arg(format!("-DexpansionPort={}", self.expansion_port()?));
        }
        match self.category {
            Category::Io => {
                command.env(PROJECT_VARIABLE, dataflow::PROJECT);
            }
            Category::Dataflow => {
                let storage = format!("http://{}/storage/v1/", batch.endpoint);
                command.arg(format!("-Ddataflume.gcs.endpoint={storage}"));
            }
            _ => {}
        }
        command
            .args(["dataflume.conformance.Launcher", "run"])
            .arg(&batch.tests_file)
            .arg(&batch.events_file)
            .arg(batch.limit_seconds.to_string())
            .current_dir(&self.project.folder);
        Ok(command)
    }
}
