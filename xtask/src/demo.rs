//! `cargo xtask demo`: a real pipeline on workers made for it, in one command.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::{cargo, python, workspace};

/// How many words are shown.
const TOP: usize = 10;

/// Builds the emulator, installs the Python SDK, runs the word count of the examples through
/// `dataflume exec`, and shows what it found.
pub(crate) fn run() -> anyhow::Result<bool> {
    step("building the emulator (the first time takes some minutes)");
    workspace::must(cargo::cargo().args(["build", "--package", "dataflume"]))?;
    step("making sure of the Python SDK");
    let beam = python::Beam::ensure()?;
    let example = workspace::root().join("examples/python/wordcount.py");
    ensure!(example.is_file(), "{} is missing", example.display());
    let output = std::env::temp_dir().join(format!("dataflume-demo-{}", std::process::id()));
    std::fs::create_dir_all(&output).context("can't make a folder for the result")?;

    step("counting the words of a text, on workers that exist for this job alone");
    let mut demo = Command::new(workspace::target()?.join("debug/dataflume"));
    demo.args(["exec", "--ephemeral", "--workers=process", "--"])
        .arg(&beam.python)
        .arg(&example)
        .args(["--runner=PortableRunner", "--job_endpoint={endpoint}"])
        .args(["--environment_type=DOCKER", "--sdk_worker_parallelism=1"])
        .arg("--output")
        .arg(output.join("counts"));
    beam.set_variables(&mut demo);
    let ran = workspace::succeeds(&mut demo);
    let counts = read_counts(&output);
    // Only the demo's own folder; what is left of it on an error is a few kilobytes of text.
    std::fs::remove_dir_all(&output).ok();
    ensure!(ran?, "the pipeline failed");
    show(counts?)
}

fn step(text: &str) {
    println!("\n== {text}");
}

/// The lines `word: count` of every shard of the output.
fn read_counts(folder: &std::path::Path) -> anyhow::Result<Vec<(u64, String)>> {
    let mut counts = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        for line in std::fs::read_to_string(entry?.path())?.lines() {
            let (word, count) = line
                .rsplit_once(": ")
                .with_context(|| format!("unexpected line in the output: {line:?}"))?;
            counts.push((count.trim().parse()?, word.to_owned()));
        }
    }
    Ok(counts)
}

fn show(mut counts: Vec<(u64, String)>) -> anyhow::Result<bool> {
    ensure!(!counts.is_empty(), "the pipeline wrote no counts");
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let words: u64 = counts.iter().map(|(count, _)| count).sum();
    println!(
        "\n{words} words, {} of them different. The most frequent:",
        counts.len()
    );
    for (count, word) in counts.iter().take(TOP) {
        println!("{count:>8}  {word}");
    }
    Ok(true)
}
