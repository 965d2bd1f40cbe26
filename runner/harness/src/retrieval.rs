//! The artifact retrieval service, for workers.

use std::sync::Arc;

use dataflume_proto::job::artifact_retrieval_service_server::ArtifactRetrievalService;
use dataflume_proto::job::{
    GetArtifactRequest, GetArtifactResponse, ResolveArtifactsRequest, ResolveArtifactsResponse,
};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status};
use tracing::warn;

use crate::registry::Registry;

/// `ArtifactRetrievalService` over the registry: each worker sees its own job's artifacts.
pub(crate) struct Retrieval {
    pub(crate) registry: Arc<Registry>,
}

#[tonic::async_trait]
impl ArtifactRetrievalService for Retrieval {
    async fn resolve_artifacts(
        &self,
        request: Request<ResolveArtifactsRequest>,
    ) -> Result<Response<ResolveArtifactsResponse>, Status> {
        let worker = self.registry.worker_of(&request, "artifact retrieval")?;
        let artifacts = request.into_inner().artifacts;
        let source = &worker.provision().await?.artifacts;
        let replacements = source.resolve(artifacts).await?;
        Ok(Response::new(ResolveArtifactsResponse { replacements }))
    }

    type GetArtifactStream = BoxStream<'static, Result<GetArtifactResponse, Status>>;

    async fn get_artifact(
        &self,
        request: Request<GetArtifactRequest>,
    ) -> Result<Response<Self::GetArtifactStream>, Status> {
        let worker = self.registry.worker_of(&request, "artifact retrieval")?;
        let artifact = request
            .into_inner()
            .artifact
            .ok_or_else(|| Status::invalid_argument("GetArtifactRequest names no artifact"))?;
        let source = &worker.provision().await?.artifacts;
        let chunks = source.open(artifact).await.inspect_err(|status| {
            warn!(worker_id = worker.id, %status, "an artifact could not be opened");
        })?;
        let responses = chunks.map_ok(|data| GetArtifactResponse { data });
        Ok(Response::new(Box::pin(responses)))
    }
}
