//! The whole system: real pipelines of real SDKs against the real emulator, and what happens when something dies.

mod cached_state;
mod clock;
mod dataflow;
mod early_workers;
mod embedded;
mod files_in_small_bundles;
mod java_classes;
mod long_bundles;
mod packages;
mod progress;
mod resilience;
mod teardown;
mod warm_workers;
mod weather;
mod word_counts;
