//! The workers that can be asked, by environment.

use std::collections::BTreeMap;

use dataflume_harness::Worker;
use dataflume_model::ids::{EnvironmentId, WorkerId};
use tokio::sync::watch;

/// The workers of a job that are ready. Who asks for one waits until there is one.
#[derive(Debug)]
pub(crate) struct WorkerDirectory {
    state: watch::Sender<State>,
}

#[derive(Debug, Default)]
struct State {
    workers: BTreeMap<(EnvironmentId, WorkerId), Worker>,
    over: bool,
}

impl Default for WorkerDirectory {
    fn default() -> Self {
        let (state, _) = watch::channel(State::default());
        Self { state }
    }
}

impl WorkerDirectory {
    /// A worker became ready.
    pub(crate) fn add(&self, environment: EnvironmentId, id: WorkerId, worker: Worker) {
        self.state.send_modify(|state| {
            state.workers.insert((environment, id), worker);
        });
    }

    /// A worker is gone.
    pub(crate) fn remove(&self, id: WorkerId) {
        self.state
            .send_modify(|state| state.workers.retain(|(_, worker), _| *worker != id));
    }

    /// The job is over: nobody needs to wait any more.
    pub(crate) fn close(&self) {
        self.state.send_modify(|state| {
            state.workers.clear();
            state.over = true;
        });
    }

    /// A ready worker of an environment; `None` once the job is over.
    pub(crate) async fn any_of(&self, environment: EnvironmentId) -> Option<Worker> {
        let mut state = self.state.subscribe();
        loop {
            {
                let state = state.borrow_and_update();
                let mut ready = state.workers.iter();
                let found =
                    ready.find(|((of, _), worker)| *of == environment && !worker.is_closed());
                match found {
                    Some((_, worker)) => return Some(worker.clone()),
                    None if state.over => return None,
                    None => {}
                }
            }
            state.changed().await.ok()?;
        }
    }
}
