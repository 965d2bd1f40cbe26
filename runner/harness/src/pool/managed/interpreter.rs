//! Choosing the Python interpreter that a job's workers are layered on.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::super::{PoolError, boot};
use super::probes::Probes;
use super::tools::find_program;

/// Names the interpreters to use, as a list like `PATH`.
const PYTHON_VARIABLE: &str = "DATAFLUME_PYTHON";

/// An interpreter that doesn't answer within this time is broken.
const PROBE_LIMIT: Duration = Duration::from_secs(60);

/// Prints what has to be known of an interpreter, without importing Beam, which takes seconds.
const PROBE: &str = r"
import importlib.metadata as metadata, importlib.util as util, json, os, sys
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
print(json.dumps({
    'version': sys.version_info[:2],
    'executable': os.path.realpath(getattr(sys, '_base_executable', None) or sys.executable),
    'packages': [p for p in sys.path if os.path.basename(p) in ('site-packages', 'dist-packages')],
    'beam': version('apache-beam'),
    'beam_file': getattr(util.find_spec('apache_beam'), 'origin', None),
    'has_pip': util.find_spec('pip') is not None,
    'setuptools': version('setuptools'),
    'has_wheel': util.find_spec('wheel') is not None,
}))
";

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Probed {
    version: (u32, u32),
    pub(super) executable: PathBuf,
    pub(super) packages: Vec<PathBuf>,
    beam: Option<String>,
    beam_file: Option<PathBuf>,
    has_pip: bool,
    setuptools: Option<String>,
    has_wheel: bool,
}

/// A Python interpreter that can run a job's workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// Major and minor version.
    pub(crate) version: (u32, u32),
    /// The installation's own executable, even where the interpreter is a virtual environment's.
    pub(crate) executable: PathBuf,
    /// The folders with its packages.
    pub(crate) packages: Vec<PathBuf>,
    pub(crate) has_pip: bool,
    /// Whether packages can be built with what it has, rather than with freshly fetched tools.
    pub(crate) can_build: bool,
    /// Whether apache-beam is installed like any package. Otherwise it may be somebody's working copy, which
    /// changes without this being noticed.
    pub(crate) has_installed_beam: bool,
}

/// The first interpreter that has the right Python and Beam.
pub(crate) async fn choose_interpreter(
    configured: &[PathBuf],
    probes: &Probes,
    python_version: Option<&str>,
    beam_version: Option<&str>,
    stages_sdk: bool,
) -> Result<Interpreter, PoolError> {
    let mut reasons = Vec::new();
    for candidate in candidates(configured, python_version) {
        let checked = match find_program(&candidate) {
            None => Err("not found".to_owned()),
            Some(program) => probes
                .of(&program)
                .await
                .and_then(|probed| check(probed, python_version, beam_version, stages_sdk)),
        };
        match checked {
            Ok(interpreter) => return Ok(interpreter),
            Err(reason) => reasons.push(format!("{}: {reason}", candidate.display())),
        }
    }
    Err(PoolError::MissingTool {
        what: wanted(python_version, beam_version),
        reason: format!(
            "tried {}. Set {PYTHON_VARIABLE} to an interpreter that has them",
            reasons.join(", ")
        ),
    })
}

fn wanted(python_version: Option<&str>, beam_version: Option<&str>) -> String {
    format!(
        "Python {} with apache-beam{}",
        python_version.unwrap_or("3"),
        beam_version.map_or_else(String::new, |version| format!("=={version}"))
    )
}

fn candidates(configured: &[PathBuf], python_version: Option<&str>) -> Vec<PathBuf> {
    if !configured.is_empty() {
        return configured.to_vec();
    }
    if let Some(list) = std::env::var_os(PYTHON_VARIABLE).filter(|list| !list.is_empty()) {
        return std::env::split_paths(&list).collect();
    }
    let exact = python_version.map(|version| format!("python{version}").into());
    exact
        .into_iter()
        .chain(["python3".into(), "python".into()])
        .collect()
}

pub(super) async fn probe(program: &Path) -> Result<Probed, String> {
    let output = Command::new(program)
        .args(["-E", "-c", PROBE])
        .env_clear()
        .envs(boot::machine_variables())
        .envs(std::env::var_os("HOME").map(|home| ("HOME", home)))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PROBE_LIMIT, output)
        .await
        .map_err(|_| "it does not answer".to_owned())?
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().last().unwrap_or("no output").trim();
        format!("it can't be used ({}: {last})", output.status)
    })
}

fn check(
    probed: Probed,
    python_version: Option<&str>,
    beam_version: Option<&str>,
    stages_sdk: bool,
) -> Result<Interpreter, String> {
    let version = format!("{}.{}", probed.version.0, probed.version.1);
    if python_version.is_some_and(|wanted| !is_same_python(wanted, &version)) {
        return Err(format!("it is Python {version}"));
    }
    match (&probed.beam, beam_version) {
        (None, _) if !stages_sdk => return Err("it has no apache-beam".to_owned()),
        (Some(found), Some(wanted)) if found != wanted => {
            return Err(format!("it has apache-beam {found}"));
        }
        _ => {}
    }
    let is_installed = |file: &PathBuf| {
        probed
            .packages
            .iter()
            .any(|folder| file.starts_with(folder))
    };
    Ok(Interpreter {
        has_installed_beam: probed.beam_file.as_ref().is_some_and(is_installed),
        version: probed.version,
        executable: probed.executable,
        packages: probed.packages,
        has_pip: probed.has_pip,
        can_build: can_build(probed.setuptools.as_deref(), probed.has_wheel),
    })
}

/// An image for plain `3` suits every 3.x.
fn is_same_python(wanted: &str, found: &str) -> bool {
    found == wanted
        || wanted.starts_with(&format!("{found}."))
        || found.starts_with(&format!("{wanted}."))
}

/// setuptools builds wheels by itself since 70.1, and with the package `wheel` before.
fn can_build(setuptools: Option<&str>, has_wheel: bool) -> bool {
    let Some(version) = setuptools else {
        return false;
    };
    let mut numbers = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    has_wheel || version >= (70, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(beam: Option<&str>) -> Probed {
        Probed {
            version: (3, 11),
            executable: "/usr/bin/python3.11".into(),
            packages: vec!["/p/site-packages".into()],
            beam: beam.map(str::to_owned),
            beam_file: beam.map(|_| "/p/site-packages/apache_beam/__init__.py".into()),
            has_pip: true,
            setuptools: None,
            has_wheel: false,
        }
    }

    #[test]
    fn an_interpreter_must_have_the_jobs_versions() {
        let cases = [
            (Some("2.77.0"), Some("3.11"), Some("2.77.0"), false, None),
            (Some("2.77.0"), None, None, false, None),
            (None, None, None, true, None),
            (None, None, None, false, Some("it has no apache-beam")),
            (
                Some("2.77.0"),
                Some("3.12"),
                None,
                false,
                Some("it is Python 3.11"),
            ),
            (
                Some("2.77.0"),
                Some("3.1"),
                None,
                false,
                Some("it is Python 3.11"),
            ),
            (
                Some("2.76.0"),
                None,
                Some("2.77.0"),
                false,
                Some("it has apache-beam 2.76.0"),
            ),
        ];
        for (has, python, beam, stages_sdk, refused) in cases {
            let result = check(probed(has), python, beam, stages_sdk).err();
            assert_eq!(result.as_deref(), refused, "{has:?} {python:?} {beam:?}");
        }
    }

    #[test]
    fn a_working_copy_of_beam_is_told_from_an_installed_one() {
        let mut copy = probed(Some("2.77.0.dev"));
        copy.beam_file = Some("/home/me/beam/sdks/python/apache_beam/__init__.py".into());
        let installed = check(probed(Some("2.77.0")), None, None, false).unwrap();
        let copy = check(copy, None, None, false).unwrap();
        assert!(installed.has_installed_beam && !copy.has_installed_beam);
    }

    #[test]
    fn building_needs_wheel_or_a_new_setuptools() {
        assert!(!can_build(None, true));
        assert!(!can_build(Some("65.5.0"), false));
        assert!(can_build(Some("65.5.0"), true));
        assert!(can_build(Some("70.1"), false) && can_build(Some("82.0.1.post1"), false));
    }
}
