//! How a job was submitted: what only the API that it came by gives a meaning to.

use std::collections::BTreeMap;

use serde_json::Value;

/// How a job was submitted. Every field may be left out: Beam's Job API knows none of them.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The job's id, where its API has a format of its own for ids.
    pub id: Option<String>,
    /// Where the job belongs. One that belongs nowhere is seen from everywhere.
    pub scope: Option<Scope>,
    /// Tells a request that is sent once more from another one.
    pub request_id: Option<String>,
    /// Whether no other active job of the scope may have the same name.
    pub exclusive_name: bool,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// What workers the job wants.
    pub workers: WorkerWishes,
    /// Where warnings of its workers are told.
    pub worker_logs: WorkerLogs,
    /// What its user should know of it: the job's first messages.
    pub warnings: Vec<String>,
    /// The API's own description of the job, to be given back as it came.
    pub description: Value,
}

impl Submission {
    /// How much memory the description takes, about.
    pub(super) fn description_bytes(&self) -> usize {
        match &self.description {
            Value::Null => 0,
            description => description.to_string().len(),
        }
    }
}

/// A project and a location within it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// The project.
    pub project: String,
    /// The location, such as `us-central1`.
    pub location: String,
}

/// Where the warnings and errors that a job's workers log are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WorkerLogs {
    /// Among the job's messages.
    #[default]
    InMessages,
    /// In the emulator's log alone: the API keeps logs of workers elsewhere.
    InLog,
}

/// What workers a job wants. What is absent is the emulator's to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerWishes {
    /// How many, for each environment.
    pub count: Option<u32>,
    /// The largest number it may have.
    pub max_count: Option<u32>,
    /// Whether the number may change while the job runs.
    pub scaling: Scaling,
    /// How many bundles a worker runs at once.
    pub threads: Option<u32>,
    /// How many processors a worker has.
    pub cores: Option<u32>,
    /// How much memory a worker may take.
    pub memory_bytes: Option<u64>,
}

/// How many workers a running job may have. What is absent stays as it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerLimits {
    /// At least.
    pub min: Option<u32>,
    /// At most.
    pub max: Option<u32>,
}

/// Whether the number of a job's workers changes while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scaling {
    /// It stays what it was at the beginning.
    #[default]
    Fixed,
    /// With the work that waits and how fast it is done.
    ThroughputBased,
}
