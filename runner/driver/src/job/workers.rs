//! The workers of a job: started, watched, and gone when the job is.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dataflume_harness::pool::{Ended, StartedWorker};
use dataflume_harness::{FnApi, Provision, Worker};
use dataflume_model::ids::{EnvironmentId, WorkerId};
use dataflume_proto::pipeline::Environment;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::launch::{Launch, Sink};
use super::run::Report;
use super::usage::Meter;
use super::{Importance, JobListener, JobSpec};
use crate::sdk::{is_go, is_java};

/// How long a worker whose connection broke is given to say why, by ending.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a worker that has done all its work is given to tear down what it set up, and to end by itself.
const TEARDOWN: Duration = Duration::from_secs(10);
/// How long a worker that nothing is seen of is given for the same.
const UNSEEN_TEARDOWN: Duration = Duration::from_secs(1);
/// How long a job waits for a worker of Java's whose process's end can't be seen. Where it logs elsewhere, as it may in LOOPBACK, its
/// log ends up to a second after its teardown, because it looks once a second whether that is to end.
const JAVA_TEARDOWN: Duration = Duration::from_millis(100);

/// How a worker is ended that has not ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// What it has done counts: it tears its DoFns down first.
    InPeace,
    /// Nothing that it still does counts.
    AtOnce,
}

/// Starts workers and reports what becomes of them.
pub(super) struct Workers {
    context: Arc<Context>,
    tasks: TaskTracker,
    next: u64,
    /// How to end those that have not ended.
    stops: FxHashMap<WorkerId, oneshot::Sender<Ending>>,
    /// How many of each environment are not ready yet.
    starting: FxHashMap<EnvironmentId, u32>,
}

struct Context {
    spec: Arc<JobSpec>,
    fn_api: FnApi,
    listener: Arc<dyn JobListener>,
    reports: mpsc::UnboundedSender<Report>,
    ready_timeout: Duration,
    meter: Meter,
    /// Workers that have done all their work, until their processes are gone.
    leaving: TaskTracker,
}

/// How far a worker is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Its process has yet to be ended, if it is still there.
    Behind,
    /// Its process ends by itself, with nothing left to do.
    Leaving,
    /// Its process has nothing left to do, and has yet to be ended.
    Idle,
    /// It may tear down still, and will end its log.
    Heard,
    /// It tears down, and neither its end nor its process's can be seen: one of a pool of the user's that sends no log.
    Unseen,
}

/// Why a worker never became ready.
#[derive(Debug)]
pub(crate) struct StartFailure {
    pub(super) reason: String,
    /// Trying again would end the same.
    pub(super) lasting: bool,
}

impl Workers {
    pub(super) fn new(
        spec: Arc<JobSpec>,
        fn_api: FnApi,
        listener: Arc<dyn JobListener>,
        reports: mpsc::UnboundedSender<Report>,
        ready_timeout: Duration,
        meter: Meter,
    ) -> Self {
        Self {
            context: Arc::new(Context {
                spec,
                fn_api,
                listener,
                reports,
                ready_timeout,
                meter,
                leaving: TaskTracker::new(),
            }),
            tasks: TaskTracker::new(),
            next: 0,
            stops: FxHashMap::default(),
            starting: FxHashMap::default(),
        }
    }

    /// Starts one more worker.
    pub(super) fn start(&mut self, environment: EnvironmentId) {
        let worker = WorkerId(self.next);
        self.next += 1;
        let context = self.context.clone();
        let (stop, stopped) = oneshot::channel();
        self.stops.insert(worker, stop);
        *self.starting.entry(environment).or_default() += 1;
        self.tasks.spawn(async move {
            let report = match context.live(worker, environment, stopped).await {
                Ok(ended) => Report::WorkerLost { worker, ended },
                Err(failure) => Report::WorkerFailed {
                    environment,
                    failure,
                },
            };
            context.reports.send(report).ok();
        });
    }

    /// One that was started has become ready, or has failed to.
    pub(super) fn started(&mut self, environment: EnvironmentId) {
        if let Some(count) = self.starting.get_mut(&environment) {
            *count = count.saturating_sub(1);
        }
    }

    /// How many are not ready yet.
    pub(super) fn starting(&self, environment: EnvironmentId) -> u32 {
        self.starting.get(&environment).copied().unwrap_or(0)
    }

    /// Ends a worker that is not needed any more.
    pub(super) fn stop_one(&mut self, worker: WorkerId, ending: Ending) {
        if let Some(stop) = self.stops.remove(&worker) {
            // It may be gone already.
            stop.send(ending).ok();
        }
    }

    /// Ends every worker and waits until none does anything more. Processes that are about to end by themselves,
    /// and the job's temporary files, are gone a little later: a JVM takes a second.
    pub(super) async fn stop(&mut self, ending: Ending) {
        for (_, stop) in self.stops.drain() {
            stop.send(ending).ok();
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.context.leaving.close();
        let context = self.context.clone();
        if context.leaving.is_empty() {
            context.clean_up().await;
        } else {
            let rest = async move { context.clean_up().await };
            self.context.spec.afterwards.spawn(rest);
        }
    }
}

impl Context {
    /// When nothing of the job's workers is left, nothing of what they had is.
    async fn clean_up(&self) {
        self.leaving.wait().await;
        for environment in &self.spec.environments {
            environment.pool.shutdown().await;
        }
        let scratch = self.spec.instance.job_scratch(&self.spec.id);
        if let Err(error) = tokio::fs::remove_dir_all(&scratch).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let text = format!("could not remove {}: {error}", scratch.display());
            self.listener.message(Importance::Warning, text);
        }
    }

    /// A worker's whole life. `Ok` says why it ended after it was ready.
    async fn live(
        &self,
        worker: WorkerId,
        environment: EnvironmentId,
        mut stopped: oneshot::Receiver<Ending>,
    ) -> Result<Ended, StartFailure> {
        let passing = |reason: String| StartFailure {
            reason,
            lasting: false,
        };
        let lasting = |reason: String| StartFailure {
            reason,
            lasting: true,
        };
        let environments = &self.spec.environments[environment.index()];
        let proto = &self.spec.plan.environments[environment.index()].proto;
        let worker_id = format!("{}-{}-{}", self.spec.id, environment.0, worker.0);
        let mut provision = Provision {
            info: self.spec.provision.clone(),
            artifacts: environments.artifacts.clone(),
        };
        let dependencies = &mut provision.info.dependencies;
        dependencies.clone_from(&environments.dependencies);
        let early = environments.early.lock();
        let early = early.unwrap_or_else(PoisonError::into_inner).take();
        let _there = self.meter.worker();
        let launch = async {
            if let Some(early) = early
                && let Some(launched) = early.take(&provision, &self.listener).await
            {
                return Ok(launched);
            }
            let launch = Launch {
                fn_api: &self.fn_api,
                pool: environments.pool.as_ref(),
                scratch: self.spec.instance.worker_scratch(&self.spec.id, &worker_id),
                worker_id,
                environment: proto,
                provision,
                sink: Sink::of(self.listener.clone()),
            };
            launch.start().await
        };
        let launched = tokio::select! {
            launched = launch => launched.map_err(lasting)?,
            _ = &mut stopped => return Err(passing("the job ended".to_owned())),
        };
        let (connection, mut started) = (launched.connection, launched.started);
        let ready = tokio::select! {
            ready = connection.ready() => ready.map_err(|error| passing(error.to_string())),
            ended = started.exited() => Err(passing(ended.reason)),
            () = tokio::time::sleep(self.ready_timeout) => Err(passing(format!(
                "the worker did not connect within {} s of its start",
                self.ready_timeout.as_secs()
            ))),
            _ = &mut stopped => Err(passing("the job ended".to_owned())),
        };
        let handle = match ready {
            Ok(handle) => handle,
            Err(failure) => {
                connection.fail(&failure.reason);
                started.stop().await;
                return Err(failure);
            }
        };
        let (ended, left) = self
            .serve(
                worker,
                environment,
                handle.clone(),
                started.as_mut(),
                stopped,
            )
            .await;
        match left {
            Left::Behind => started.stop().await,
            Left::Leaving | Left::Idle | Left::Heard | Left::Unseen => {
                self.leaving.spawn(async move {
                    match left {
                        Left::Leaving => started.finish(TEARDOWN).await,
                        Left::Heard => end_of_log(&handle).await,
                        Left::Unseen => tokio::time::sleep(UNSEEN_TEARDOWN).await,
                        Left::Behind | Left::Idle => {}
                    }
                    started.stop().await;
                    drop(connection);
                });
            }
        }
        Ok(ended)
    }

    async fn serve(
        &self,
        worker: WorkerId,
        environment: EnvironmentId,
        handle: Worker,
        started: &mut dyn StartedWorker,
        stopped: oneshot::Receiver<Ending>,
    ) -> (Ended, Left) {
        let report = Report::WorkerReady {
            worker,
            environment,
            handle: handle.clone(),
        };
        self.reports.send(report).ok();
        let mut left = Left::Behind;
        let ended = tokio::select! {
            reason = handle.closed() => {
                match tokio::time::timeout(LAST_WORDS, started.exited()).await {
                    Ok(ended) => ended,
                    Err(_) if started.lacked_memory().await => Ended {
                        reason: format!("out of memory: {reason}"),
                        self_inflicted: true,
                    },
                    Err(_) => gone(&reason),
                }
            }
            ended = started.exited() => {
                // Before its bundles tell that it is gone, and not why.
                let report = Report::WorkerLost { worker, ended: ended.clone() };
                self.reports.send(report).ok();
                handle.shutdown(&ended.reason);
                ended
            }
            ending = stopped => {
                let reason = "it is not needed any more";
                handle.shutdown(reason);
                let proto = &self.spec.plan.environments[environment.index()].proto;
                left = match ending {
                    Ok(Ending::InPeace) => take_leave(proto, &handle, started).await,
                    // What its service does when it is told so can't be seen either.
                    _ if !started.end_is_seen() => Left::Idle,
                    _ => Left::Behind,
                };
                gone(reason)
            }
        };
        (ended, left)
    }
}

/// Waits until a worker whose streams were ended has torn down what it set up, as far as that can be seen.
async fn take_leave(proto: &Environment, handle: &Worker, started: &mut dyn StartedWorker) -> Left {
    if is_go(proto) {
        // It stays until it is told to go, with nothing left to do.
        Left::Idle
    } else if started.end_is_seen() {
        tokio::select! {
            () = started.finish(TEARDOWN) => Left::Behind,
            () = handle.has_left() => Left::Leaving,
        }
    } else if !handle.logs() {
        Left::Unseen
    } else if is_java(proto) {
        match tokio::time::timeout(JAVA_TEARDOWN, handle.has_left()).await {
            Ok(()) => Left::Idle,
            Err(_) => Left::Heard,
        }
    } else {
        end_of_log(handle).await;
        Left::Idle
    }
}

/// Waits until a worker that was told to end has said all, but no longer than it has for its teardown.
async fn end_of_log(handle: &Worker) {
    if tokio::time::timeout(TEARDOWN, handle.has_left())
        .await
        .is_err()
    {
        let worker = handle.id();
        debug!("{worker} was not seen to leave within {TEARDOWN:?}");
    }
}

fn gone(reason: &str) -> Ended {
    Ended {
        reason: reason.to_owned(),
        self_inflicted: false,
    }
}
