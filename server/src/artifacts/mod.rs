//! Artifacts: what a job's workers need of the submitter's machine, brought into the bucket and
//! handed out from there, and from nowhere else.
//!
//! The job service announces a prepared pipeline with [`ArtifactStaging::expect`]; the SDK then
//! opens `ReverseArtifactRetrievalService` with the staging token, and is asked for the
//! dependencies of every environment. [`ArtifactStaging::take`] gives the outcome to the job that
//! runs: [`StagedEnvironments`], whose [`BucketArtifacts`] serve its workers.
//!
//! Jobs of Dataflow's API bring nothing: their SDKs upload to a bucket first, and
//! [`ArtifactStaging::uploaded`] finds it there.
//!
//! A conversation that breaks leaves nothing staged; the SDK may begin another with the same token.

mod collect;
mod conversation;
mod error;
mod fetch;
mod names;
mod service;
mod source;
mod staged;
mod uploaded;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dataflume_proto::job::artifact_staging_service_server::ArtifactStagingServiceServer;
use dataflume_proto::pipeline::{ArtifactInformation, Pipeline};
use dataflume_storage::{Staging, StagingSession, Store};
use tokio::sync::Mutex as AsyncMutex;

pub use error::ArtifactError;
pub use service::StagingService;
pub use source::BucketArtifacts;
pub use staged::{StagedDependency, StagedEnvironments};

/// What each environment, by its id, depends on: as the SDK declared it.
type Declared = BTreeMap<String, Vec<ArtifactInformation>>;

/// The staging of every job that was prepared and does not run yet. Cheap to clone; clones share
/// everything.
#[derive(Clone)]
pub struct ArtifactStaging {
    inner: Arc<Inner>,
}

struct Inner {
    staging: Staging,
    jobs: Mutex<HashMap<String, Arc<PreparedJob>>>,
}

struct PreparedJob {
    declared: Declared,
    /// Held by the conversation that stages the job: one at a time.
    outcome: AsyncMutex<Option<Outcome>>,
}

struct Outcome {
    environments: StagedEnvironments,
    session: StagingSession,
}

impl ArtifactStaging {
    /// Stages into the given bucket.
    #[must_use]
    pub fn new(staging: Staging) -> Self {
        Self {
            inner: Arc::new(Inner {
                staging,
                jobs: Mutex::default(),
            }),
        }
    }

    /// The store that holds all buckets.
    #[must_use]
    pub fn store(&self) -> &Store {
        self.inner.staging.store()
    }

    /// Announces a prepared pipeline: `token` is what the SDK will open its conversation with.
    ///
    /// # Errors
    /// [`ArtifactError::InvalidName`] and [`ArtifactError::InvalidPayload`] for declared artifacts
    /// that could never be staged; [`ArtifactError::TokenInUse`].
    pub fn expect(&self, token: &str, pipeline: &Pipeline) -> Result<(), ArtifactError> {
        let declared = declared(pipeline);
        for artifact in declared.values().flatten() {
            names::staged_name(artifact)?;
        }
        let mut jobs = self.lock();
        if jobs.contains_key(token) {
            return Err(ArtifactError::TokenInUse(token.to_owned()));
        }
        let job = PreparedJob {
            declared,
            outcome: AsyncMutex::new(None),
        };
        jobs.insert(token.to_owned(), Arc::new(job));
        Ok(())
    }

    /// What was staged for the job; the token is spent. A pipeline that declares no artifacts
    /// needs no conversation.
    ///
    /// # Errors
    /// [`ArtifactError::UnknownToken`]; [`ArtifactError::NotStaged`] where artifacts are declared
    /// and no conversation has ended well: the token stays valid then.
    pub fn take(&self, token: &str) -> Result<StagedEnvironments, ArtifactError> {
        let mut jobs = self.lock();
        let job = jobs
            .get(token)
            .ok_or_else(|| ArtifactError::UnknownToken(token.to_owned()))?;
        let outcome = match job.outcome.try_lock() {
            Ok(mut outcome) => outcome.take(),
            Err(_) => None,
        };
        let staged = match outcome {
            Some(outcome) => {
                outcome.session.keep();
                outcome.environments
            }
            None if job.declared.values().all(Vec::is_empty) => {
                StagedEnvironments::empty(self.inner.staging.clone())
            }
            None => return Err(ArtifactError::NotStaged(token.to_owned())),
        };
        jobs.remove(token);
        Ok(staged)
    }

    /// Gives up a prepared job that will not run; what it alone staged is removed.
    pub fn forget(&self, token: &str) {
        self.lock().remove(token);
    }

    /// The gRPC service, without a limit on message sizes.
    #[must_use]
    pub fn service(&self) -> ArtifactStagingServiceServer<StagingService> {
        ArtifactStagingServiceServer::new(StagingService::new(self.clone()))
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    fn job(&self, token: &str) -> Result<Arc<PreparedJob>, ArtifactError> {
        let job = self.lock().get(token).cloned();
        job.ok_or_else(|| ArtifactError::UnknownToken(token.to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<PreparedJob>>> {
        self.inner
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn declared(pipeline: &Pipeline) -> Declared {
    let environments = pipeline.components.iter().flat_map(|all| &all.environments);
    environments
        .map(|(id, environment)| (id.clone(), environment.dependencies.clone()))
        .collect()
}
