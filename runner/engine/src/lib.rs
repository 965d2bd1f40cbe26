//! The state machine that runs a plan: watermarks, holds, timers, bundles, retries, splits.
//!
//! [`Engine::handle`] takes what happened and the time it happened at; [`Engine::poll_action`]
//! gives what must be done, one action at a time; [`Engine::next_deadline`] says when to call again
//! though nothing happened. It knows no clock, runtime, socket, randomness or file, and it never
//! sees an element: data is a [`DataHandle`] with a count, a size and a smallest timestamp.
//!
//! Start at [`io`], the contract; then [`Engine::handle`]. Storage as operators see it is
//! [`store::Store`].

pub mod autoscale;
mod clock;
mod config;
mod drain;
mod dump;
mod effects;
mod engine;
mod fail;
pub mod grouping;
mod holds;
mod io;
mod load;
mod pending;
mod schedule;
mod split;
mod stage;
pub mod store;
mod test_stream;
mod topology;
mod watermark;
mod workers;

pub use clock::Clock;
pub use config::EngineConfig;
pub use engine::Engine;
pub use io::{
    Action, Bundle, BundleFailure, DataHandle, DataId, Effects, Executor, Fraction, Input,
    JobOutcome, KeyGroupSummary, PendingData, SplitCondition, Work,
};
