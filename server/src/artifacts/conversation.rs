//! One `ReverseArtifactRetrievalService` call: the runner asks, the SDK answers.

use bytes::Bytes;
use dataflume_proto::job::artifact_request_wrapper::Request;
use dataflume_proto::job::artifact_response_wrapper::Response;
use dataflume_proto::job::{
    ArtifactRequestWrapper, ArtifactResponseWrapper, GetArtifactRequest, ResolveArtifactsRequest,
};
use dataflume_proto::pipeline::ArtifactInformation;
use dataflume_proto::urn::types;
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tonic::Status;

use super::error::ArtifactError;
use super::names;

/// The types whose content can be had without the SDK's resolving them further.
const PREFERRED_TYPES: [&str; 5] = [
    types::FILE,
    types::EMBEDDED,
    types::URL,
    types::PYPI,
    types::MAVEN,
];

/// What is sent to the SDK.
pub(super) type Requests = mpsc::Sender<Result<ArtifactRequestWrapper, Status>>;

/// The SDK at the other end of a call.
pub(super) struct Conversation<S> {
    requests: Requests,
    responses: S,
}

impl<S> Conversation<S>
where
    S: Stream<Item = Result<ArtifactResponseWrapper, Status>> + Unpin,
{
    pub(super) fn new(requests: Requests, responses: S) -> Self {
        Self {
            requests,
            responses,
        }
    }

    /// Asks which artifacts stand for these.
    pub(super) async fn resolve(
        &mut self,
        artifacts: Vec<ArtifactInformation>,
    ) -> Result<Vec<ArtifactInformation>, ArtifactError> {
        let doing = format!("while {} artifacts were resolved", artifacts.len());
        let preferred_urns = PREFERRED_TYPES.map(ToOwned::to_owned).to_vec();
        let request = Request::ResolveArtifact(ResolveArtifactsRequest {
            artifacts,
            preferred_urns,
        });
        self.ask(request, &doing).await?;
        match self.next(&doing).await?.response {
            Some(Response::ResolveArtifactResponse(answer)) => Ok(answer.replacements),
            _ => Err(ArtifactError::Protocol(
                "a ResolveArtifactsResponse was asked for".to_owned(),
            )),
        }
    }

    /// Asks for an artifact's content; [`chunk`](Self::chunk) gives it piece by piece.
    pub(super) async fn get(
        &mut self,
        artifact: &ArtifactInformation,
    ) -> Result<(), ArtifactError> {
        let request = Request::GetArtifact(GetArtifactRequest {
            artifact: Some(artifact.clone()),
        });
        self.ask(request, &sending(artifact)).await
    }

    /// The next piece of the content that was asked for, and whether it is the last one.
    pub(super) async fn chunk(
        &mut self,
        artifact: &ArtifactInformation,
    ) -> Result<(Bytes, bool), ArtifactError> {
        let message = self.next(&sending(artifact)).await?;
        match message.response {
            Some(Response::GetArtifactResponse(chunk)) => Ok((chunk.data, message.is_last)),
            // An end may come without content.
            None if message.is_last => Ok((Bytes::new(), true)),
            _ => Err(ArtifactError::Protocol(
                "a GetArtifactResponse was asked for".to_owned(),
            )),
        }
    }

    async fn ask(&mut self, request: Request, doing: &str) -> Result<(), ArtifactError> {
        let message = ArtifactRequestWrapper {
            request: Some(request),
        };
        self.requests
            .send(Ok(message))
            .await
            .map_err(|_| interrupted(doing, "it cancelled the call"))
    }

    async fn next(&mut self, doing: &str) -> Result<ArtifactResponseWrapper, ArtifactError> {
        match self.responses.next().await {
            Some(Ok(message)) => Ok(message),
            Some(Err(status)) => Err(interrupted(doing, &status.to_string())),
            None => Err(interrupted(doing, "its stream ended")),
        }
    }
}

fn sending(artifact: &ArtifactInformation) -> String {
    format!("while the artifact {} was sent", names::describe(artifact))
}

fn interrupted(doing: &str, reason: &str) -> ArtifactError {
    ArtifactError::Interrupted {
        while_doing: doing.to_owned(),
        reason: reason.to_owned(),
    }
}
