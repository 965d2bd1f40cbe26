//! What a job tells its user.

use std::time::SystemTime;

/// How much a message matters. Beam's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Importance {
    /// For who develops the emulator, and what workers print.
    Debug,
    /// For who looks closely.
    Detailed,
    /// For every reader.
    Basic,
    /// Something went wrong and was dealt with.
    Warning,
    /// Something went wrong for good.
    Error,
}

/// A message of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMessage {
    /// Unique within the job; later messages have larger ones.
    pub id: u64,
    /// When it was said.
    pub time: SystemTime,
    /// How much it matters.
    pub importance: Importance,
    /// The text.
    pub text: String,
}

/// A change of how many workers a job has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkersEvent {
    /// When it happened.
    pub time: SystemTime,
    /// How many are ready, as far as the job was told.
    pub current: u32,
    /// How many there are to be.
    pub target: u32,
    /// What happened.
    pub text: String,
}
