//! The engine's limits.

/// What the engine may do, with the product's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// A bundle that fails this often fails the job. Dataflow's batch default.
    pub max_bundle_attempts: u32,
    /// A bundle whose worker is lost this often fails the job: it is the bundle that kills them.
    pub max_worker_losses: u32,
    /// How many bundles of the runner's own operators run at once.
    pub runner_slots: u32,
    /// A bundle takes no more elements than this, unless one indivisible piece holds more.
    pub max_bundle_elements: u64,
    /// A bundle takes no more bytes than this, unless one indivisible piece holds more.
    pub max_bundle_bytes: u64,
    /// While its consumers are busy and have more than this waiting, no grouping begins that could as well be done later: what it gives
    /// would have to be kept somewhere.
    pub max_waiting_bytes_of_grouping: u64,
    /// While slots are idle, a bundle that runs longer than this is asked to split.
    pub split_after_ms: i64,
    /// And while whole workers are idle, already after this time, and each time it has run for twice as long, if it has got through some of its input: it may
    /// as well be about to end, or wait for code to be loaded, and elements of a bundle are best processed together.
    pub early_split_after_ms: i64,
    /// A bundle of an unbounded splittable stage is checkpointed after this time.
    pub checkpoint_after_ms: i64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            max_bundle_attempts: 4,
            max_worker_losses: 20,
            runner_slots: 2,
            max_bundle_elements: 1_000_000,
            max_bundle_bytes: 32 << 20,
            max_waiting_bytes_of_grouping: 16 << 20,
            split_after_ms: 500,
            early_split_after_ms: 25,
            checkpoint_after_ms: 500,
        }
    }
}
