//! Workers that keep state from bundle to bundle know nothing that isn't so: not when a bundle fails whose writes they have kept, nor
//! when another worker has had the keys meanwhile.

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, EmulatorOptions, Environment, Pipeline};

#[test]
fn what_workers_keep_of_state_is_true() -> Result<()> {
    let emulator = Emulator::start_with(&EmulatorOptions {
        arguments: &[
            "--num-workers",
            "2",
            "--max-bundle-elements",
            "3",
            "--fail-every-nth-bundle",
            "7",
        ],
        ..EmulatorOptions::default()
    })?;
    let ran =
        Pipeline::of_tests("cached_state")?.run(emulator.endpoint(), &Environment::DefaultImage)?;
    ensure!(
        ran.finished.success,
        "the pipeline failed:\n{}",
        ran.finished.output
    );
    emulator.check_nothing_left()?;
    emulator.stop()
}
