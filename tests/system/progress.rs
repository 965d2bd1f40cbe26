//! What metrics tell of bundles, while they run and when they have ended.

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, Environment, Pipeline};

/// These pipelines look at their own metrics, and fail if they are wrong.
fn finds_its_metrics(pipeline: &str) -> Result<()> {
    let emulator = Emulator::start();
    let pipeline = Pipeline::of_tests(pipeline)?;
    let ran = pipeline.run(emulator.endpoint(), &Environment::Loopback)?;
    ensure!(ran.finished.success, "{}", ran.finished.output);
    emulator.stop()
}

#[test]
fn metrics_of_a_running_bundle_are_attempted_and_not_committed() -> Result<()> {
    finds_its_metrics("looked_at")
}

#[test]
fn elements_that_go_from_stage_to_stage_are_counted_once() -> Result<()> {
    finds_its_metrics("counted")
}
