//! Timers in processing time follow the emulator's clock, not the real one.

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, Environment, Pipeline};

#[test]
fn a_timer_of_an_hour_fires_when_the_clock_is_moved() -> Result<()> {
    let emulator = Emulator::start();
    let ran = Pipeline::of_tests("hours")?.run(emulator.endpoint(), &Environment::Loopback)?;
    ensure!(ran.finished.success, "{}", ran.finished.output);
    emulator.stop()
}
