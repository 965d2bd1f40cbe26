//! The word counts in containers. Needs a Docker daemon and the images that `cargo xtask sdk-image` makes; where these are not, it
//! says so and runs nothing.
//!
//! They are the same word counts as everywhere. A container has files of its own, so the folders of the text and of the
//! output are shown to it, under the paths that they have here. A job that is written for Dataflow needs none: it reads and writes
//! buckets, which its containers find as its submitter does.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Result, ensure};
use dataflume_tests::{
    CLEAN_UP, Emulator, EmulatorOptions, Environment, Pipeline, Prepared, Sdk, emulator_program,
    expect, run_within, wait_until, workspace,
};

/// The images, as `cargo xtask sdk-image` names them.
const IMAGES: [(Sdk, &str); 3] = [
    (Sdk::Python, "dataflume-test/beam_python_sdk:2.77.0"),
    (Sdk::Java, "dataflume-test/beam_java_sdk:2.65.0"),
    (Sdk::Go, "dataflume-test/beam_go_sdk:2.77.0"),
];

/// How long the Dataflow job may take, on a machine under load.
const LIMIT: Duration = Duration::from_secs(240);

/// A Dataflow job from bucket to bucket.
const DATAFLOW: &str = "
    $PYTHON $PROGRAMS/objects.py put $TEXT my-bucket kinglear.txt
    $GO_PROGRAMS/dataflow {dataflow-options:go} --worker_binary=$GO_PROGRAMS/dataflow \
        --worker_harness_container_image=$IMAGE --input=gs://my-bucket/kinglear.txt --output=gs://my-bucket/out
    $PYTHON $PROGRAMS/objects.py show my-bucket out";

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
        let mut outcomes = vec![("job service", counts_words(sdk, image))];
        if matches!(sdk, Sdk::Go) {
            outcomes.push(("dataflow", counts_words_on_dataflow(image)));
        }
        for (door, outcome) in outcomes {
            match outcome {
                Ok(()) => {
                    println!("test {image} by {door} ... ok");
                    passed += 1;
                }
                Err(error) => {
                    println!("test {image} by {door} ... FAILED\n{error:#}");
                    failed += 1;
                }
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
    let clean = || containers_of(image).is_ok_and(|left| left.is_empty());
    ensure!(
        wait_until(CLEAN_UP, clean),
        "a container is left: {}",
        containers_of(image)?
    );
    emulator.check_nothing_left()?;
    emulator.stop()
}

/// The same by Dataflow's API. The images have no Google libraries for Python, which Beam's own have: Go needs none.
fn counts_words_on_dataflow(image: &str) -> Result<()> {
    let prepared = Prepared::get();
    let mut command = Command::new(emulator_program());
    command
        .args(["exec", "--workers", "docker", "--", "sh", "-ec", DATAFLOW])
        .env("PYTHON", &prepared.python)
        .env("PROGRAMS", workspace().join("tests/pipelines/dataflow"))
        .env("GO_PROGRAMS", &prepared.go_programs)
        .env("TEXT", &prepared.text)
        .env("IMAGE", image);
    let finished = run_within(&mut command, LIMIT)?;
    ensure!(finished.success, "{}", finished.output);
    let mut lines: Vec<_> = finished.output.lines().collect();
    lines.sort_unstable();
    for line in expect::word_counts(&prepared.text)? {
        let found = lines.binary_search(&line.as_str()).is_ok();
        ensure!(found, "no {line:?} in:\n{}", finished.output);
    }
    let left = containers_of(image)?;
    ensure!(left.is_empty(), "a container is left: {left}");
    Ok(())
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
