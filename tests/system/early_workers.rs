//! Workers that are started before their job: while a pipeline is prepared and nobody has run it yet.

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, Environment, Pipeline};

#[test]
fn a_worker_is_started_before_its_job_and_not_kept_for_ever() -> Result<()> {
    let emulator = Emulator::start();
    let ran =
        Pipeline::of_tests("prepared_only")?.run(emulator.endpoint(), &Environment::Loopback)?;
    ensure!(ran.finished.success, "{}", ran.finished.output);
    emulator.stop()
}
