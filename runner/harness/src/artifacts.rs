//! Where a worker's artifacts come from.
//!
//! The Fn API hands artifacts out without knowing where they are kept: storage implements
//! [`ArtifactSource`] over the bucket, one instance per job.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dataflume_proto::pipeline::ArtifactInformation;
use futures::stream::BoxStream;
use tonic::Status;

use crate::registry::WorkerState;

/// The artifacts of one job, as `ArtifactRetrievalService` serves them to the job's workers.
#[async_trait]
pub trait ArtifactSource: Send + Sync {
    /// Replaces each artifact by what the worker can fetch with [`open`](Self::open), in order.
    ///
    /// # Errors
    /// The gRPC status that the worker gets.
    async fn resolve(
        &self,
        artifacts: Vec<ArtifactInformation>,
    ) -> Result<Vec<ArtifactInformation>, Status>;

    /// Streams the artifact's bytes. Chunk sizes are the source's choice; 1 to 2 MiB suit gRPC.
    ///
    /// # Errors
    /// The gRPC status that the worker gets; an error within the stream ends it.
    async fn open(
        &self,
        artifact: ArtifactInformation,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status>;
}

/// A source with no artifacts: for workers that already have their code.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoArtifacts;

#[async_trait]
impl ArtifactSource for NoArtifacts {
    async fn resolve(
        &self,
        artifacts: Vec<ArtifactInformation>,
    ) -> Result<Vec<ArtifactInformation>, Status> {
        match artifacts.first() {
            None => Ok(artifacts),
            Some(first) => Err(not_staged(first)),
        }
    }

    async fn open(
        &self,
        artifact: ArtifactInformation,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        Err(not_staged(&artifact))
    }
}

/// The artifacts of the job that a worker will be told of: whoever asks before that waits.
pub(crate) struct ProvidedArtifacts(pub(crate) Arc<WorkerState>);

#[async_trait]
impl ArtifactSource for ProvidedArtifacts {
    /// What is asked for may be as it was before it was staged: what was staged takes its place.
    async fn resolve(
        &self,
        artifacts: Vec<ArtifactInformation>,
    ) -> Result<Vec<ArtifactInformation>, Status> {
        let provision = self.0.provision().await?;
        let staged = &provision.info.dependencies;
        let wanted = match staged.is_empty() {
            true => artifacts,
            false => staged.clone(),
        };
        provision.artifacts.resolve(wanted).await
    }

    async fn open(
        &self,
        artifact: ArtifactInformation,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        self.0.provision().await?.artifacts.open(artifact).await
    }
}

fn not_staged(artifact: &ArtifactInformation) -> Status {
    Status::not_found(format!(
        "no artifact was staged for this worker (asked for type {}, role {})",
        artifact.type_urn, artifact.role_urn
    ))
}
