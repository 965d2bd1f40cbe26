//! What a job brings is on its workers: packages in each of the ways in which Python's SDK stages them, and the main session.

use anyhow::{Result, ensure};
use dataflume_tests::{Prepared, expect};

use super::{PLACE, exec};
use crate::packages::{Packaged, package};

/// Counts words with a package that only the job brings. The index has none of that name, and is not asked.
fn finds_its_package(flag: impl FnOnce(&Packaged) -> Result<String>) -> Result<()> {
    let packaged = Packaged::new()?;
    let prepared = Prepared::get();
    let finished = exec(&format!(
        "export PIP_NO_INDEX=1 PIP_FIND_LINKS={}
         $PYTHON $PROGRAMS/objects.py put $TEXT my-bucket kinglear.txt
         $PYTHON {} {PLACE} --requirements_cache={} {} --input=gs://my-bucket/kinglear.txt --output=gs://my-bucket/out/lengths
         $PYTHON $PROGRAMS/objects.py show my-bucket out/",
        prepared.packages.display(),
        packaged.path("main.py"),
        packaged.path("requirements-cache"),
        flag(&packaged)?,
    ))?;
    let expected = expect::word_lengths(&prepared.text)?;
    let is_length = |line: &&str| expected.binary_search(&(*line).to_owned()).is_ok();
    let mut found: Vec<_> = finished.output.lines().filter(is_length).collect();
    found.sort_unstable();
    ensure!(found == expected, "other lengths:\n{}", finished.output);
    Ok(())
}

#[test]
fn a_setup_file() -> Result<()> {
    finds_its_package(|packaged| Ok(format!("--setup_file={}", packaged.path("setup.py"))))
}

#[test]
fn requirements() -> Result<()> {
    finds_its_package(|packaged| {
        let path = packaged.path("requirements.txt");
        Ok(format!("--requirements_file={path}"))
    })
}

#[test]
fn an_extra_package() -> Result<()> {
    finds_its_package(|_| Ok(format!("--extra_package={}", package(".whl")?)))
}

#[test]
fn the_main_session() -> Result<()> {
    let finished = exec(&format!(
        "$PYTHON $PROGRAMS/session.py {PLACE} --save_main_session
         $PYTHON $PROGRAMS/objects.py show my-bucket out/"
    ))?;
    let output = &finished.output;
    for line in ["state DONE", "price apple 2", "price pear 3"] {
        ensure!(
            output.lines().any(|found| found == line),
            "no {line:?} in:\n{output}"
        );
    }
    says_how_far_it_is(output)
}

/// By these texts tools see how far a job is.
fn says_how_far_it_is(output: &str) -> Result<()> {
    let mut messages = output.lines().filter(|line| line.starts_with("message "));
    for text in [
        "Starting 1 workers",
        "Workers have started successfully",
        "All workers have finished the startup processes and began to receive work requests",
        "Cleaning up",
        "Stopping worker pool",
        "Worker pool stopped",
    ] {
        ensure!(
            messages.any(|message| message.contains(text)),
            "no {text:?}, or too early, in:\n{output}"
        );
    }
    Ok(())
}
