//! What an interpreter prints: kept while it waits, its worker's from then on.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::super::output::{OutputStream, WorkerLogSink};

/// Lines kept for the worker; importing prints a few warnings at most.
const KEPT_LINES: usize = 50;

/// The sink of an interpreter that gets its worker later.
#[derive(Default)]
pub(super) struct Output(Mutex<State>);

#[derive(Default)]
struct State {
    kept: Vec<(OutputStream, String)>,
    worker: Option<(String, Arc<dyn WorkerLogSink>)>,
}

impl Output {
    /// From now on this is where it goes, and what came before.
    pub(super) fn belongs_to(&self, worker_id: &str, sink: Arc<dyn WorkerLogSink>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (stream, line) in state.kept.drain(..) {
            sink.line(worker_id, stream, &line);
        }
        state.worker = Some((worker_id.to_owned(), sink));
    }
}

impl WorkerLogSink for Output {
    fn line(&self, _: &str, stream: OutputStream, line: &str) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.worker {
            Some((worker_id, sink)) => sink.line(worker_id, stream, line),
            None if state.kept.len() < KEPT_LINES => state.kept.push((stream, line.to_owned())),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);

    impl WorkerLogSink for Seen {
        fn line(&self, worker_id: &str, _: OutputStream, line: &str) {
            self.0.lock().unwrap().push(format!("{worker_id}: {line}"));
        }
    }

    #[test]
    fn what_was_printed_before_belongs_to_the_worker_too() {
        let (output, seen) = (Output::default(), Arc::new(Seen::default()));
        output.line("parked", OutputStream::Stderr, "a warning");
        output.belongs_to("worker-1", seen.clone());
        output.line("parked", OutputStream::Stdout, "hello");
        assert_eq!(
            *seen.0.lock().unwrap(),
            ["worker-1: a warning", "worker-1: hello"]
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (output, seen) = (Output::default(), Arc::new(Seen::default()));
        for _ in 0..2 * KEPT_LINES {
            output.line("parked", OutputStream::Stderr, "again");
        }
        output.belongs_to("worker-1", seen.clone());
        assert_eq!(seen.0.lock().unwrap().len(), KEPT_LINES);
    }
}
