//! The streaming grouping: triggers, panes, holds, merging, expiry.

mod merging;
mod panes;
mod random;
mod store;
mod transcripts;
mod triggers;
mod world;
