//! A pipeline whose data and whose check are within it, so that it needs no files: what runs in containers runs here in processes.

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, Environment, Pipeline, Prepared};

#[test]
fn counts_and_checks_words_without_files() -> Result<()> {
    let emulator = Emulator::start();
    let ran = Pipeline::of_tests("checked_word_count")?
        .argument(format!("--input={}", Prepared::get().text.display()))
        .run(emulator.endpoint(), &Environment::DefaultImage)?;
    ensure!(
        ran.finished.success,
        "the pipeline failed:\n{}",
        ran.finished.output
    );
    emulator.check_nothing_left()?;
    emulator.stop()
}
