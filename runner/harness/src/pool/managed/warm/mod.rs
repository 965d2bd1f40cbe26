//! Python interpreters that have imported the SDK harness before there is a worker for them to be.
//!
//! A new interpreter takes most of its first seconds to import apache-beam, the same for every job. So one is
//! kept that has done so and waits, as a process of its own under a supervisor of its own. It becomes one
//! worker of one job and ends with it; the next is started meanwhile. `park.py` says what it does to be no
//! different from a worker that starts from scratch.

mod output;
mod parked;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(super) use self::parked::Parked;
use super::super::launch::{make_scratch, remove_folder};
use super::super::{PoolContext, PoolError, WorkerChoice, in_container};
use super::interpreter::{Interpreter, choose_interpreter};
use super::probes::Probes;
use super::venv::VirtualEnvironment;

/// Stands for the job in the paths and markers of interpreters that have none yet.
const FOLDER: &str = ".warm-python";

const PROGRAM: &str = include_str!("park.py");

/// How long a worker has the machine for itself before the next interpreter is started, which takes about a
/// second of a processor's time. Not at all once the worker has ended.
const PAUSE: Duration = Duration::from_secs(3);

/// Keeps Python interpreters ready to become workers. One serves all jobs of an emulator.
pub struct WarmPythons {
    context: PoolContext,
    most: usize,
    probes: Probes,
    state: Mutex<State>,
    /// Held while interpreters are started.
    filling: AsyncMutex<()>,
    closed: CancellationToken,
}

#[derive(Default)]
struct State {
    parked: Vec<Parked>,
    /// What the last worker was made of: the next one's is probably the same.
    wanted: Option<Interpreter>,
    /// Where interpreters of a kind wait. Nothing is ever installed there.
    environment: Option<(Interpreter, VirtualEnvironment)>,
    /// Of all that were started.
    count: u64,
}

impl WarmPythons {
    /// At most this many are kept. Nothing is started yet: jobs do that, and [`WarmPythons::begin`].
    pub fn new(context: &PoolContext, most: usize) -> Arc<Self> {
        Arc::new(Self {
            context: context.of_no_job(FOLDER),
            most,
            probes: Probes::default(),
            state: Mutex::default(),
            filling: AsyncMutex::default(),
            closed: CancellationToken::new(),
        })
    }

    /// Starts the first interpreters in the background, of the kind that a job which doesn't say anything
    /// else would get, if container images are made real by processes at all. Needs a runtime.
    pub fn begin(self: &Arc<Self>, choice: WorkerChoice) {
        if self.most == 0 || in_container(choice) {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            let choice = choose_interpreter(&this.context.pythons, &this.probes, None, None, false);
            let chosen = tokio::select! {
                chosen = choice => chosen,
                () = this.closed.cancelled() => return,
            };
            match chosen {
                Ok(interpreter) if interpreter.has_installed_beam => {
                    this.state().wanted.get_or_insert(interpreter);
                    this.fill().await;
                }
                Ok(_) => debug!("apache-beam is a working copy: no interpreter is kept warm"),
                Err(error) => debug!(%error, "no interpreter is kept warm"),
            }
        });
    }

    /// Ends the interpreters that wait, and lets no more be started.
    pub async fn shutdown(&self) {
        self.closed.cancel();
        let _none_starting = self.filling.lock().await;
        let parked = std::mem::take(&mut self.state().parked);
        join_all(parked.iter().map(Parked::stop)).await;
        remove_folder(&self.folder()).await;
    }

    /// What was found out about interpreters.
    pub(super) fn probes(&self) -> &Probes {
        &self.probes
    }

    /// One of this kind, if there is one, be it that it hasn't imported everything yet.
    pub(super) fn take(self: &Arc<Self>, interpreter: &Interpreter) -> Option<Parked> {
        if self.most == 0 || !interpreter.has_installed_beam {
            return None;
        }
        let taken = {
            let mut state = self.state();
            state.wanted = Some(interpreter.clone());
            state.parked.retain(|parked| parked.is_like(interpreter));
            // The one that has waited longest.
            (!state.parked.is_empty()).then(|| state.parked.remove(0))
        };
        self.refill_after(taken.as_ref());
        taken
    }

    fn refill_after(self: &Arc<Self>, taken: Option<&Parked>) {
        let ended = taken.map(Parked::ended);
        let closed = self.closed.clone();
        let this = Arc::downgrade(self);
        tokio::spawn(async move {
            let ended = async {
                match ended {
                    Some(ended) => ended.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = ended => {}
                () = tokio::time::sleep(PAUSE) => {}
                () = closed.cancelled() => return,
            }
            if let Some(this) = this.upgrade() {
                this.fill().await;
            }
        });
    }

    /// Starts what is missing.
    async fn fill(&self) {
        let _filling = self.filling.lock().await;
        let wanted = {
            let mut state = self.state();
            let wanted = state.wanted.clone();
            state
                .parked
                .retain(|parked| wanted.as_ref().is_some_and(|wanted| parked.is_like(wanted)));
            wanted
        };
        let Some(wanted) = wanted else {
            return;
        };
        let missing = self.most.saturating_sub(self.state().parked.len());
        for _ in 0..missing {
            if self.closed.is_cancelled() {
                return;
            }
            match self.start(&wanted).await {
                Ok(parked) => self.state().parked.push(parked),
                Err(error) => {
                    warn!(%error, "no interpreter can be kept warm");
                    return;
                }
            }
        }
    }

    async fn start(&self, interpreter: &Interpreter) -> Result<Parked, PoolError> {
        let environment = self.environment(interpreter).await?;
        let number = {
            let mut state = self.state();
            state.count += 1;
            state.count
        };
        let folder = self.folder();
        Parked::start(&self.context, &folder, interpreter, &environment, number)
    }

    async fn environment(
        &self,
        interpreter: &Interpreter,
    ) -> Result<VirtualEnvironment, PoolError> {
        if let Some((made_for, environment)) = &self.state().environment
            && made_for == interpreter
        {
            return Ok(environment.clone());
        }
        let folder = self.folder();
        make_scratch(&folder).await?;
        let program = folder.join(parked::PROGRAM_FILE);
        tokio::fs::write(&program, PROGRAM)
            .await
            .map_err(PoolError::io(&program))?;
        let folder = folder.join(format!("venv-{}", self.state().count));
        let environment = VirtualEnvironment::create(&folder, interpreter).await?;
        self.state().environment = Some((interpreter.clone(), environment.clone()));
        Ok(environment)
    }

    fn folder(&self) -> PathBuf {
        self.context.instance.job_scratch(FOLDER)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for WarmPythons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WarmPythons")
            .field("most", &self.most)
            .field("parked", &self.state().parked.len())
            .finish_non_exhaustive()
    }
}
