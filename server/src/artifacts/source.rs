//! Handing a job's artifacts out to its workers.

use std::collections::HashMap;

use async_trait::async_trait;
use bytes::Bytes;
use dataflume_harness::artifacts::ArtifactSource;
use dataflume_proto::pipeline::{ArtifactFilePayload, ArtifactInformation};
use dataflume_proto::urn::types;
use dataflume_storage::{Sha256, StagedArtifact, Staging};
use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::Status;

use super::error::ArtifactError;
use super::names;
use super::staged::StagedDependency;

/// The staged artifacts of one environment of a job, read from the bucket and from nowhere else.
#[derive(Debug, Clone)]
pub struct BucketArtifacts {
    staging: Staging,
    by_digest: HashMap<Sha256, StagedArtifact>,
    information: Vec<ArtifactInformation>,
}

impl BucketArtifacts {
    pub(super) fn new(staging: Staging, dependencies: &[StagedDependency]) -> Self {
        let contents = dependencies.iter().map(|each| each.content.clone());
        Self {
            staging,
            by_digest: contents.map(|content| (content.sha256, content)).collect(),
            information: dependencies
                .iter()
                .map(StagedDependency::information)
                .collect(),
        }
    }

    /// The artifacts, as a worker's provision info lists them.
    #[must_use]
    pub fn information(&self) -> &[ArtifactInformation] {
        &self.information
    }

    /// Workers change an artifact's role at will: only its type and payload say which one it is.
    fn find(&self, artifact: &ArtifactInformation) -> Result<&StagedArtifact, Status> {
        if artifact.type_urn != types::FILE {
            return Err(not_staged(artifact));
        }
        let payload: ArtifactFilePayload =
            names::decode(&artifact.type_urn, &artifact.type_payload)?;
        payload
            .sha256
            .parse()
            .ok()
            .and_then(|digest: Sha256| self.by_digest.get(&digest))
            .filter(|found| found.object.to_string() == payload.path)
            .ok_or_else(|| not_staged(artifact))
    }
}

#[async_trait]
impl ArtifactSource for BucketArtifacts {
    async fn resolve(
        &self,
        artifacts: Vec<ArtifactInformation>,
    ) -> Result<Vec<ArtifactInformation>, Status> {
        for artifact in &artifacts {
            self.find(artifact)?;
        }
        Ok(artifacts)
    }

    async fn open(
        &self,
        artifact: ArtifactInformation,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        let what = names::describe(&artifact);
        let failed = move |source| {
            let what = what.clone();
            Status::from(ArtifactError::Storage { what, source })
        };
        let content = self.find(&artifact)?;
        let reader = self.staging.read(content).await.map_err(&failed)?;
        let chunks = reader
            .into_stream()
            .map(move |chunk| chunk.map_err(&failed));
        Ok(chunks.boxed())
    }
}

fn not_staged(artifact: &ArtifactInformation) -> Status {
    Status::not_found(format!(
        "the artifact {} (type {}) was not staged for this worker's environment",
        names::describe(artifact),
        artifact.type_urn
    ))
}
