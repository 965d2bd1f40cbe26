//! The elements themselves: held, spilled, cut for their consumers.
//!
//! The engine decides over [`DataHandle`](dataflume_engine::DataHandle)s; what they stand for is
//! here. [`DataStore`] holds encoded chunks within a memory budget, [`cut`] turns what a bundle
//! writes into handles, [`hash`] says which key belongs to which key group.

pub mod cut;
mod error;
pub mod hash;
mod options;
mod spill;
mod store;

pub use error::DataError;
pub use options::DataOptions;
pub use store::{Blocks, DataStats, DataStore, DataWriter};
