//! Bundles in flight: sending input, taking output, and how they end.
//!
//! # Back-pressure
//!
//! Input: [`BundleHandle::send_data`] waits while the worker's data connection has a few messages
//! queued, which it has for as long as the harness does not read.
//!
//! Output: each bundle has a byte budget for output that its consumer has not taken. When the
//! worker's data stream brings more, the harness stops reading that worker's stream until the
//! consumer takes something, and the SDK's writers block.
//!
//! One connection carries all of a worker's bundles, so a bundle whose consumer is slow can delay
//! the others' output, but nothing can deadlock as long as one rule is kept: **a bundle's outputs
//! are consumed independently of its input, its state handler and every other bundle**. In
//! particular they must be received while input is being sent, in another task or with
//! `select!`: an SDK that can't write stops reading. Reading never waits for a bundle that is
//! over, and a send to one returns its error.

mod handle;
pub(crate) mod input;
pub(crate) mod outputs;
pub(crate) mod shared;
pub(crate) mod start;

use std::sync::Arc;

use dataflume_proto::fn_execution::process_bundle_request::CacheToken;

pub use handle::BundleHandle;
pub use input::InputChunk;
pub use outputs::{BundleOutput, BundleOutputs};

use crate::state::StateHandler;

/// A bundle to process.
pub struct BundleRequest {
    /// Identifies the bundle on its worker, in the SDK's log entries too. Never used before on the
    /// worker: SDKs remember ids of bundles that have ended. Must not begin with `control-`.
    pub instruction_id: String,
    /// A descriptor that was [registered](crate::Worker::register) with the worker.
    pub descriptor_id: String,
    /// The input, or the promise to send it.
    pub inputs: BundleInputs,
    /// What the SDK may keep of its state and side inputs between bundles.
    pub cache_tokens: Vec<CacheToken>,
    /// The keys of the bundle have no state yet: the SDK need not ask.
    pub has_no_state: bool,
    /// No other bundle in flight has the same keys.
    pub only_bundle_for_keys: bool,
    /// Answers the bundle's state requests; [`NoState`](crate::state::NoState) if it has none.
    pub state: Arc<dyn StateHandler>,
}

/// How a bundle gets its input.
#[derive(Debug)]
pub enum BundleInputs {
    /// All of it: the harness sends it and ends the input. A small one travels within the control
    /// message, where the SDK can do that. Nothing can be sent after it.
    Complete(Vec<InputChunk>),
    /// Through [`BundleHandle::send_data`] and [`BundleHandle::send_timers`], until
    /// [`BundleHandle::end_inputs`].
    Streamed,
}

/// A bundle that an SDK harness is processing.
///
/// The two halves are meant to be used at the same time: see the [module](self) documentation.
#[derive(Debug)]
pub struct RunningBundle {
    /// Input, progress, splits, and the result.
    pub handle: BundleHandle,
    /// What the bundle writes.
    pub outputs: BundleOutputs,
}
