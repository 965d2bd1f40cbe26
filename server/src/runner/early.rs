//! Workers for pipelines that are prepared and not run yet.
//!
//! Where nothing that is staged is needed to start a worker (an `EXTERNAL` environment's service does it, or a Python job stages no
//! packages), the first one starts while the client stages artifacts and goes on from Prepare to Run. What a worker asks for by itself,
//! it waits for. Whoever doesn't run in time loses it, and the job starts another.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dataflume_driver::job::{EarlyWorker, EarlyWorkerSpec};
use dataflume_harness::FnApi;
use dataflume_harness::pool::{Instance, WorkerPool};
use dataflume_proto::pipeline::Environment;
use futures::future::join_all;

use super::provision;
use crate::jobs::JobSpec;

/// How long a worker waits for its job.
const PATIENCE: Duration = Duration::from_secs(10);

/// An environment whose first worker was started.
pub(super) struct EarlyEnvironment {
    /// Started it.
    pub(super) pool: Arc<dyn WorkerPool>,
    pub(super) worker: EarlyWorker,
}

type ByName = BTreeMap<String, EarlyEnvironment>;

/// Starts a worker for each environment of a job to come whose pool can do so now.
pub(super) fn start(
    job: &JobSpec,
    fn_api: &FnApi,
    instance: &Arc<Instance>,
    pool_for: impl Fn(&Environment) -> Result<Arc<dyn WorkerPool>, String>,
) -> ByName {
    let Some(components) = &job.pipeline.components else {
        return ByName::new();
    };
    let transforms = components.transforms.values();
    let used: HashSet<&str> = transforms
        .map(|each| each.environment_id.as_str())
        .collect();
    let mut started = ByName::new();
    for (index, (name, environment)) in components.environments.iter().enumerate() {
        if !used.contains(name.as_str()) {
            continue;
        }
        // What is wrong with it, its job will tell.
        let Ok(pool) = pool_for(environment) else {
            continue;
        };
        if pool.needs_artifacts() {
            continue;
        }
        let spec = EarlyWorkerSpec {
            worker_id: format!("{}-early-{index}", job.id),
            job_id: job.id.clone(),
            environment: environment.clone(),
            pool: pool.clone(),
            provision: provision(&job.id, &job.name, &job.options),
            instance: instance.clone(),
        };
        if let Some(worker) = EarlyWorker::start(fn_api, spec) {
            started.insert(name.clone(), EarlyEnvironment { pool, worker });
        }
    }
    started
}

/// Those that wait for their jobs, by the jobs' ids.
#[derive(Default)]
pub(super) struct EarlyWorkers {
    waiting: Mutex<HashMap<String, ByName>>,
}

impl EarlyWorkers {
    /// Keeps workers until their job takes them, but not for ever.
    pub(super) fn keep(self: &Arc<Self>, job_id: &str, started: ByName) {
        if started.is_empty() {
            return;
        }
        self.waiting().insert(job_id.to_owned(), started);
        let (this, job_id) = (Arc::downgrade(self), job_id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(this) = this.upgrade() {
                stop(this.take(&job_id)).await;
            }
        });
    }

    /// The workers of a job that is about to run.
    pub(super) fn take(&self, job_id: &str) -> ByName {
        self.waiting().remove(job_id).unwrap_or_default()
    }

    /// Ends those that still wait.
    pub(super) async fn shutdown(&self) {
        let waiting = std::mem::take(&mut *self.waiting());
        join_all(waiting.into_values().map(stop)).await;
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, ByName>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends workers whose job did not want them, and their pools.
pub(super) async fn stop(workers: ByName) {
    let stopped = workers.into_values().map(|each| async move {
        each.worker.stop().await;
        each.pool.shutdown().await;
    });
    join_all(stopped).await;
}
