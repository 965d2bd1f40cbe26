//! What workers print: handed to the job's sink line by line, and the end of it kept.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// How many of the last lines are kept to explain an exit.
const TAIL_LINES: usize = 50;

/// Longer lines are handed on in pieces, so that output without line ends can't fill memory.
const LINE_LIMIT_BYTES: usize = 16 << 10;

/// Which of a process's two outputs a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Receives the lines that one job's workers print, as opposed to what they log through the Fn
/// API. Must not block, and must bound what it keeps.
pub trait WorkerLogSink: Send + Sync {
    /// Takes one line, without its end.
    fn line(&self, worker_id: &str, stream: OutputStream, line: &str);
}

/// The last lines of one worker's output.
#[derive(Clone, Default)]
pub(crate) struct Tail {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Tail {
    pub(crate) fn push(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// A sentence, followed by the kept lines if there are any.
    pub(crate) fn explain(&self, what: impl fmt::Display) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return format!("{what}; it printed nothing");
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        format!("{what}; its last output:\n{}", lines.join("\n"))
    }
}

/// Where one worker's lines go.
#[derive(Clone)]
pub(crate) struct Lines {
    pub(crate) worker_id: String,
    pub(crate) sink: Arc<dyn WorkerLogSink>,
    pub(crate) tail: Tail,
}

impl Lines {
    pub(crate) fn take(&self, stream: OutputStream, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let line = line.trim_end_matches(['\n', '\r']);
        self.tail.push(line);
        self.sink.line(&self.worker_id, stream, line);
    }

    /// Takes what has arrived of a stream. What is not a whole line yet stays pending.
    pub(crate) fn take_piece(&self, stream: OutputStream, pending: &mut Vec<u8>, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            pending.extend_from_slice(part);
            if part.ends_with(b"\n") || pending.len() >= LINE_LIMIT_BYTES {
                self.take(stream, pending);
                pending.clear();
            }
        }
    }

    /// Reads a pipe to its end.
    pub(crate) async fn read(self, stream: OutputStream, pipe: impl AsyncRead + Unpin) {
        let mut pipe = BufReader::with_capacity(LINE_LIMIT_BYTES, pipe);
        let mut line = Vec::new();
        loop {
            let piece = match pipe.fill_buf().await {
                Ok(piece) if !piece.is_empty() => piece,
                _ => break,
            };
            let length = piece.len();
            self.take_piece(stream, &mut line, piece);
            pipe.consume(length);
        }
        if !line.is_empty() {
            self.take(stream, &line);
        }
    }
}
