//! Runs one job: drives the engine against workers, and holds the data between them.
//!
//! [`job::start`] takes a plan and pools that start workers, and gives a [`job::JobHandle`]. The
//! loop in `job` turns what happens into inputs of the engine and carries out its actions;
//! `bundle` executes bundles, on SDK workers or on the runner; [`data`] holds and cuts encoded
//! elements; [`shuffle`] groups them; [`side_input`] answers what stages look up; [`state`] and
//! [`timers`] are what stateful DoFns keep; `window_fn` asks SDKs about windows of the user's own kind;
//! [`metrics`] adds up what SDKs report.
//!
//! What it is not: it decides nothing about when a bundle runs (the engine does), and knows no
//! public API.

mod bundle;
pub mod clock;
pub mod data;
pub mod job;
pub mod machine;
pub mod metrics;
mod sdk;
pub mod shuffle;
pub mod side_input;
pub mod state;
pub mod timers;
mod window_fn;
