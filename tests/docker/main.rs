//! The word counts in containers. Needs a Docker daemon and the images that `cargo xtask` builds of the SDKs; where these are not,
//! it says so and runs nothing.

use std::process::{Command, ExitCode};

use anyhow::Result;
use dataflume_tests::{Emulator, EmulatorOptions, Environment, Pipeline, Prepared, Sdk, expect};

/// The images, as `cargo xtask` names them.
const IMAGES: [(Sdk, &str); 3] = [
    (Sdk::Python, "dataflume-test/beam_python_sdk:2.77.0"),
    (Sdk::Java, "dataflume-test/beam_java_sdk:2.65.0"),
    (Sdk::Go, "dataflume-test/beam_go_sdk:2.77.0"),
];

fn main() -> ExitCode {
    if !docker(&["info"]) {
        println!("SKIPPED: no Docker daemon answers, so no pipeline ran in a container");
        return ExitCode::SUCCESS;
    }
    let (mut passed, mut failed) = (0, 0);
    for (sdk, image) in IMAGES {
        if !docker(&["image", "inspect", image]) {
            println!(
                "SKIPPED: there is no image {image}, so no {sdk:?} pipeline ran in a container"
            );
            continue;
        }
        match counts_words(sdk, image) {
            Ok(()) => passed += 1,
            Err(error) => {
                failed += 1;
                println!("{sdk:?} in {image}: {error:#}");
            }
        }
    }
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn docker(arguments: &[&str]) -> bool {
    Command::new("docker")
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn counts_words(sdk: Sdk, image: &str) -> Result<()> {
    let emulator = Emulator::start_with(&EmulatorOptions {
        arguments: &["--workers=docker"],
        ..EmulatorOptions::default()
    })?;
    let text = &Prepared::get().text;
    let environment = Environment::Docker(image.to_owned());
    // What a container writes stays in it; a right result shows in what the pipeline itself asserts.
    let ran = Pipeline::example(sdk, "wordcount", text)?.run(emulator.endpoint(), &environment)?;
    ran.check(&expect::word_counts(text)?)?;
    emulator.check_nothing_left()?;
    emulator.stop()
}
