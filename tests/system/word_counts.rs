//! The same word count gives the same right answer in every SDK and every environment.

use anyhow::Result;
use dataflume_tests::{Emulator, Environment, Pipeline, Prepared, Sdk, expect};

fn counts_words(sdk: Sdk, environment: &Environment) -> Result<()> {
    let emulator = Emulator::start();
    let text = &Prepared::get().text;
    let ran = Pipeline::example(sdk, "wordcount", text)?.run(emulator.endpoint(), environment)?;
    ran.check(&expect::word_counts(text)?)?;
    emulator.check_nothing_left()?;
    emulator.stop()
}

#[test]
fn python_loopback() -> Result<()> {
    counts_words(Sdk::Python, &Environment::Loopback)
}

#[test]
fn python_process() -> Result<()> {
    counts_words(Sdk::Python, &Environment::Process)
}

#[test]
fn python_made_by_us() -> Result<()> {
    counts_words(Sdk::Python, &Environment::DefaultImage)
}

#[test]
fn java_loopback() -> Result<()> {
    counts_words(Sdk::Java, &Environment::Loopback)
}

#[test]
fn java_process() -> Result<()> {
    counts_words(Sdk::Java, &Environment::Process)
}

#[test]
fn java_made_by_us() -> Result<()> {
    counts_words(Sdk::Java, &Environment::DefaultImage)
}

#[test]
fn go_loopback() -> Result<()> {
    counts_words(Sdk::Go, &Environment::Loopback)
}

#[test]
fn go_process() -> Result<()> {
    counts_words(Sdk::Go, &Environment::Process)
}

#[test]
fn go_made_by_us() -> Result<()> {
    counts_words(Sdk::Go, &Environment::DefaultImage)
}
