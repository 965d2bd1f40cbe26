//! What can be asked of a job that the driver runs.

use dataflume_driver::job::JobHandle;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::jobs::{JobControl, JobMetrics, StageProgress, Usage, WorkerLimits};

/// A job that was started.
pub(super) struct Control {
    /// `None`: the job never started.
    pub(super) handle: Option<JobHandle>,
    /// What no job gets more than.
    pub(super) max_workers: u32,
}

impl JobControl for Control {
    fn cancel(&self) {
        if let Some(handle) = &self.handle {
            handle.cancel();
        }
    }

    fn drain(&self) {
        if let Some(handle) = &self.handle {
            handle.drain();
        }
    }

    fn limit_workers(&self, limits: WorkerLimits) {
        if let Some(handle) = &self.handle {
            let possible = |count: u32| count.min(self.max_workers);
            handle.limit_workers(limits.min.map(possible), limits.max.map(possible));
        }
    }

    fn metrics(&self) -> JobMetrics {
        let Some(handle) = &self.handle else {
            return JobMetrics::default();
        };
        let (attempted, committed) = handle.metrics();
        JobMetrics {
            attempted,
            committed,
        }
    }

    fn usage(&self) -> Usage {
        self.handle
            .as_ref()
            .map(JobHandle::usage)
            .unwrap_or_default()
    }

    fn stages(&self) -> BoxFuture<'_, Vec<StageProgress>> {
        async move {
            match &self.handle {
                Some(handle) => handle.stages().await,
                None => Vec::new(),
            }
        }
        .boxed()
    }
}
