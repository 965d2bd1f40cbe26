//! What a pool has started: found again when the pool is shut down.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::future::join_all;
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_util::sync::CancellationToken;

use super::launch::{Exit, Launch, Supervised, remove_folder};
use super::{Ended, PoolContext, PoolError, StartedWorker, WorkerSpec};

/// The processes that a pool has started.
#[derive(Default)]
pub(crate) struct Started {
    workers: Mutex<Vec<Arc<Worker>>>,
    /// Programs that set something up for the workers.
    tools: Mutex<Vec<Arc<Supervised>>>,
    closed: CancellationToken,
    /// Shared by starts that are under way; a shutdown waits for them.
    starting: RwLock<()>,
}

struct Worker {
    process: Supervised,
    scratch: PathBuf,
    stopped: AtomicBool,
}

impl Worker {
    async fn stop(&self) {
        self.process.stop().await;
        remove_folder(&self.scratch).await;
        self.stopped.store(true, Ordering::Release);
    }
}

impl Started {
    /// Begins a start, which a shutdown waits for. Fails once the pool was shut down.
    pub(crate) async fn enter(&self) -> Result<RwLockReadGuard<'_, ()>, PoolError> {
        let entered = self.starting.read().await;
        match self.closed.is_cancelled() {
            true => Err(PoolError::ShutDown),
            false => Ok(entered),
        }
    }

    /// Runs a program to its end, or to the pool's. One that is given up is ended, and a shutdown
    /// waits for that.
    pub(crate) async fn run(
        &self,
        context: &PoolContext,
        launch: Launch,
    ) -> Result<Exit, PoolError> {
        let process = Arc::new(Supervised::start(context, launch)?);
        {
            let mut tools = self.tools.lock().unwrap_or_else(PoisonError::into_inner);
            tools.retain(|tool| !tool.has_exited());
            tools.push(process.clone());
        }
        let given_up = LetGo(&process);
        tokio::select! {
            exit = given_up.0.exited() => Ok(exit),
            () = self.closed.cancelled() => Err(PoolError::ShutDown),
        }
    }

    /// Starts a worker's process.
    pub(crate) async fn start(
        &self,
        context: &PoolContext,
        spec: &WorkerSpec,
        launch: Launch,
    ) -> Result<Box<dyn StartedWorker>, PoolError> {
        match Supervised::start(context, launch) {
            Ok(process) => Ok(self.keep(context, spec, process)),
            Err(error) => {
                remove_folder(&spec.scratch).await;
                Err(error)
            }
        }
    }

    /// Takes charge of a process that has become a worker.
    pub(crate) fn keep(
        &self,
        context: &PoolContext,
        spec: &WorkerSpec,
        process: Supervised,
    ) -> Box<dyn StartedWorker> {
        if let Some(limit_bytes) = context.memory_limit_bytes {
            process.limit_memory(limit_bytes);
        }
        let worker = Arc::new(Worker {
            process,
            scratch: spec.scratch.clone(),
            stopped: AtomicBool::new(false),
        });
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|worker| !worker.stopped.load(Ordering::Acquire));
        workers.push(worker.clone());
        Box::new(StartedProcess { worker })
    }

    /// Stops all workers, and lets no more be started. Removes the given folder of the pool's.
    pub(crate) async fn shutdown(&self, context: &PoolContext, folder: Option<&Path>) {
        self.closed.cancel();
        let _none_starting = self.starting.write().await;
        let workers = take(&self.workers);
        let tools = take(&self.tools);
        tokio::join!(
            join_all(workers.iter().map(|worker| worker.stop())),
            join_all(tools.iter().map(|tool| tool.stop())),
        );
        if let Some(folder) = folder {
            remove_folder(folder).await;
        }
        // The job's folder goes with its last pool: it isn't empty before.
        let _ = tokio::fs::remove_dir(context.instance.job_scratch(&context.job_id)).await;
    }
}

fn take<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *list.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Lets a process go when whoever waits for it is dropped.
struct LetGo<'a>(&'a Supervised);

impl Drop for LetGo<'_> {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

struct StartedProcess {
    worker: Arc<Worker>,
}

#[async_trait]
impl StartedWorker for StartedProcess {
    async fn exited(&mut self) -> Ended {
        let exit = self.worker.process.exited().await;
        Ended {
            reason: exit.reason,
            self_inflicted: exit.self_inflicted,
        }
    }

    async fn stop(&mut self) {
        self.worker.stop().await;
    }
}

impl Drop for StartedProcess {
    fn drop(&mut self) {
        self.worker.process.let_go();
    }
}
