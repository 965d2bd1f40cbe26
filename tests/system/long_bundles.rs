//! A long bundle is split when it nears its end, though nobody is idle: its rest is processed while it winds up.

use anyhow::{Context, Result, ensure};
use dataflume_tests::{Emulator, Environment, Pipeline};

#[test]
fn its_rest_is_a_bundle_of_its_own() -> Result<()> {
    let emulator = Emulator::start();
    let ran =
        Pipeline::of_tests("long_bundle")?.run(emulator.endpoint(), &Environment::Loopback)?;
    let output = &ran.finished.output;
    ensure!(ran.finished.success, "the pipeline failed:\n{output}");
    let line = output
        .lines()
        .find_map(|line| line.strip_prefix("bundles: "));
    let bundles = line.context("no bundles are told of")?;
    let bundles: Vec<u32> = bundles
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let (first, rest) = bundles.split_first().context("there were none")?;
    ensure!(!rest.is_empty(), "there was but one, of {first}");
    ensure!(
        rest.iter().all(|elements| elements < first),
        "the rest should be little: {bundles:?}"
    );
    emulator.check_nothing_left()?;
    emulator.stop()
}
