//! An ETL of real sensor data: several outputs, a side input, a combine, in every SDK.

use anyhow::Result;
use dataflume_tests::{Emulator, Environment, Pipeline, Prepared, Sdk, expect};

fn summarizes_weather(sdk: Sdk) -> Result<()> {
    let emulator = Emulator::start();
    let data = &Prepared::get().weather;
    let ran = Pipeline::example(sdk, "weather", data)?
        .run(emulator.endpoint(), &Environment::DefaultImage)?;
    let expected = expect::weather(data)?;
    // Four years.
    assert_eq!(expected.len(), 48);
    ran.check(&expected)?;
    emulator.check_nothing_left()?;
    emulator.stop()
}

#[test]
fn python() -> Result<()> {
    summarizes_weather(Sdk::Python)
}

#[test]
fn java() -> Result<()> {
    summarizes_weather(Sdk::Java)
}

#[test]
fn go() -> Result<()> {
    summarizes_weather(Sdk::Go)
}
