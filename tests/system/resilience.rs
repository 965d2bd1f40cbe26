//! What dies, and what comes of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dataflume_tests::workers::{self, Worker};
use dataflume_tests::{
    Emulator, EmulatorOptions, Environment, Pipeline, Prepared, Sdk, expect, wait_until,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How soon workers have to be gone after the emulator was killed.
const ORPHANS_LIVE: Duration = Duration::from_secs(5);

/// How soon the next start has removed what a killed one left.
const SWEEP: Duration = Duration::from_secs(10);

/// How long a worker may take to appear.
const WORKER_START: Duration = Duration::from_secs(30);

/// Kills a worker at the moment, counted from when the job's first worker appears. False if the job was over by then.
fn kill_one(emulator: u32, moment: Duration, choice: usize, job_over: &AtomicBool) -> bool {
    let mut first_seen = None;
    loop {
        if job_over.load(Ordering::Relaxed) {
            return false;
        }
        let harnesses: Vec<Worker> = workers::harnesses(emulator);
        if !harnesses.is_empty() {
            let since = *first_seen.get_or_insert_with(Instant::now);
            if since.elapsed() >= moment {
                harnesses[choice % harnesses.len()].kill();
                return true;
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// For how long a job has workers.
fn lifetime(emulator: u32, job_over: &AtomicBool) -> Duration {
    let mut first_seen = None;
    let mut lived = Duration::ZERO;
    while !job_over.load(Ordering::Relaxed) {
        if !workers::harnesses(emulator).is_empty() {
            lived = first_seen.get_or_insert_with(Instant::now).elapsed();
        }
        thread::sleep(Duration::from_millis(1));
    }
    lived
}

/// Runs the word count `kills` times, in each run killing a worker at a random moment.
fn survives_killed_workers(sdk: Sdk, kills: usize, seed: u64) -> Result<()> {
    let emulator = Emulator::start();
    let text = &Prepared::get().text;
    let expected = expect::word_counts(text)?;
    let run = || {
        Pipeline::example(sdk, "wordcount", text)?
            .run(emulator.endpoint(), &Environment::DefaultImage)
    };

    // Undisturbed, to know within what time a worker can be killed.
    let over = AtomicBool::new(false);
    let (undisturbed, lived) = thread::scope(|scope| {
        let watch = scope.spawn(|| lifetime(emulator.pid(), &over));
        let ran = run();
        over.store(true, Ordering::Relaxed);
        (ran, watch.join().unwrap_or_default())
    });
    undisturbed?.check(&expected)?;
    let longest_ms = u64::try_from(lived.as_millis())?.max(1);
    emulator.check_nothing_left()?;

    let mut random = StdRng::seed_from_u64(seed);
    let mut killed = 0;
    let mut runs = 0;
    while killed < kills {
        runs += 1;
        ensure!(
            runs <= 10 * kills,
            "in {runs} runs only {killed} workers lived long enough to be killed (seed {seed})"
        );
        let moment = Duration::from_millis(random.random_range(0..longest_ms));
        let choice = random.random_range(0..usize::from(u8::MAX));
        let over = AtomicBool::new(false);
        let (ran, hit) = thread::scope(|scope| {
            let killer = scope.spawn(|| kill_one(emulator.pid(), moment, choice, &over));
            let ran = run();
            over.store(true, Ordering::Relaxed);
            (ran, killer.join().unwrap_or(false))
        });
        ran?.check(&expected)
            .with_context(|| format!("run {runs} (seed {seed}), killed after {moment:?}: {hit}"))?;
        killed += usize::from(hit);
    }
    println!("{killed} workers killed in {runs} runs");
    emulator.check_nothing_left()?;
    emulator.stop()
}

#[test]
fn fifty_killed_go_workers_give_fifty_right_results() -> Result<()> {
    survives_killed_workers(Sdk::Go, 50, 0x05EE_D001)
}

#[test]
fn killed_python_workers_are_replaced() -> Result<()> {
    survives_killed_workers(Sdk::Python, 3, 0x05EE_D002)
}

#[test]
fn workers_die_with_the_emulator_and_the_next_start_sweeps() -> Result<()> {
    let data = tempfile::tempdir()?;
    let options = EmulatorOptions {
        data: Some(data.path()),
        ..EmulatorOptions::default()
    };
    let emulator = Emulator::start_with(&options)?;
    let endpoint = emulator.endpoint().to_owned();
    // Its client fails once the emulator is gone; that it takes part in nothing else is why nobody looks at how.
    let client = thread::spawn(move || {
        Pipeline::of_tests("sleeping")?.run(&endpoint, &Environment::DefaultImage)
    });
    let pid = emulator.pid();
    ensure!(
        wait_until(WORKER_START, || !workers::harnesses(pid).is_empty()),
        "no worker started\n{}",
        emulator.log()
    );
    let scratch = data.path().join("scratch");
    let left = entries(&scratch)?;
    ensure!(!left.is_empty(), "a running job has no scratch folder");

    emulator.kill();
    ensure!(
        wait_until(ORPHANS_LIVE, || workers::of_emulator(pid).is_empty()),
        "alive {ORPHANS_LIVE:?} after the emulator was killed: {:?}",
        workers::of_emulator(pid)
    );
    match client.join() {
        Ok(Ok(ran)) => ensure!(
            !ran.finished.success,
            "the client took a killed emulator for a success"
        ),
        Ok(Err(error)) => return Err(error.context("the client of the killed emulator")),
        Err(_) => bail!("the client's thread panicked"),
    }

    let next = Emulator::start_with(&options)?;
    let swept = || entries(&scratch).is_ok_and(|now| now.is_disjoint(&left));
    ensure!(
        wait_until(SWEEP, swept),
        "not swept: {:?}",
        entries(&scratch)?.intersection(&left).collect::<Vec<_>>()
    );
    next.stop()
}

/// The names in a folder.
fn entries(folder: &std::path::Path) -> Result<BTreeSet<String>> {
    let entries = std::fs::read_dir(folder)?;
    Ok(entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}
