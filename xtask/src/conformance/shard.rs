//! Shares tests out to processes, and goes on after a process hangs or dies.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::outcome::{Event, Outcome, TestResult};
use super::process::Group;
use super::setting::Workers;
use super::suite::{Batch, Suite};

/// How much longer than its limit a test may take before its process is killed: a suite that stops its tests itself can go on
/// with the next one, so it has the first try.
const GRACE: Duration = Duration::from_secs(15);

/// How long a process may take before it starts its first test.
const START_UP: Duration = Duration::from_secs(120);

/// How much of a log is the message of a test whose process died.
const MESSAGE_LENGTH: usize = 4000;

/// Where the tests' pipelines run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The job endpoint, HOST:PORT.
    pub(crate) endpoint: &'a str,
    /// What the tests' code is to run in.
    pub(crate) workers: Workers,
    /// Seconds that one test may take.
    pub(crate) limit_seconds: u64,
}

/// Runs all tests in up to `jobs` processes at a time. The results are in the order of the names.
pub(crate) fn run(
    suite: &dyn Suite,
    tests: &[String],
    target: Target<'_>,
    jobs: usize,
) -> Result<Vec<TestResult>> {
    let folder = super::suite::target_folder(crate::workspace::root(), suite.name()).join("runs");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;

    let queue = Mutex::new(batches(tests, suite.tests_per_process(), jobs));
    let run = Run {
        suite,
        target,
        folder: &folder,
    };
    let results = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
            .map(|job| {
                scope.spawn({
                    let (run, queue) = (&run, &queue);
                    move || run.work(queue, job)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| bail!("a thread that runs tests panicked"))
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let mut results: Vec<_> = results.into_iter().flatten().collect();
    results.sort_by(|a, b| a.test.cmp(&b.test));
    Ok(results)
}

/// Cuts the tests into as many batches as there are jobs, or into more if a process shall not run as many.
fn batches(tests: &[String], most: usize, jobs: usize) -> VecDeque<Vec<String>> {
    let size = tests.len().div_ceil(jobs).min(most).max(1);
    tests.chunks(size).map(<[String]>::to_vec).collect()
}

/// What is the same for all batches of a run.
struct Run<'a> {
    suite: &'a dyn Suite,
    target: Target<'a>,
    folder: &'a Path,
}

impl Run<'_> {
    /// Takes batches until none is left.
    fn work(&self, queue: &Mutex<VecDeque<Vec<String>>>, job: usize) -> Result<Vec<TestResult>> {
        let mut results = Vec::new();
        for number in 0.. {
            let batch = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front();
            let Some(mut rest) = batch else { break };
            for attempt in 0.. {
                let run = format!("job{job}-batch{number}-{attempt}");
                let ended = self.run_batch(&rest, &run)?;
                let done = ended.len();
                for result in ended {
                    rest.retain(|test| *test != result.test);
                    results.push(result);
                }
                if rest.is_empty() {
                    break;
                }
                if done == 0 {
                    bail!(
                        "the {} suite ran none of {rest:?}; see {run}.log in {}",
                        self.suite.name(),
                        self.folder.display()
                    );
                }
            }
        }
        Ok(results)
    }

    /// Runs tests in one process until all are over or the process is.
    fn run_batch(&self, tests: &[String], run: &str) -> Result<Vec<TestResult>> {
        let tests_file = self.folder.join(format!("{run}.tests"));
        let events_file = self.folder.join(format!("{run}.events"));
        let log = self.folder.join(format!("{run}.log"));
        fs::write(&tests_file, tests.join("\n"))?;
        fs::write(&events_file, "")?;
        let batch = Batch {
            tests,
            tests_file,
            events_file,
            endpoint: self.target.endpoint,
            workers: self.target.workers,
            limit_seconds: self.target.limit_seconds,
        };
        let start = Instant::now();
        let mut group = Group::start(&mut self.suite.command(&batch)?, &log)?;

        let mut watch = Watch::new(start);
        let mut success = None;
        loop {
            let over = group.poll()?;
            watch.read(&batch.events_file)?;
            if let Some(status) = over {
                success = Some(status.success());
                break;
            }
            if Instant::now() >= watch.deadline(Duration::from_secs(self.target.limit_seconds)) {
                break;
            }
            Group::pause();
        }
        drop(group);
        let log = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        Ok(self.conclude(watch, tests, success, start, &log))
    }

    /// The results of the tests that are over, with the one that was running when the process ended.
    fn conclude(
        &self,
        watch: Watch,
        tests: &[String],
        success: Option<bool>,
        start: Instant,
        log: &str,
    ) -> Vec<TestResult> {
        let mut results = watch.results;
        let last = self.last(
            tests,
            watch.running,
            results.is_empty(),
            success,
            start,
            log,
        );
        if let Some(last) = last {
            announce(&last);
            results.push(last);
        }
        results
    }

    /// The result of the test that the process did not report itself, if there is one.
    fn last(
        &self,
        tests: &[String],
        running: Option<(String, Instant)>,
        none_reported: bool,
        success: Option<bool>,
        start: Instant,
        log: &str,
    ) -> Option<TestResult> {
        let seconds = start.elapsed().as_secs_f64();
        let judged = success.and_then(|success| self.suite.judge(log, success));
        match (judged, tests, running) {
            (Some(outcome), [test], _) => {
                let passed = outcome == Outcome::Passed;
                let message = if passed { String::new() } else { excerpt(log) };
                let test = test.clone();
                Some(TestResult {
                    test,
                    outcome,
                    seconds,
                    message,
                })
            }
            (None, [test], None) if none_reported && self.suite.tests_per_process() == 1 => {
                Some(hung(test.clone(), seconds, log))
            }
            (_, _, Some((test, since))) => {
                let seconds = since.elapsed().as_secs_f64();
                Some(match success {
                    None => hung(test, seconds, log),
                    Some(_) => TestResult {
                        test,
                        outcome: Outcome::Failed,
                        seconds,
                        message: format!("its process died\n{}", excerpt(log)),
                    },
                })
            }
            _ => None,
        }
    }
}

fn hung(test: String, seconds: f64, log: &str) -> TestResult {
    TestResult {
        test,
        outcome: Outcome::TimedOut,
        seconds,
        message: excerpt(log),
    }
}

/// Shows a result as soon as it is known.
fn announce(result: &TestResult) {
    println!(
        "{:8} {:7.2} s  {}",
        result.outcome.word(),
        result.seconds,
        result.test
    );
}

/// Follows the events of a process.
struct Watch {
    read_lines: usize,
    results: Vec<TestResult>,
    running: Option<(String, Instant)>,
    idle_since: Instant,
}

impl Watch {
    fn new(now: Instant) -> Self {
        Self {
            read_lines: 0,
            results: Vec::new(),
            running: None,
            idle_since: now,
        }
    }

    /// Takes in the lines that were added since the last time.
    fn read(&mut self, events: &Path) -> Result<()> {
        let text =
            fs::read_to_string(events).with_context(|| format!("reading {}", events.display()))?;
        // What has no line end yet is still being written.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in complete.lines().skip(self.read_lines) {
            self.read_lines += 1;
            let event =
                serde_json::from_str(line).with_context(|| format!("not an event: {line}"))?;
            self.take(event);
        }
        Ok(())
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Start { test } => self.running = Some((test, Instant::now())),
            Event::End {
                test,
                outcome,
                seconds,
                message,
            } => {
                self.running = None;
                self.idle_since = Instant::now();
                let result = TestResult {
                    test,
                    outcome,
                    seconds,
                    message,
                };
                announce(&result);
                self.results.push(result);
            }
        }
    }

    /// When the process has to be killed if nothing happens until then.
    fn deadline(&self, limit: Duration) -> Instant {
        match &self.running {
            Some((_, since)) => *since + limit + GRACE,
            None => self.idle_since + limit.max(START_UP),
        }
    }
}

/// The beginning and the end of a log: the one has the error, or the other.
fn excerpt(log: &str) -> String {
    if log.len() <= MESSAGE_LENGTH {
        return log.to_owned();
    }
    let head = log.floor_char_boundary(MESSAGE_LENGTH / 2);
    let tail = log.ceil_char_boundary(log.len() - MESSAGE_LENGTH / 2);
    format!("{}\n[...]\n{}", &log[..head], &log[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[test]
    fn every_test_is_in_one_batch() {
        for (count, most, jobs, expected) in [
            (7, usize::MAX, 2, 2),
            (7, 1, 2, 7),
            (1, usize::MAX, 4, 1),
            (10, 3, 2, 4),
        ] {
            let batches = batches(&names(count), most, jobs);
            assert_eq!(
                batches.len(),
                expected,
                "{count} tests, {most} in a process, {jobs} jobs"
            );
            assert_eq!(
                batches.into_iter().flatten().collect::<Vec<_>>(),
                names(count)
            );
        }
    }

    #[test]
    fn a_line_without_end_is_read_later() {
        let folder = tempfile::tempdir().unwrap();
        let events = folder.path().join("events");
        let mut watch = Watch::new(Instant::now());
        fs::write(
            &events,
            "{\"event\":\"start\",\"test\":\"a\"}\n{\"event\":\"e",
        )
        .unwrap();
        watch.read(&events).unwrap();
        assert_eq!(
            watch.running.as_ref().map(|(test, _)| test.as_str()),
            Some("a")
        );
        let end = r#"{"event":"end","test":"a","outcome":"passed","seconds":1,"message":""}"#;
        fs::write(
            &events,
            format!("{{\"event\":\"start\",\"test\":\"a\"}}\n{end}\n"),
        )
        .unwrap();
        watch.read(&events).unwrap();
        assert!(watch.running.is_none());
        assert_eq!(watch.results.len(), 1);
    }
}
