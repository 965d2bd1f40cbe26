//! The second job with the same jars has workers that map an archive of the classes the first one loaded.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use dataflume_tests::{
    Emulator, EmulatorOptions, Environment, Pipeline, Prepared, Sdk, expect, wait_until, workers,
};

/// How long an archive may take. It is made when nobody else wants the processor.
const MADE: Duration = Duration::from_secs(180);

const LOOK: Duration = Duration::from_millis(20);

/// The archives that are there.
fn archives(data: &std::path::Path) -> Vec<PathBuf> {
    let shelves = fs::read_dir(data.join("java-classes"));
    let shelves = shelves.into_iter().flatten().flatten();
    shelves
        .map(|shelf| shelf.path().join("classes.jsa"))
        .filter(|archive| archive.exists())
        .collect()
}

/// What of the archives the emulator's workers have mapped.
fn mapped(pid: u32) -> Vec<PathBuf> {
    let workers = workers::harnesses(pid).into_iter();
    let maps =
        workers.filter_map(|worker| fs::read_to_string(format!("/proc/{}/maps", worker.pid)).ok());
    maps.flat_map(|maps| {
        let files = maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5));
        let archives = files.filter(|file| file.ends_with(".jsa"));
        archives.map(PathBuf::from).collect::<Vec<_>>()
    })
    .collect()
}

/// Counts words, and gives the archives that workers had mapped meanwhile.
fn count_words(emulator: &Emulator) -> Result<Vec<PathBuf>> {
    let (seen, done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let text = &Prepared::get().text;
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let now = mapped(emulator.pid());
                seen.lock()
                    .unwrap_or_else(|error| error.into_inner())
                    .extend(now);
                thread::sleep(LOOK);
            }
        });
        let ran = Pipeline::example(Sdk::Java, "wordcount", text)
            .and_then(|job| job.run(emulator.endpoint(), &Environment::DefaultImage));
        done.store(true, Ordering::Release);
        ran?.check(&expect::word_counts(text)?)
    })?;
    emulator.check_nothing_left()?;
    Ok(seen.into_inner().unwrap_or_else(|error| error.into_inner()))
}

#[test]
fn the_next_job_maps_what_the_first_one_loaded() -> Result<()> {
    let data = tempfile::tempdir()?;
    let start = |arguments| {
        Emulator::start_with(&EmulatorOptions {
            data: Some(data.path()),
            arguments,
            ..EmulatorOptions::default()
        })
    };
    let emulator = start(&[])?;
    let seen = count_words(&emulator)?;
    ensure!(
        !seen.iter().any(|file| file.starts_with(data.path())),
        "{seen:?}"
    );
    ensure!(
        wait_until(MADE, || !archives(data.path()).is_empty()),
        "no archive was made\n{}",
        emulator.log()
    );
    let archives = archives(data.path());
    let seen = count_words(&emulator)?;
    ensure!(
        seen.iter().any(|file| archives.contains(file)),
        "mapped {seen:?}, not {archives:?}"
    );
    emulator.stop()?;
    // It is there for the next emulator too. One that was broken is made anew.
    fs::remove_file(&archives[0])?;
    fs::write(&archives[0], "broken")?;
    let emulator = start(&[])?;
    let seen = count_words(&emulator)?;
    ensure!(
        !seen.iter().any(|file| file.starts_with(data.path())),
        "{seen:?}"
    );
    ensure!(
        wait_until(MADE, || !self::archives(data.path()).is_empty()),
        "no archive was made\n{}",
        emulator.log()
    );
    let seen = count_words(&emulator)?;
    ensure!(
        seen.iter().any(|file| archives.contains(file)),
        "mapped {seen:?}, not {archives:?}"
    );
    emulator.stop()?;
    // None is kept where none is wanted.
    let emulator = start(&["--java-class-archives", "0"])?;
    let seen = count_words(&emulator)?;
    ensure!(
        !seen.iter().any(|file| file.starts_with(data.path())),
        "{seen:?}"
    );
    emulator.stop()?;
    ensure!(self::archives(data.path()).is_empty());
    Ok(())
}
