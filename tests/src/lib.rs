//! What the whole-system tests stand on: the real emulator as a process, real SDK programs as its clients, and ways to look at
//! what is left when they are gone.
//!
//! It is no framework: a test starts an [`Emulator`], runs [`Pipeline`]s against it, and compares their output with a computation
//! that knows nothing of Beam ([`expect`]). Nothing here is linked with the emulator; what the tests see is what a user sees.
//!
//! Start reading at `system/main.rs`. `cargo xtask test` runs everything; `cargo test -p dataflume-tests` does too, and prepares
//! what is missing first ([`Prepared`]).

mod alone;
mod command;
mod emulator;
pub mod expect;
mod pipeline;
mod prepared;
mod worker_pool;
pub mod workers;

pub use alone::Alone;
pub use command::{Finished, run_within, wait_until};
pub use emulator::{CLEAN_UP, Emulator, EmulatorOptions};
pub use pipeline::{Environment, Pipeline, Ran, Sdk};
pub use prepared::{Prepared, emulator_program, workspace};
pub use worker_pool::WorkerPool;
