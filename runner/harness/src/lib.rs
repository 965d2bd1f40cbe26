//! The runner side of the Fn API, and worker pools.
//!
//! [`FnApi`] owns the gRPC services that SDK harnesses connect to: control, data, state, logging,
//! worker status, provisioning and artifact retrieval. One instance serves every worker of every
//! job; workers are told apart by the `worker_id` metadata that SDKs attach to each call. The
//! server mounts [`FnApi::routes`] on its port.
//!
//! What it is not: it decides nothing about a job. It knows no pipeline, no windows, no
//! retries; it moves encoded elements and timers, answers state requests through a handler that
//! the caller gives, and reports how each bundle ended.
//!
//! Start at [`FnApi::expect_worker`], which leads to a [`Worker`], then
//! [`Worker::process_bundle`], which leads to a [`RunningBundle`].
//! [`pool`] starts and stops the processes and containers that connect here.

pub mod artifacts;
pub mod bundle;
mod control;
mod data;
pub mod descriptor;
pub mod error;
pub mod fn_api;
pub mod logging;
mod metrics;
mod peer;
pub mod pool;
mod provision;
mod registry;
mod retrieval;
pub mod state;
mod status;
pub mod worker;

pub use artifacts::ArtifactSource;
pub use bundle::{
    BundleHandle, BundleInputs, BundleOutput, BundleOutputs, BundleRequest, InputChunk,
    RunningBundle,
};
pub use descriptor::Port;
pub use error::{BundleError, WorkerError};
pub use fn_api::{FnApi, FnApiOptions};
pub use logging::LogSink;
pub use peer::{Process, ProcessorTime};
pub use provision::{Provision, RUNNER_CAPABILITIES};
pub use state::StateHandler;
pub use worker::{Worker, WorkerConnection, WorkerRegistration};
