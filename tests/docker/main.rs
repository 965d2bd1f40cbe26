//! The word counts in containers. Needs a Docker daemon and the images that `cargo xtask sdk-image` makes; where these are not, it
//! says so and runs nothing.
//!
//! They are the same word counts as everywhere. A container has files of its own, so the folders of the text and of the
//! output are shown to it, under the paths that they have here.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use dataflume_tests::{Emulator, EmulatorOptions, Environment, Pipeline, Prepared, Sdk, expect};

/// The images, as `cargo xtask sdk-image` names them.
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
            println!("SKIPPED: there is no image {image}: cargo xtask sdk-image makes it");
            continue;
        }
        match counts_words(sdk, image) {
            Ok(()) => {
                println!("test {image} ... ok");
                passed += 1;
            }
            Err(error) => {
                println!("test {image} ... FAILED\n{error:#}");
                failed += 1;
            }
        }
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {result}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    ExitCode::from(u8::from(failed > 0))
}

fn docker(arguments: &[&str]) -> bool {
    Command::new("docker")
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

fn counts_words(sdk: Sdk, image: &str) -> Result<()> {
    let text = &Prepared::get().text;
    let pipeline = Pipeline::example(sdk, "wordcount", text)?;
    let mut shared = vec![pipeline.folder()];
    shared.extend(text.parent());
    let emulator = Emulator::start_with(&EmulatorOptions {
        workers: Some("docker"),
        shared_with_containers: &shared,
        ..EmulatorOptions::default()
    })?;
    let ran = pipeline.run(emulator.endpoint(), &Environment::Docker(image.to_owned()))?;
    ran.check(&expect::word_counts(text)?)?;
    ensure!(
        containers_of(image)?.is_empty(),
        "a container is left: {}",
        containers_of(image)?
    );
    emulator.check_nothing_left()?;
    emulator.stop()
}

/// The containers of an image, also those that have ended.
fn containers_of(image: &str) -> Result<String> {
    let filter = format!("ancestor={image}");
    let output = Command::new("docker")
        .args(["ps", "--all", "--quiet", "--filter", &filter])
        .output()?;
    ensure!(output.status.success(), "docker ps: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
