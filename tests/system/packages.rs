//! A worker has what was staged, and nothing else.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dataflume_tests::{Emulator, Environment, Pipeline, Prepared, Ran, expect};
use tempfile::TempDir;

/// The pipeline that needs the package `textstats`, in a folder of its own: building packages writes beside the sources.
pub(crate) struct Packaged {
    sources: TempDir,
}

impl Packaged {
    pub(crate) fn new() -> Result<Self> {
        let sources = tempfile::tempdir()?;
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/python/packaged");
        fs::create_dir(sources.path().join("textstats"))?;
        for file in [
            "main.py",
            "setup.py",
            "requirements.txt",
            "textstats/__init__.py",
            "textstats/lengths.py",
        ] {
            fs::copy(from.join(file), sources.path().join(file))
                .with_context(|| file.to_owned())?;
        }
        Ok(Self { sources })
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.sources.path().join(file).display().to_string()
    }

    /// Runs it on workers made by the emulator. Nothing may be fetched from an index: the package is not there.
    fn run(&self, emulator: &Emulator, flag: Option<String>) -> Result<Ran> {
        let prepared = Prepared::get();
        let mut pipeline = Pipeline::python(&self.sources.path().join("main.py"), &prepared.text)?
            .variable("PIP_NO_INDEX", "1")
            .variable("PIP_FIND_LINKS", &prepared.packages)
            .argument(format!(
                "--requirements_cache={}",
                self.path("requirements-cache")
            ));
        if let Some(flag) = flag {
            pipeline = pipeline.argument(flag);
        }
        pipeline.run(emulator.endpoint(), &Environment::DefaultImage)
    }

    fn finds_its_package(&self, flag: String) -> Result<()> {
        let emulator = Emulator::start();
        self.run(&emulator, Some(flag))?
            .check(&expect::word_lengths(&Prepared::get().text)?)?;
        emulator.check_nothing_left()?;
        emulator.stop()
    }
}

/// The file of `textstats` that ends like this.
pub(crate) fn package(end: &str) -> Result<String> {
    let files = fs::read_dir(&Prepared::get().packages)?;
    let paths = files
        .flatten()
        .map(|entry| entry.path().display().to_string());
    paths
        .into_iter()
        .find(|path| path.ends_with(end))
        .with_context(|| format!("no {end} among the packages"))
}

#[test]
fn requirements_file_with_a_local_package() -> Result<()> {
    let packaged = Packaged::new()?;
    packaged.finds_its_package(format!(
        "--requirements_file={}",
        packaged.path("requirements.txt")
    ))
}

#[test]
fn extra_package_as_source_archive() -> Result<()> {
    Packaged::new()?.finds_its_package(format!("--extra_package={}", package(".tar.gz")?))
}

#[test]
fn extra_package_as_wheel() -> Result<()> {
    Packaged::new()?.finds_its_package(format!("--extra_package={}", package(".whl")?))
}

#[test]
fn setup_file() -> Result<()> {
    let packaged = Packaged::new()?;
    packaged.finds_its_package(format!("--setup_file={}", packaged.path("setup.py")))
}

#[test]
fn a_module_that_was_not_staged_is_not_there() -> Result<()> {
    let emulator = Emulator::start();
    let ran = Packaged::new()?.run(&emulator, None)?;
    let output = &ran.finished.output;
    ensure!(!ran.finished.success, "it succeeded:\n{output}");
    // The client shows the job's messages.
    ensure!(
        output.contains("No module named 'textstats'"),
        "the messages do not name the module:\n{output}"
    );
    emulator.check_nothing_left()?;
    emulator.stop()
}
