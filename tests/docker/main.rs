//! The word count in a container. Needs a Docker daemon and the image of the Python SDK that `cargo xtask` builds; where these are
//! not, it says so and runs nothing.
//!
//! A container shares no files with this machine, so the text travels within the pipeline, which checks its counts itself.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, EmulatorOptions, Environment, Pipeline, Prepared};

/// The image, as `cargo xtask` names it.
const IMAGE: &str = "dataflume-test/beam_python_sdk:2.77.0";

fn main() -> ExitCode {
    if !docker(&["info"]) {
        println!("SKIPPED: no Docker daemon answers, so no pipeline ran in a container");
        return ExitCode::SUCCESS;
    }
    if !docker(&["image", "inspect", IMAGE]) {
        println!("SKIPPED: there is no image {IMAGE}, so no pipeline ran in a container");
        return ExitCode::SUCCESS;
    }
    match counts_words() {
        Ok(()) => {
            println!("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:#}");
            println!(
                "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out"
            );
            ExitCode::FAILURE
        }
    }
}

fn docker(arguments: &[&str]) -> bool {
    Command::new("docker")
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn counts_words() -> Result<()> {
    let emulator = Emulator::start_with(&EmulatorOptions {
        workers: Some("docker"),
        ..EmulatorOptions::default()
    })?;
    let ran = Pipeline::of_tests("checked_word_count")?
        .argument(format!("--input={}", Prepared::get().text.display()))
        .run(emulator.endpoint(), &Environment::Docker(IMAGE.to_owned()))?;
    ensure!(
        ran.finished.success,
        "the pipeline failed:\n{}",
        ran.finished.output
    );
    emulator.check_nothing_left()?;
    emulator.stop()
}
