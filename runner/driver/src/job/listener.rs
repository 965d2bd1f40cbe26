//! Who wants to know what happens to a job.

use dataflume_proto::fn_execution::LogEntry;

use super::scaling::ScalingEvent;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Importance {
    /// For whoever looks closely.
    Detail,
    /// For every reader.
    Basic,
    /// Something went wrong and was dealt with.
    Warning,
    /// Something went wrong for good.
    Error,
}

/// Where a job's workers are, taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkersPhase {
    /// Every worker that the job began with is ready.
    AllReady,
    /// The job has come to its end: they are about to be stopped.
    Stopping,
    /// None is left.
    Stopped,
}

/// Receives what a job says. Calls come from the job's own tasks: they must not block.
pub trait JobListener: Send + Sync {
    /// A message for the job's user.
    fn message(&self, importance: Importance, text: String);

    /// What a worker's SDK logged.
    fn worker_log(&self, worker_id: &str, entries: Vec<LogEntry>);

    /// What a worker's process printed.
    fn worker_output(&self, worker_id: &str, line: &str);

    /// The first worker is ready: the job can make progress.
    fn running(&self);

    /// The workers have come into a phase: each once at most, and in this order.
    fn workers(&self, phase: WorkersPhase);

    /// The number of workers of an environment is about to change.
    fn scaled(&self, event: ScalingEvent);
}
