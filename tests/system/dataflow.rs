//! Programs that are written for Dataflow run unchanged under `dataflume exec`: nothing on their command lines names the emulator.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use dataflume_tests::{Finished, Prepared, emulator_program, run_within, workspace};

/// How long a program may take, on a machine under load.
const LIMIT: Duration = Duration::from_secs(240);

fn program(name: &str) -> PathBuf {
    workspace().join("tests/pipelines/dataflow").join(name)
}

/// Runs a script of a shell beside an emulator of its own; `$PYTHON` has the SDK, `$PROGRAMS` is the folder of the programs.
fn exec(script: &str) -> Result<Finished> {
    let python = &Prepared::get().python_for_dataflow;
    let mut command = Command::new(emulator_program());
    command
        .args(["exec", "--workers", "process", "--", "sh", "-ec", script])
        .env("DATAFLUME_PYTHON", python)
        .env("PYTHON", python)
        .env("PROGRAMS", program(""));
    let finished = run_within(&mut command, LIMIT)?;
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
fn famous_failures_fail_here_too() -> Result<()> {
    let finished = exec("$PYTHON $PROGRAMS/famous_failures.py")?;
    ensure!(finished.output.contains("failures: 10 of 10"));
    Ok(())
}
