//! Beam's Python suites, from the wheel.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use super::dataflow;
use super::emulator::ExpansionService;
use super::suite::{Batch, Suite, target_folder};
use super::wheel;
use crate::examples::BEAM_VERSION;
use crate::python::{Beam, PYTHON_VARIABLE};
use crate::workspace::{self, must};

/// What Beam's tests import that its wheel doesn't ask for.
const TEST_PACKAGES: [&str; 4] = [
    "mock==5.2.0",
    "pyhamcrest==2.1.0",
    "parameterized==0.9.0",
    "tenacity==8.5.0",
];

/// What Beam's dataframes are made of.
const PANDAS: &str = "pandas==2.3.3";

/// What Beam YAML needs besides: the packages of the wheel's extra `yaml`.
const YAML_PACKAGES: [&str; 6] = [
    "docstring-parser==0.18.0",
    "jinja2==3.1.6",
    "jsonschema==4.26.0",
    PANDAS,
    "quickjs-ng==0.17.0.2",
    "virtualenv-clone==0.5.7",
];

/// Which of the wheel's tests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tests {
    /// `PortableRunnerTest`, subclassed in `tests/conformance/python`.
    Portable,
    /// `FnApiRunnerTest`, the same way.
    FnApi,
    /// What is marked as a test for any runner, as it is.
    Marked,
    /// The same, through Dataflow's API.
    Dataflow,
    /// What is marked, and what is not but runs pipelines that any runner can run.
    Pipelines,
    /// Those of Java transforms in Python pipelines, Beam SQL among them.
    CrossLanguage,
    /// Those of Beam YAML that run pipelines.
    Yaml,
}

/// By these names the SDK, and Beam YAML, ask for the service that expands Beam SQL.
const SQL_SERVICES: [&str; 2] = [
    ":sdks:java:extensions:sql:expansion-service:shadowJar",
    "sdks:java:extensions:sql:expansion-service:shadowJar",
];

/// A suite of the wheel's.
#[derive(Debug)]
pub(crate) struct PythonSuite {
    tests: Tests,
    sources: PathBuf,
    folder: PathBuf,
    /// Java's transforms. Started for the first test that needs it.
    expansion: Mutex<Option<ExpansionService>>,
}

impl PythonSuite {
    /// Its files are below the workspace's root.
    pub(crate) fn new(workspace: &Path, tests: Tests) -> Self {
        Self {
            tests,
            sources: workspace.join("tests/conformance/python"),
            folder: target_folder(workspace, "python"),
            expansion: Mutex::default(),
        }
    }

    /// What pytest is to collect.
    fn tests(&self, beam: &Beam) -> Result<Vec<OsString>> {
        Ok(match self.tests {
            Tests::Portable => vec![self.sources.join("endpoint_test.py").into()],
            Tests::FnApi => vec![self.sources.join("fn_runner_endpoint_test.py").into()],
            Tests::Marked | Tests::Dataflow => {
                let mut arguments = vec!["-m".into(), "it_validatesrunner".into()];
                arguments.extend(wheel::files(beam, &wheel::MARKED));
                arguments
            }
            Tests::Pipelines => {
                // As in Beam's own pytest.ini: tests are methods of unittest's classes, whatever else is called so.
                let mut arguments = ["-o", "python_functions=", "-o", "python_classes="]
                    .map(OsString::from)
                    .to_vec();
                arguments.extend(wheel::listed_files(
                    beam,
                    &self.sources.join("pipelines.txt"),
                )?);
                arguments
            }
            Tests::CrossLanguage => wheel::files(beam, &wheel::CROSS_LANGUAGE),
            Tests::Yaml => wheel::files(beam, &wheel::YAML),
        })
    }

    /// Whether some of the tests have Java transforms.
    fn needs_java(&self) -> bool {
        matches!(self.tests, Tests::CrossLanguage | Tests::Yaml)
    }

    /// The Maven project of Java's transforms.
    fn java_project(&self) -> PathBuf {
        self.sources.with_file_name("expansion")
    }

    /// Where that is built.
    fn java_folder(&self) -> PathBuf {
        self.folder.with_file_name("expansion")
    }

    /// Tells the tests where Java's transforms are expanded.
    fn with_java(&self, command: &mut Command) -> Result<()> {
        let mut expansion = self
            .expansion
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if expansion.is_none() {
            let folder = self.java_folder();
            let jars = fs::read_to_string(folder.join("classpath.txt"))?;
            let class_path = format!("{}:{}", folder.join("classes").display(), jars.trim());
            let service = ExpansionService::start(
                workspace::root(),
                &["java", "--class-path", &class_path].map(OsStr::new),
                &[],
                &folder.join("expansion.log"),
            )?;
            *expansion = Some(service);
        }
        if let Some(service) = &*expansion {
            command.env("EXPANSION_PORT", service.port());
            let services = SQL_SERVICES.map(|name| (name, service.endpoint()));
            let services = serde_json::to_string(&BTreeMap::from(services))?;
            command.env("BEAM_SERVICE_OVERRIDES", services);
        }
        Ok(())
    }

    /// For workers of the emulator's own: the tests' code imports the tests' packages.
    fn worker_python(&self) -> Result<PathBuf> {
        let folder = match self.tests {
            Tests::Dataflow => "worker-dataflow",
            _ => "worker",
        };
        let more = [&self.packages(), &self.sources];
        interpreter(
            &self.beam()?,
            &self.folder.join(folder),
            &more.map(PathBuf::as_path),
        )
    }

    /// The environment of the tests, and of the emulator's own workers.
    fn beam(&self) -> Result<Beam> {
        match self.tests {
            // With Google's packages, as Dataflow's images have.
            Tests::Dataflow => Beam::ensure_for_dataflow(),
            _ => Beam::ensure(),
        }
    }

    /// The packages that the tests import.
    fn wanted_packages(&self) -> Vec<&'static str> {
        let mut packages = TEST_PACKAGES.to_vec();
        match self.tests {
            Tests::Yaml => packages.extend(YAML_PACKAGES),
            Tests::Pipelines => packages.push(PANDAS),
            _ => {}
        }
        packages
    }

    /// Where the test packages are: apart, because the environment is also the workers' and shall be as a user's.
    fn packages(&self) -> PathBuf {
        self.folder.join(match self.tests {
            // Those that Beam uses where it finds them shall not be found by other suites.
            Tests::Yaml => "yaml-packages",
            Tests::Pipelines => "pipelines-packages",
            _ => "packages",
        })
    }

    fn pytest(&self) -> Result<Command> {
        let beam = self.beam()?;
        let mut command = Command::new(&beam.python);
        command
            .args([
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-c",
                "/dev/null",
                "-p",
                "conformance_plugin",
                // What is outside the root has no file in its name.
                "--rootdir=/",
            ])
            .args(self.tests(&beam)?)
            .current_dir(&self.folder)
            .env(
                "PYTHONPATH",
                std::env::join_paths([self.sources.clone(), self.packages()])?,
            )
            .env("PYTHONDONTWRITEBYTECODE", "1");
        if matches!(
            self.tests,
            Tests::Marked | Tests::Dataflow | Tests::Pipelines
        ) {
            command.env("CONFORMANCE_COUNT_PIPELINES", "1");
        }
        if self.tests == Tests::Pipelines {
            // Also where tests are listed: it says what they are called.
            command.env("CONFORMANCE_LOCAL_PIPELINES", "1");
        }
        Ok(command)
    }
}

/// An interpreter in the folder, with the SDK's packages and those in more folders.
pub(super) fn interpreter(beam: &Beam, folder: &Path, more: &[&Path]) -> Result<PathBuf> {
    let installed = beam.package.parent().context("a package has a folder")?;
    let version = installed
        .parent()
        .and_then(Path::file_name)
        .context("packages belong to a version of Python")?;
    let paths: String = std::iter::once(&installed)
        .chain(more)
        .map(|path| format!("{}\n", path.display()))
        .collect();
    let packages = folder.join("lib").join(version).join("site-packages");
    let path_file = packages.join("conformance.pth");
    // Another run may be using it.
    if fs::read_to_string(&path_file).is_ok_and(|found| found == paths) {
        return Ok(folder.join("bin/python"));
    }
    must(
        Command::new(&beam.python)
            .args(["-m", "venv", "--without-pip", "--clear"])
            .arg(folder),
    )?;
    fs::write(path_file, paths)?;
    Ok(folder.join("bin/python"))
}

/// Installs packages into a folder, unless they are there.
pub(super) fn install(folder: &Path, packages: &[&str]) -> Result<()> {
    let installed = folder.with_extension("txt");
    let wanted = packages.join("\n");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let mut install = Command::new(Beam::ensure()?.python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--upgrade",
        "--target",
    ]);
    must(install.arg(folder).args(packages))?;
    Ok(fs::write(&installed, wanted)?)
}

impl Suite for PythonSuite {
    fn name(&self) -> &'static str {
        match self.tests {
            Tests::Portable => "python",
            Tests::FnApi => "python-fn-runner",
            Tests::Marked => "python-validates-runner",
            Tests::Dataflow => "python-dataflow",
            Tests::Pipelines => "python-pipelines",
            Tests::CrossLanguage => "python-cross-language",
            Tests::Yaml => "python-yaml",
        }
    }

    fn title(&self) -> String {
        let tests = match self.tests {
            Tests::Portable => "PortableRunnerTest",
            Tests::FnApi => "FnApiRunnerTest and FnApiBasedStateBackedCoderTest",
            Tests::Marked => "tests marked it_validatesrunner",
            Tests::Dataflow => "tests marked it_validatesrunner, through Dataflow's runner,",
            Tests::Pipelines => "tests with pipelines, marked or not,",
            Tests::CrossLanguage => "tests of Java transforms (2.65.0) and Beam SQL",
            Tests::Yaml => "Beam YAML's tests",
        };
        format!("Python: {tests} of apache-beam {BEAM_VERSION}")
    }

    fn prepare(&self) -> Result<()> {
        fs::create_dir_all(&self.folder)?;
        install(&self.packages(), &self.wanted_packages())?;
        if !self.needs_java() {
            return Ok(());
        }
        fs::create_dir_all(self.java_folder())?;
        must(
            Command::new("mvn")
                .args(["--quiet", "--batch-mode", "compile"])
                .arg(format!("-Dbuild.folder={}", self.java_folder().display()))
                .current_dir(self.java_project()),
        )
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

    fn emulator_arguments(&self) -> &'static [&'static str] {
        match self.tests {
            // The test of values that are read page by page has 60 KB of them.
            Tests::FnApi => &["--inline-group-size=0B"],
            Tests::Portable
            | Tests::Marked
            | Tests::Dataflow
            | Tests::Pipelines
            | Tests::CrossLanguage
            | Tests::Yaml => &[],
        }
    }

    fn worker_variables(&self) -> Result<Vec<(&'static str, OsString)>> {
        Ok(vec![(PYTHON_VARIABLE, self.worker_python()?.into())])
    }

    fn command(&self, batch: &Batch<'_>) -> Result<Command> {
        let mut command = self.pytest()?;
        let options = match self.tests {
            Tests::Dataflow => {
                dataflow::lead_clients(&mut command, batch.endpoint);
                dataflow::options("TestDataflowRunner", batch.endpoint)
            }
            _ => vec![
                "--runner=PortableRunner".to_owned(),
                format!("--job_endpoint={}", batch.endpoint),
                format!("--environment_type={}", batch.workers.environment_type()),
            ],
        };
        command
            .env("CONFORMANCE_ENDPOINT", batch.endpoint)
            .env(
                "CONFORMANCE_ENVIRONMENT_TYPE",
                batch.workers.environment_type(),
            )
            .env("CONFORMANCE_OPTIONS", options.join(" "))
            .env("CONFORMANCE_TESTS", &batch.tests_file)
            .env("CONFORMANCE_EVENTS", &batch.events_file)
            .env("CONFORMANCE_LIMIT_SECONDS", batch.limit_seconds.to_string());
        if self.tests == Tests::Yaml {
            command.env("CONFORMANCE_ALL_PIPELINES", "1");
        }
        if self.needs_java() {
            self.with_java(&mut command)?;
        }
        Ok(command)
    }
}
