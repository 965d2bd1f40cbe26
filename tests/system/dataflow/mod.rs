//! Programs that are written for Dataflow run unchanged under `dataflume exec`: nothing on their command lines names the emulator.

mod gcloud;
mod multimaps;
mod staged;
mod word_counts;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dataflume_tests::{Alone, Finished, Prepared, emulator_program, workspace};

/// How long a program may take, on a machine under load.
const LIMIT: Duration = Duration::from_secs(240);

/// What is told of Dataflow jobs on their command lines.
const PLACE: &str = "--runner=DataflowRunner --project=my-project --region=us-central1 --temp_location=gs://my-bucket/temp";

fn program(name: &str) -> PathBuf {
    workspace().join("tests/pipelines/dataflow").join(name)
}

/// Runs a script of a shell beside an emulator of its own, in a network that ends at this machine, and fails if anything was to leave
/// it: of the programs, of the emulator or of its workers. `$PYTHON` has the SDK, `$PROGRAMS` is the folder of the programs.
fn exec(script: &str) -> Result<Finished> {
    let prepared = Prepared::get();
    let mut alone = Alone::new(emulator_program());
    alone
        .command()
        .args(["exec", "--workers", "process", "--", "sh", "-ec", script])
        .env("DATAFLUME_PYTHON", &prepared.python_for_dataflow)
        .env("DATAFLUME", emulator_program())
        .env("PYTHON", &prepared.python_for_dataflow)
        .env("PROGRAMS", program(""))
        // A start-up hook of the user's own, which has to be run behind the emulator's.
        .env("PYTHONPATH", program("watched"))
        .env("GO_PROGRAMS", &prepared.go_programs)
        .env("JAVA_CLASS_PATH", &prepared.java_class_path_for_dataflow)
        .env("TEXT", &prepared.text);
    let finished = alone.run_within(LIMIT)?;
    ensure!(
        !finished.output.contains("beyond this machine:"),
        "the network was used:\n{}",
        finished.output
    );
    ensure!(finished.success, "{script}\n{}", finished.output);
    Ok(finished)
}

#[test]
fn every_answer_is_of_googles_own_types() -> Result<()> {
    let finished = exec("$PYTHON $PROGRAMS/strict.py")?;
    ensure!(finished.output.contains("strict: all parsed"));
    Ok(())
}

#[test]
fn famous_failures_fail_here_and_are_as_always_on_direct_runner() -> Result<()> {
    let finished = exec("$PYTHON $PROGRAMS/famous_failures.py")?;
    for line in [
        "10 of 10 failed, with the cause",
        "10 of 10 passed or failed on DirectRunner as they should",
    ] {
        ensure!(finished.output.contains(line), "{}", finished.output);
    }
    Ok(())
}

/// The words of the line that a streaming job's program ends with, once it has told how far event time had come.
fn stream(how: &str) -> Result<Vec<String>> {
    let finished = exec(&format!("$PYTHON $PROGRAMS/streaming.py {how} {PLACE}"))?;
    let words = |start: &str| {
        let mut lines = finished.output.lines();
        let line = lines.find(|line| line.starts_with(start));
        let line = line.with_context(|| finished.output.clone())?;
        anyhow::Ok(line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    };
    let watermarks = words("watermarks ")?;
    let [count, seconds, stages] =
        [1, 3, 6].map(|index| watermarks[index].parse().unwrap_or(0_u32));
    ensure!(count > 0 && seconds < 60 && stages > 0, "{watermarks:?}");
    let at_work = words("at work ")?;
    let worker = at_work.last().context("no worker")?;
    ensure!(worker.ends_with("-harness-0"), "{at_work:?}");
    words("state ")
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
fn a_cancelled_streaming_job_ends_as_that_and_has_written_nothing_twice() -> Result<()> {
    let told = stream("cancel")?;
    ensure!(told[1] == "CANCELLED", "{told:?}");
    let [written, different] = [5, 7].map(|index| told[index].as_str());
    ensure!(written != "0" && written == different, "{told:?}");
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

#[test]
fn a_worker_that_takes_more_memory_than_its_machine_has_is_ended_and_told_of() -> Result<()> {
    let job = format!("$PYTHON $PROGRAMS/out_of_memory.py {PLACE} --machine_type=f1-micro");
    let finished = exec(&job)?;
    let output = &finished.output;
    for line in [
        "state JOB_STATE_FAILED",
        "the worker used",
        "is 614 MiB",
        "failed 4 times",
        "message JOB_MESSAGE_ERROR",
    ] {
        ensure!(output.contains(line), "no {line:?} in:\n{output}");
    }
    Ok(())
}

#[test]
fn a_worker_may_take_the_memory_that_the_pipeline_says_it_needs() -> Result<()> {
    let job = format!(
        "$PYTHON $PROGRAMS/out_of_memory.py {PLACE} --machine_type=f1-micro --resource_hints=min_ram=3GB"
    );
    let finished = exec(&job)?;
    let output = &finished.output;
    ensure!(
        output.lines().any(|line| line == "state JOB_STATE_DONE"),
        "{output}"
    );
    ensure!(!output.contains("message "), "{output}");
    Ok(())
}

#[test]
fn a_job_of_two_sdks() -> Result<()> {
    let finished = exec(&format!(
        "folder=$(mktemp -d)
         trap 'rm -r $folder' EXIT
         $DATAFLUME expansion-service java --class-path $JAVA_CLASS_PATH > $folder/told &
         service=$!
         until grep -q endpoint $folder/told; do sleep 0.1; kill -0 $service; done
         endpoint=$(sed -n 's/.*endpoint[^l]*\\(localhost:[0-9]*\\).*/\\1/p' $folder/told)
         $PYTHON $PROGRAMS/generated.py $endpoint {PLACE}
         kill $service"
    ))?;
    let output = &finished.output;
    for line in ["state DONE", "written 338350"] {
        ensure!(
            output.lines().any(|found| found == line),
            "no {line:?} in:\n{output}"
        );
    }
    for image in ["beam_java", "beam_python"] {
        let images = output.lines().find(|line| line.starts_with("images "));
        ensure!(
            images.is_some_and(|images| images.contains(image)),
            "{output}"
        );
    }
    Ok(())
}
