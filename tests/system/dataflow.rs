//! Programs that are written for Dataflow run unchanged under `dataflume exec`: nothing on their command lines names the emulator.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dataflume_tests::{Finished, Prepared, emulator_program, expect, run_within, workspace};

/// How long a program may take, on a machine under load.
const LIMIT: Duration = Duration::from_secs(240);

/// What is told of Dataflow jobs on their command lines.
const PLACE: &str = "--runner=DataflowRunner --project=my-project --region=us-central1 --temp_location=gs://my-bucket/temp";

fn program(name: &str) -> PathBuf {
    workspace().join("tests/pipelines/dataflow").join(name)
}

/// Runs a script of a shell beside an emulator of its own, and fails if a Python of it looked up or connected to anything outside
/// of this machine: its start-up hook watches, which has to be run behind the emulator's. `$PYTHON` has the SDK, `$PROGRAMS` is the folder of the programs.
fn exec(script: &str) -> Result<Finished> {
    let python = &Prepared::get().python_for_dataflow;
    let mut command = Command::new(emulator_program());
    command
        .args(["exec", "--workers", "process", "--", "sh", "-ec", script])
        .env("DATAFLUME_PYTHON", python)
        .env("PYTHON", python)
        .env("PROGRAMS", program(""))
        .env("PYTHONPATH", program("watched"))
        .env("GO_PROGRAMS", &Prepared::get().go_programs)
        .env("TEXT", &Prepared::get().text);
    let finished = run_within(&mut command, LIMIT)?;
    ensure!(
        !finished.output.contains("beyond this machine:"),
        "the network was used:\n{}",
        finished.output
    );
    ensure!(finished.success, "{script}\n{}", finished.output);
    Ok(finished)
}

#[test]
fn python_counts_words_from_bucket_to_bucket() -> Result<()> {
    let finished = exec(&format!(
        "$PYTHON $PROGRAMS/objects.py put $TEXT my-bucket kinglear.txt
         $PYTHON $PROGRAMS/word_count.py {PLACE} \
             --input=gs://my-bucket/kinglear.txt --output=gs://my-bucket/out/counts
         $PYTHON $PROGRAMS/objects.py show my-bucket out/"
    ))?;
    let output = &finished.output;
    let expected = shows_counts(output)?;
    ensure!(
        output.contains("watched"),
        "the user's own hook was not run:\n{output}"
    );
    let words = expected.iter().map(|line| count_of(line));
    let words: u64 = words.sum::<Result<u64>>()?;
    let shown = [
        "state DONE".to_owned(),
        format!("counter Split wordcount {words} {words}"),
    ];
    for line in shown {
        ensure!(
            output.lines().any(|found| found == line),
            "no {line:?} in:\n{output}"
        );
    }
    ensure!(
        output.contains("ElementCount"),
        "no service metrics:\n{output}"
    );
    Ok(())
}

#[test]
fn go_counts_words_from_bucket_to_bucket() -> Result<()> {
    let finished = exec(
        "$PYTHON $PROGRAMS/objects.py put $TEXT my-bucket kinglear.txt
         $GO_PROGRAMS/wordcount {dataflow-options:go} --worker_binary=$GO_PROGRAMS/wordcount \
             --input=gs://my-bucket/kinglear.txt --output=gs://my-bucket/out/counts
         $PYTHON $PROGRAMS/objects.py show my-bucket out/",
    )?;
    shows_counts(&finished.output)?;
    Ok(())
}

/// Fails unless the right counts, and each once, are among the lines; gives them.
fn shows_counts(output: &str) -> Result<Vec<String>> {
    let expected = expect::word_counts(&Prepared::get().text)?;
    let is_count = |line: &&str| expected.binary_search(&(*line).to_owned()).is_ok();
    let mut found: Vec<_> = output.lines().filter(is_count).collect();
    found.sort_unstable();
    ensure!(found == expected, "other counts:\n{output}");
    Ok(expected)
}

fn count_of(line: &str) -> Result<u64> {
    let (_, count) = line.rsplit_once(": ").context("no count")?;
    Ok(count.parse()?)
}

#[test]
fn every_answer_is_of_googles_own_types() -> Result<()> {
    let finished = exec("$PYTHON $PROGRAMS/strict.py")?;
    ensure!(finished.output.contains("strict: all parsed"));
    Ok(())
}

#[test]
fn famous_failures_fail_here_too() -> Result<()> {
    let finished = exec("$PYTHON $PROGRAMS/famous_failures.py")?;
    ensure!(finished.output.contains("failures: 10 of 10"));
    Ok(())
}

/// The words of the line that a streaming job's program ends with.
fn stream(how: &str) -> Result<Vec<String>> {
    let finished = exec(&format!("$PYTHON $PROGRAMS/streaming.py {how} {PLACE}"))?;
    let line = finished
        .output
        .lines()
        .find(|line| line.starts_with("state "));
    let line = line.with_context(|| finished.output.clone())?;
    Ok(line.split(' ').map(str::to_owned).collect())
}

#[test]
fn a_drained_job_has_written_everything_that_it_took_in_once() -> Result<()> {
    let told = stream("drain")?;
    ensure!(told[1] == "DRAINED", "{told:?}");
    let [taken, written, different] = [3, 5, 7].map(|index| told[index].as_str());
    ensure!(taken == written && written == different, "{told:?}");
    Ok(())
}

#[test]
fn a_cancelled_streaming_job_ends_as_that() -> Result<()> {
    let told = stream("cancel")?;
    ensure!(told[1] == "CANCELLED", "{told:?}");
    Ok(())
}

#[test]
fn a_slow_job_gets_another_worker() -> Result<()> {
    let job = format!("$PYTHON $PROGRAMS/slow.py {PLACE} --num_workers=1 --max_num_workers=2");
    let finished = exec(&job)?;
    let output = &finished.output;
    for line in ["state DONE", "workers 1 1", "workers 1 2", "workers 0 0"] {
        ensure!(
            output.lines().any(|found| found == line),
            "no {line:?} in:\n{output}"
        );
    }
    Ok(())
}
