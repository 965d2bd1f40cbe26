//! What can go wrong with a request about a job.

use super::runner::Refusal;
use super::state::JobState;

/// A request about a job that can't be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobError {
    /// No job has this id.
    #[error("there is no job with the id {0:?}: it was never run here, or was forgotten since")]
    UnknownJob(String),
    /// No pipeline was prepared under this id.
    #[error(
        "no pipeline was prepared under the id {0:?}, or it was given up since: prepare it again"
    )]
    UnknownPreparation(String),
    /// A preparation is good for one job.
    #[error(
        "the pipeline that was prepared under the id {0:?} was run already, as the job of that id"
    )]
    AlreadyRun(String),
    /// The pipeline can't run.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// Drain was asked for, of a job that is on its way to another end.
    #[error("job {job_id} can't be drained: it is {state}", state = state.as_str())]
    NotDrainable {
        /// The job.
        job_id: String,
        /// The state it is in.
        state: JobState,
    },
    /// Another active job has the name.
    #[error("there is already an active job named {name}: its id is {job_id}")]
    NameInUse {
        /// The name of both.
        name: String,
        /// The job that has it.
        job_id: String,
    },
    /// The server is about to end.
    #[error("the emulator is shutting down and takes no more jobs")]
    ShuttingDown,
    /// The check of a pipeline panicked.
    #[error("the pipeline could not be checked: {0}")]
    CheckFailed(String),
}
