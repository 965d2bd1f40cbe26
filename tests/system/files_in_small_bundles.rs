//! Files are written whole where no bundle is large: Java's `FileIO` gathers what its bundles wrote by a Reshuffle with one key, and
//! names the files in the bundle that gets it. Two such bundles would give the same names twice, and lose files.

use anyhow::Result;
use dataflume_tests::{Emulator, EmulatorOptions, Environment, Pipeline, Prepared, Sdk, expect};

#[test]
fn nothing_is_lost() -> Result<()> {
    let emulator = Emulator::start_with(&EmulatorOptions {
        // So many bundles write that what they wrote is more than one bundle may have.
        arguments: &["--num-workers", "2", "--max-bundle-elements", "20"],
        ..EmulatorOptions::default()
    })?;
    let text = &Prepared::get().text;
    let job = Pipeline::example(Sdk::Java, "wordfiles", text)?;
    let ran = job.run(emulator.endpoint(), &Environment::DefaultImage)?;
    ran.check(&expect::word_counts(text)?)?;
    emulator.check_nothing_left()?;
    emulator.stop()
}
