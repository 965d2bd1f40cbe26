//! Workers that are started before their job: while a pipeline is prepared and nobody has run it yet.

use std::time::Duration;

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, Environment, Pipeline, wait_until, workers};

use crate::warm_workers::run;

/// An interpreter that has just been told to become a worker still looks like one that waits; less than a worker waits for its job.
const SEEN: Duration = Duration::from_secs(5);

/// Longer than a worker waits for its job.
const GIVEN_UP: Duration = Duration::from_secs(30);

/// Prepares a pipeline that nobody will run, and sees its worker.
fn prepare(emulator: &Emulator) -> Result<()> {
    let ran =
        Pipeline::of_tests("never_run")?.run(emulator.endpoint(), &Environment::DefaultImage)?;
    ensure!(ran.finished.success, "{}", ran.finished.output);
    let there = || !workers::harnesses(emulator.pid()).is_empty();
    ensure!(wait_until(SEEN, there), "no worker was started");
    Ok(())
}

#[test]
fn a_worker_is_started_before_its_job_and_not_kept_for_ever() -> Result<()> {
    let emulator = Emulator::start();
    let ran =
        Pipeline::of_tests("prepared_only")?.run(emulator.endpoint(), &Environment::Loopback)?;
    ensure!(ran.finished.success, "{}", ran.finished.output);
    emulator.stop()
}

#[test]
fn a_python_process_is_started_before_its_job_and_given_what_is_staged_later() -> Result<()> {
    let emulator = Emulator::start();
    let (_, told) = run(&emulator, "first_worker", &[])?;
    ensure!(told.contains("-early-"), "{told}");
    ensure!(told.contains("the SDK is on the list"), "{told}");
    emulator.check_nothing_left()?;
    emulator.stop()
}

#[test]
fn nothing_is_left_of_a_python_process_whose_job_does_not_come() -> Result<()> {
    let emulator = Emulator::start();
    let there = || !workers::harnesses(emulator.pid()).is_empty();
    prepare(&emulator)?;
    ensure!(wait_until(GIVEN_UP, || !there()), "it is kept");
    emulator.check_nothing_left()?;
    emulator.stop()
}

#[test]
fn a_python_process_that_waits_for_its_job_ends_with_the_emulator() -> Result<()> {
    let emulator = Emulator::start();
    prepare(&emulator)?;
    emulator.stop()
}
