//! The job service: what jobs there are, what state each is in, what it said.
//!
//! It knows no public API: adapters (Beam's Job API, Dataflow's v1b3) decode, call [`JobService`], and
//! encode; what a job that came by one of them is, the other shows as well. Nor does it know how a job is run: that is a [`JobRunner`]'s.
//!
//! A job comes in two steps, as both APIs need it: [`JobService::prepare`] checks the pipeline, so
//! that its artifacts can be staged, then [`JobService::run`] starts it. [`Job::listen`] tells
//! everything that ever happened to it and then everything that happens, until it ended.

mod error;
mod history;
mod job;
mod message;
mod retention;
pub mod runner;
mod service;
mod state;
mod submission;

pub use error::JobError;
pub use history::{Entry, Listener};
pub use job::{Job, MESSAGES_TARGET};
pub use message::{Importance, JobMessage, WorkersEvent};
pub use runner::{
    EnvironmentArtifacts, JobControl, JobEvents, JobMetrics, JobRunner, JobSpec, Refusal,
    StageProgress, Usage,
};
pub use service::{JobService, Preparation, PrepareRequest, ServiceOptions, Submitted};
pub use state::{JobState, StateEvent};
pub use submission::{Scaling, Scope, Submission, WorkerLimits, WorkerLogs, WorkerWishes};
