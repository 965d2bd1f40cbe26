//! Interpreters that wait for a job: used once, no different from new ones, and gone with the emulator.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dataflume_tests::workers::{self, Worker};
use dataflume_tests::{Emulator, Environment, Pipeline, Prepared, Ran, wait_until};

/// How long an interpreter may take to appear. It is started in the background.
pub(crate) const APPEARS: Duration = Duration::from_secs(30);

/// How soon it has to be gone after the emulator was killed.
const ORPHANS_LIVE: Duration = Duration::from_secs(5);

/// What the emulator logs when an interpreter that waited is used.
const USED: &str = "a warm interpreter is the worker";

fn waiting(emulator: &Emulator) -> Result<Worker> {
    let pid = emulator.pid();
    ensure!(
        wait_until(APPEARS, || !workers::waiting(pid).is_empty()),
        "no interpreter waits\n{}",
        emulator.log()
    );
    let found = workers::waiting(pid).into_iter().next();
    found.context("it is gone again")
}

/// Runs a pipeline of the tests that writes a file, and gives what it wrote.
pub(crate) fn run(emulator: &Emulator, name: &str, arguments: &[String]) -> Result<(Ran, String)> {
    let mut pipeline = Pipeline::of_tests(name)?;
    let output = pipeline.folder().join("output");
    pipeline = pipeline.argument(format!("--output={}", output.display()));
    for argument in arguments {
        pipeline = pipeline.argument(argument);
    }
    let ran = pipeline.run(emulator.endpoint(), &Environment::DefaultImage)?;
    ensure!(ran.finished.success, "it failed:\n{}", ran.finished.output);
    let written = fs::read_to_string(&output)?.trim().to_owned();
    Ok((ran, written))
}

#[test]
fn each_job_has_an_interpreter_of_its_own() -> Result<()> {
    let emulator = Emulator::start();
    let mut used = Vec::new();
    for job in 1..=2 {
        let interpreter = waiting(&emulator)?;
        let (_, written) = run(&emulator, "remembering", &[])?;
        ensure!(
            written == format!("0 before in {}", interpreter.pid),
            "{written:?}, but {interpreter:?} waited"
        );
        ensure!(!used.contains(&interpreter.pid), "it was used before");
        used.push(interpreter.pid);
        ensure!(
            emulator.log().matches(USED).count() == job,
            "{}",
            emulator.log()
        );
        emulator.check_nothing_left()?;
    }
    emulator.stop()
}

/// A wheel of `objsize` in a version that is not installed.
fn replacement(folder: &Path) -> Result<String> {
    const BUILD: &str = r"
import importlib.metadata, sys, zipfile
info = 'objsize-99.0.dist-info/'
files = {file: file.read_text() for file in importlib.metadata.files('objsize') if file.suffix == '.py'}
files = {str(file): text + '\n__version__ = \'99.0\'\n' for file, text in files.items()}
files[info + 'METADATA'] = 'Metadata-Version: 2.1\nName: objsize\nVersion: 99.0\n'
files[info + 'WHEEL'] = 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'
files[info + 'RECORD'] = ''.join(file + ',,\n' for file in [*files, info + 'RECORD'])
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    for file, text in files.items():
        wheel.writestr(file, text)
";
    let wheel = folder.join("objsize-99.0-py3-none-any.whl");
    let mut build = Command::new(&Prepared::get().python);
    let status = build.arg("-c").arg(BUILD).arg(&wheel).status()?;
    ensure!(status.success(), "the wheel can't be built");
    Ok(wheel.display().to_string())
}

#[test]
fn a_staged_package_wins_over_what_was_imported() -> Result<()> {
    let emulator = Emulator::start();
    let folder = tempfile::tempdir()?;
    let package = format!("--extra_package={}", replacement(folder.path())?);
    waiting(&emulator)?;
    let (_, written) = run(&emulator, "replaced", &[package])?;
    ensure!(written == "99.0", "{written:?}");
    emulator.check_nothing_left()?;
    emulator.stop()
}

#[test]
fn none_waits_for_an_emulator_that_was_killed() -> Result<()> {
    let emulator = Emulator::start();
    waiting(&emulator)?;
    let pid = emulator.kill();
    ensure!(
        wait_until(ORPHANS_LIVE, || workers::of_emulator(pid).is_empty()),
        "alive {ORPHANS_LIVE:?} after the emulator was killed: {:?}",
        workers::of_emulator(pid)
    );
    Ok(())
}
