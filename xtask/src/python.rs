//! The Python SDK that tests and demos use: in a virtual environment of its own, made once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::stage::Counts;
use crate::workspace;

/// Names the interpreters that the emulator may make workers with.
pub(crate) const PYTHON_VARIABLE: &str = "DATAFLUME_PYTHON";

/// The version that the project is tested with.
const BEAM_VERSION: &str = "2.77.0";
const PACKAGES: [&str; 3] = ["apache-beam==2.77.0", "pytest", PIP];

/// Before a job is sent, the SDK has pip list what is installed. The one that comes with Python 3.11 takes twice as long for it, and
/// asks to be updated.
const PIP: &str = "pip==26.3";

/// The same with the clients of Google's services, in an environment of its own: most tests must
/// not depend on them. With `wheel` it builds what a job stages as sources, without any package index.
const PACKAGES_FOR_DATAFLOW: [&str; 4] = ["apache-beam[gcp]==2.77.0", "pytest", "wheel", PIP];

/// Interpreters to make the environment with, best first.
const INTERPRETERS: [&str; 2] = ["python3.11", "python3"];

/// Prints the installed version and the package's folder, without importing the SDK, which takes
/// seconds.
const PROBE: &str = "import importlib.metadata as m, importlib.util as u, os; \
    m.version('pytest'); \
    print('pip==' + m.version('pip')); \
    print(m.version('apache-beam')); \
    print(os.path.dirname(u.find_spec('apache_beam').origin))";

/// An installed Python SDK.
#[derive(Debug, Clone)]
pub(crate) struct Beam {
    /// The interpreter that has it.
    pub(crate) python: PathBuf,
    /// The folder of the package `apache_beam`.
    pub(crate) package: PathBuf,
}

impl Beam {
    /// The SDK, installed if it isn't there yet or is broken.
    pub(crate) fn ensure() -> anyhow::Result<Self> {
        Self::ensure_in("py311", PROBE, &PACKAGES)
    }

    /// The one with which jobs are sent to Dataflow.
    pub(crate) fn ensure_for_dataflow() -> anyhow::Result<Self> {
        let probe =
            format!("{PROBE}; m.version('google-cloud-dataflow-client'); m.version('wheel')");
        Self::ensure_in("py311-gcp", &probe, &PACKAGES_FOR_DATAFLOW)
    }

    fn ensure_in(name: &str, probe: &str, packages: &[&str]) -> anyhow::Result<Self> {
        let folder = workspace::cache()?.join(name);
        let _alone = workspace::lock(&folder)?;
        let python = folder.join("bin/python");
        if let Ok(found) = Self::probe(&python, probe) {
            return Ok(found);
        }
        println!(
            "installing {} into {}",
            packages.join(" and "),
            folder.display()
        );
        make_environment(&folder)?;
        let mut install = Command::new(&python);
        install.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]);
        workspace::must(install.args(packages))?;
        Self::probe(&python, probe).context("the Python SDK was installed but doesn't work")
    }

    fn probe(python: &Path, script: &str) -> anyhow::Result<Self> {
        let output = Command::new(python)
            .args(["-c", script])
            .output()
            .with_context(|| format!("can't run {}", python.display()))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8(output.stdout)?;
        let mut lines = text.lines();
        match (lines.next(), lines.next(), lines.next()) {
            (Some(PIP), Some(BEAM_VERSION), Some(package)) => Ok(Self {
                python: python.to_owned(),
                package: package.into(),
            }),
            (pip, version, _) => {
                bail!(
                    "{PIP} and apache-beam {BEAM_VERSION} are wanted, found {pip:?} and {version:?}"
                )
            }
        }
    }

    /// Tells tests, and emulators that they start, where the SDK is.
    pub(crate) fn set_variables(&self, command: &mut Command) {
        command.env(PYTHON_VARIABLE, &self.python);
        command.env("DATAFLUME_BEAM_WHEEL", &self.package);
    }
}

/// The stage that makes sure of the SDK.
pub(crate) fn check() -> anyhow::Result<Counts> {
    let beam = Beam::ensure()?;
    println!("apache-beam {BEAM_VERSION}: {}", beam.python.display());
    Ok(Counts::check(true))
}

/// Makes a virtual environment, in place of what is there.
pub(crate) fn make_environment(folder: &Path) -> anyhow::Result<()> {
    let mut reasons = Vec::new();
    for interpreter in INTERPRETERS {
        let mut command = Command::new(interpreter);
        command.args(["-m", "venv", "--clear"]).arg(folder);
        match workspace::must(&mut command) {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("{error:#}")),
        }
    }
    bail!(
        "no virtual environment could be made (Python 3.10 to 3.13 with its venv module is \
         needed): {}",
        reasons.join("; ")
    )
}
