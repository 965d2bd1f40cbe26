//! A worker that is not needed any more tears its DoFns down before it ends, and its job's end waits for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use dataflume_tests::{
    Emulator, EmulatorOptions, Environment, Pipeline, Ran, WorkerPool, wait_until, workers,
};

use crate::warm_workers::APPEARS;

/// How long a bare worker has for it.
const TEARS_DOWN: Duration = Duration::from_secs(2);

const STEPS: [&str; 5] = ["setup", "start", "process 1", "finish", "teardown"];

/// Runs the pipeline to its end. Gives where it writes down what happens, and what keeps that.
fn run(
    pipeline: Pipeline,
    emulator: &Emulator,
    environment: &Environment,
) -> Result<(PathBuf, Ran)> {
    let output = pipeline.folder().join("record");
    let ran = pipeline
        .argument(format!("--output={}", output.display()))
        .run(emulator.endpoint(), environment)?;
    ensure!(ran.finished.success, "it failed:\n{}", ran.finished.output);
    Ok((output, ran))
}

fn steps(record: &Path) -> Vec<String> {
    let record = fs::read_to_string(record).unwrap_or_default();
    record.lines().map(str::to_owned).collect()
}

fn tears_down(pipeline: Pipeline, emulator: &Emulator, environment: &Environment) -> Result<()> {
    let (record, _ran) = run(pipeline, emulator, environment)?;
    let steps = steps(&record);
    ensure!(steps == STEPS, "{steps:?}");
    emulator.check_nothing_left()
}

fn a_worker_made_by_us_tears_down(emulator: Emulator) -> Result<()> {
    let pipeline = Pipeline::of_tests("torn_down")?;
    tears_down(pipeline, &emulator, &Environment::DefaultImage)?;
    emulator.stop()
}

#[test]
fn a_warm_worker_tears_down() -> Result<()> {
    let emulator = Emulator::start();
    let pid = emulator.pid();
    ensure!(
        wait_until(APPEARS, || !workers::waiting(pid).is_empty()),
        "no interpreter waits\n{}",
        emulator.log()
    );
    a_worker_made_by_us_tears_down(emulator)
}

#[test]
fn a_worker_from_scratch_tears_down() -> Result<()> {
    let emulator = Emulator::start_with(&EmulatorOptions {
        arguments: &["--warm-python-workers", "0"],
        ..EmulatorOptions::default()
    })?;
    a_worker_made_by_us_tears_down(emulator)
}

#[test]
fn a_worker_of_a_worker_pool_tears_down() -> Result<()> {
    let emulator = Emulator::start();
    let pipeline = Pipeline::of_tests("torn_down")?;
    let pool = WorkerPool::start(Some(&pipeline.boot_command()?))?;
    let environment = Environment::External(pool.endpoint().to_owned());
    tears_down(pipeline, &emulator, &environment)?;
    emulator.stop()
}

/// A bare harness shows nobody when it is done: the job's end can't wait for it. But its pool isn't told to kill it at once.
#[test]
fn a_bare_worker_of_a_worker_pool_tears_down() -> Result<()> {
    let emulator = Emulator::start();
    let pool = WorkerPool::start(None)?;
    let environment = Environment::External(pool.endpoint().to_owned());
    let pipeline = Pipeline::of_tests("torn_down")?.argument("--teardown_seconds=0.2");
    let (record, _ran) = run(pipeline, &emulator, &environment)?;
    let torn_down = || steps(&record) == STEPS;
    ensure!(wait_until(TEARS_DOWN, torn_down), "{:?}", steps(&record));
    emulator.stop()
}
