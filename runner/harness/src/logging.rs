//! The logging service: what workers log, handed to the job's sink.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dataflume_proto::fn_execution::beam_fn_logging_server::BeamFnLogging;
use dataflume_proto::fn_execution::{LogControl, LogEntry, log_entry};
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::registry::{Registry, WorkerState};

/// Receives the log entries of one job's workers.
///
/// Called from the stream's task: it must not block, and must bound what it keeps.
pub trait LogSink: Send + Sync {
    /// Takes a batch of entries in the order in which the worker sent them.
    fn log(&self, worker_id: &str, entries: Vec<LogEntry>);
}

/// A sink that hands everything to `tracing`, at debug level: for tests and tools.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingSink;

impl LogSink for TracingSink {
    fn log(&self, worker_id: &str, entries: Vec<LogEntry>) {
        for entry in entries {
            debug!(
                worker_id,
                severity = entry.severity().as_str_name(),
                location = entry.log_location,
                instruction = entry.instruction_id,
                trace = entry.trace,
                "{}",
                entry.message
            );
        }
    }
}

/// What harnesses say when they have torn down, and what the name of the place ends with where they do: Java's class, Python's
/// file. Java's ends its log up to a second later, Python's a hundredth.
const LAST_WORDS: [(&str, &str); 2] = [
    (
        "org.apache.beam.fn.harness.FnHarness",
        "Shutting SDK harness down.",
    ),
    (
        "/apache_beam/runners/worker/sdk_worker.py",
        "Done consuming work.",
    ),
];

/// `BeamFnLogging` over the registry.
pub(crate) struct LoggingService {
    pub(crate) registry: Arc<Registry>,
}

#[tonic::async_trait]
impl BeamFnLogging for LoggingService {
    type LoggingStream = BoxStream<'static, Result<LogControl, Status>>;

    async fn logging(
        &self,
        request: Request<Streaming<log_entry::List>>,
    ) -> Result<Response<Self::LoggingStream>, Status> {
        let worker = self.registry.worker_unless_departed(&request, "logging")?;
        if let Some(worker) = &worker {
            worker.logs.store(true, Ordering::Relaxed);
        }
        let mut entries = request.into_inner();
        // No LogControl is ever sent; the response ends when the worker has ended its side, which
        // is what SDKs wait for to know that their last entries have arrived. The entries are read
        // by a task of its own so that what a dying worker said last is still read.
        let (open, control) = mpsc::channel(1);
        tokio::spawn(async move {
            let _open: mpsc::Sender<Result<LogControl, Status>> = open;
            listen(worker.as_deref(), &mut entries).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(control))))
    }
}

/// Takes what a worker says until it has said all. `None` is a worker that was let go before it came: it is heard out.
async fn listen(worker: Option<&WorkerState>, entries: &mut Streaming<log_entry::List>) {
    loop {
        match entries.message().await {
            Ok(Some(list)) => {
                if let Some(worker) = worker {
                    take(worker, list);
                }
            }
            Ok(None) => break,
            Err(status) => {
                debug!(worker_id = worker.map(|worker| &worker.id), %status, "logging stream ended");
                break;
            }
        }
    }
    if let Some(worker) = worker {
        worker.said_all.cancel();
    }
}

fn take(worker: &WorkerState, list: log_entry::List) {
    let has_left = list.log_entries.iter().any(says_that_it_has_left);
    worker.log.log(&worker.id, list.log_entries);
    if has_left {
        worker.said_all.cancel();
    }
}

fn says_that_it_has_left(entry: &LogEntry) -> bool {
    // Python's names the line too.
    let place = entry.log_location.split(':').next().unwrap_or_default();
    LAST_WORDS
        .iter()
        .any(|(said_in, words)| entry.message == *words && place.ends_with(said_in))
}
