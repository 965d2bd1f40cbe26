//! A worker that is not needed any more tears its DoFns down before it ends, and its job's end waits for that.

use std::fs;

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, EmulatorOptions, Environment, Pipeline, wait_until, workers};

use crate::warm_workers::APPEARS;

fn tears_down(emulator: &Emulator) -> Result<()> {
    let mut pipeline = Pipeline::of_tests("torn_down")?;
    let output = pipeline.folder().join("record");
    pipeline = pipeline.argument(format!("--output={}", output.display()));
    let ran = pipeline.run(emulator.endpoint(), &Environment::DefaultImage)?;
    ensure!(ran.finished.success, "it failed:\n{}", ran.finished.output);
    let record = fs::read_to_string(&output)?;
    let steps: Vec<&str> = record.lines().collect();
    ensure!(
        steps == ["setup", "start", "process 1", "finish", "teardown"],
        "{steps:?}"
    );
    emulator.check_nothing_left()
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
    tears_down(&emulator)?;
    emulator.stop()
}

#[test]
fn a_worker_from_scratch_tears_down() -> Result<()> {
    let emulator = Emulator::start_with(&EmulatorOptions {
        arguments: &["--warm-python-workers", "0"],
        ..EmulatorOptions::default()
    })?;
    tears_down(&emulator)?;
    emulator.stop()
}
