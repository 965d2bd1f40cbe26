//! `ArtifactStagingService`, as SDKs call it.

use dataflume_proto::job::artifact_staging_service_server::ArtifactStagingService;
use dataflume_proto::job::{ArtifactRequestWrapper, ArtifactResponseWrapper};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};

use super::collect::Collector;
use super::conversation::{Conversation, Requests};
use super::error::ArtifactError;
use super::staged::StagedEnvironments;
use super::{ArtifactStaging, Outcome};

/// The gRPC service over an [`ArtifactStaging`].
pub struct StagingService {
    staging: ArtifactStaging,
}

impl StagingService {
    pub(super) fn new(staging: ArtifactStaging) -> Self {
        Self { staging }
    }
}

#[tonic::async_trait]
impl ArtifactStagingService for StagingService {
    type ReverseArtifactRetrievalServiceStream =
        ReceiverStream<Result<ArtifactRequestWrapper, Status>>;

    async fn reverse_artifact_retrieval_service(
        &self,
        request: Request<Streaming<ArtifactResponseWrapper>>,
    ) -> Result<Response<Self::ReverseArtifactRetrievalServiceStream>, Status> {
        let (requests, answer) = mpsc::channel(1);
        let staging = self.staging.clone();
        let responses = request.into_inner();
        // Answered before the SDK's first message is read: some clients wait for the headers.
        tokio::spawn(async move {
            if let Err(error) = staging.converse(responses, requests.clone()).await {
                warn!(%error, "artifacts could not be staged");
                // Fails only if the SDK has gone, which then needs no answer.
                let _ = requests.send(Err(error.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(answer)))
    }
}

impl ArtifactStaging {
    /// Stages a job's artifacts; the SDK sees the end of the call when all are in the bucket.
    async fn converse<S>(&self, mut responses: S, requests: Requests) -> Result<(), ArtifactError>
    where
        S: Stream<Item = Result<ArtifactResponseWrapper, Status>> + Send + Unpin,
    {
        let token = staging_token(&mut responses).await?;
        let job = self.job(&token)?;
        let mut outcome = job.outcome.lock().await;
        if outcome.is_some() {
            // The SDK lost the answer of a call that had ended well.
            return Ok(());
        }
        let session = self.inner.staging.session();
        let conversation = Conversation::new(requests, responses);
        let mut collector = Collector::new(&self.inner.staging, &session, conversation);
        match collector.collect(&job.declared).await {
            Ok(environments) => {
                let count: usize = environments.values().map(Vec::len).sum();
                info!(token, artifacts = count, "artifacts staged");
                let environments =
                    StagedEnvironments::new(self.inner.staging.clone(), environments);
                *outcome = Some(Outcome {
                    environments,
                    session,
                });
                Ok(())
            }
            Err(error) => {
                drop(collector);
                session.discard().await;
                Err(error)
            }
        }
    }
}

async fn staging_token<S>(responses: &mut S) -> Result<String, ArtifactError>
where
    S: Stream<Item = Result<ArtifactResponseWrapper, Status>> + Unpin,
{
    let reason = match responses.next().await {
        Some(Ok(first)) => return Ok(first.staging_token),
        Some(Err(status)) => status.to_string(),
        None => "its stream ended".to_owned(),
    };
    Err(ArtifactError::Interrupted {
        while_doing: "before it named a staging token".to_owned(),
        reason,
    })
}
