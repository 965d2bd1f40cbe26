//! Every worker that is expected or connected, by its id.

mod worker;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use rustc_hash::FxHashMap;
use tonic::{Request, Status};
use tracing::{debug, warn};

pub(crate) use self::worker::{WorkerSettings, WorkerState};
use crate::descriptor::RegisteredDescriptor;
use crate::error::WorkerError;

/// The metadata key that SDKs send on every call; TypeScript's not where it asks for a descriptor.
pub(crate) const WORKER_ID: &str = "worker_id";

/// How many of the workers that were let go are known as such.
const DEPARTED_KEPT: usize = 1_000;

/// Locks a mutex that no holder can poison: none of them panics while holding it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The workers of all jobs.
#[derive(Default)]
pub(crate) struct Registry(Mutex<Known>);

/// Who is known by an id. An id is in one of the two.
#[derive(Default)]
struct Known {
    workers: FxHashMap<String, Arc<WorkerState>>,
    /// Those that were let go last. One that was asked for may come when its job is done.
    departed: VecDeque<String>,
}

/// What an id stands for.
enum Found {
    Worker(Arc<WorkerState>),
    Departed,
    Nobody,
}

impl Known {
    fn find(&self, id: &str) -> Found {
        if let Some(worker) = self.workers.get(id) {
            return Found::Worker(worker.clone());
        }
        if self.departed.iter().any(|known| known == id) {
            return Found::Departed;
        }
        Found::Nobody
    }
}

impl Registry {
    /// Whoever had the id before is forgotten, if they were let go.
    pub(crate) fn insert(&self, worker: Arc<WorkerState>) -> Result<(), WorkerError> {
        let mut known = lock(&self.0);
        if known.workers.contains_key(&worker.id) {
            return Err(WorkerError::DuplicateWorker(worker.id.clone()));
        }
        known.departed.retain(|id| *id != worker.id);
        known.workers.insert(worker.id.clone(), worker);
        Ok(())
    }

    pub(crate) fn remove(&self, worker_id: &str) {
        let mut known = lock(&self.0);
        let Some((id, _)) = known.workers.remove_entry(worker_id) else {
            return;
        };
        if known.departed.len() == DEPARTED_KEPT {
            known.departed.pop_front();
        }
        known.departed.push_back(id);
    }

    /// The descriptor that a worker knows by the id.
    pub(crate) fn descriptor(&self, wire_id: &str) -> Option<Arc<RegisteredDescriptor>> {
        lock(&self.0)
            .workers
            .values()
            .find_map(|worker| worker.descriptor_on_the_wire(wire_id))
    }

    /// The worker that runs the bundle, if only one runs a bundle of this name.
    pub(crate) fn worker_that_runs(&self, instruction_id: &str) -> Option<Arc<WorkerState>> {
        let known = lock(&self.0);
        let mut running = known
            .workers
            .values()
            .filter(|worker| worker.bundle(instruction_id).is_some());
        let worker = running.next()?;
        running.next().is_none().then(|| worker.clone())
    }

    /// Whether a call does not say which worker it comes from.
    pub(crate) fn is_nameless<T>(request: &Request<T>) -> bool {
        let id = request.metadata().get(WORKER_ID);
        id.is_none_or(|id| id.is_empty())
    }

    /// The worker that a call comes from.
    pub(crate) fn worker_of<T>(
        &self,
        request: &Request<T>,
        service: &'static str,
    ) -> Result<Arc<WorkerState>, Status> {
        match self.find(request, service)? {
            (_, Found::Worker(worker)) => Ok(worker),
            (id, _) => Err(refuse(id, request, service)),
        }
    }

    /// The worker that a call comes from; `None` if it was let go.
    pub(crate) fn worker_unless_departed<T>(
        &self,
        request: &Request<T>,
        service: &'static str,
    ) -> Result<Option<Arc<WorkerState>>, Status> {
        match self.find(request, service)? {
            (_, Found::Worker(worker)) => Ok(Some(worker)),
            (worker_id, Found::Departed) => {
                debug!(service, worker_id, "a call from a worker that was let go");
                Ok(None)
            }
            (id, Found::Nobody) => Err(refuse(id, request, service)),
        }
    }

    /// Who a call says it comes from.
    fn find<'a, T>(
        &self,
        request: &'a Request<T>,
        service: &'static str,
    ) -> Result<(&'a str, Found), Status> {
        let Some(id) = request.metadata().get(WORKER_ID) else {
            let remote = request.remote_addr();
            warn!(
                service,
                ?remote,
                "a call without worker_id metadata was refused"
            );
            return Err(Status::invalid_argument(format!(
                "the {service} service needs the metadata key {WORKER_ID:?}, by which workers are told apart"
            )));
        };
        let id = id.to_str().map_err(|_| {
            Status::invalid_argument(format!("the metadata key {WORKER_ID:?} is not text"))
        })?;
        Ok((id, lock(&self.0).find(id)))
    }
}

/// The answer to a call of a worker that nobody expects.
fn refuse<T>(worker_id: &str, request: &Request<T>, service: &'static str) -> Status {
    let remote = request.remote_addr();
    warn!(
        service,
        worker_id,
        ?remote,
        "a call from an unknown worker was refused"
    );
    Status::permission_denied(format!(
        "no worker with id {worker_id:?} is expected here ({service} service): \
         it was never registered, or its job has ended"
    ))
}
