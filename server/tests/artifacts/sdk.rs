//! An SDK that stages, a server that it stages to, and what tests ask of them.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::collections::HashMap;

use bytes::Bytes;
use dataflume::artifacts::{ArtifactStaging, BucketArtifacts};
use dataflume_harness::artifacts::ArtifactSource;
use dataflume_proto::job::artifact_request_wrapper::Request;
use dataflume_proto::job::artifact_response_wrapper::Response;
use dataflume_proto::job::artifact_staging_service_client::ArtifactStagingServiceClient;
use dataflume_proto::job::{
    ArtifactResponseWrapper, GetArtifactResponse, ResolveArtifactsResponse,
};
use dataflume_proto::pipeline::{
    ArtifactFilePayload, ArtifactInformation, ArtifactStagingToRolePayload, Components,
    Environment, Pipeline,
};
use dataflume_proto::urn::{roles, types};
use dataflume_storage::{ListRequest, Sha256, Staging, Store};
use futures::TryStreamExt;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::Status;
use tonic::transport::{Channel, Server};

pub(crate) const BUCKET: &str = "staging";

/// A server on a port of its own, which ends with the test's runtime.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) staging: ArtifactStaging,
    channel: Channel,
}

impl World {
    pub(crate) async fn new(store: Store) -> Self {
        let staging = Staging::open(store.clone(), BUCKET).await.unwrap();
        let staging = ArtifactStaging::new(staging);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Server::builder().add_service(staging.service());
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self {
            store,
            staging,
            channel: Channel::from_shared(url).unwrap().connect().await.unwrap(),
        }
    }

    pub(crate) async fn memory() -> Self {
        Self::new(Store::memory()).await
    }

    /// Announces a job and stages it.
    pub(crate) async fn stage(
        &self,
        token: &str,
        pipeline: &Pipeline,
        sdk: &mut Sdk,
    ) -> Result<(), Status> {
        self.staging.expect(token, pipeline).unwrap();
        self.converse(token, sdk).await
    }

    pub(crate) async fn converse(&self, token: &str, sdk: &mut Sdk) -> Result<(), Status> {
        sdk.stage(self.channel.clone(), token).await
    }

    /// The names of what is in the bucket.
    pub(crate) async fn staged(&self) -> Vec<String> {
        let page = self
            .store
            .list(BUCKET, &ListRequest::default())
            .await
            .unwrap();
        page.objects
            .into_iter()
            .map(|object| object.id.name)
            .collect()
    }
}

/// What the SDK has, and how it misbehaves.
#[derive(Default)]
pub(crate) struct Sdk {
    pub(crate) files: HashMap<String, Bytes>,
    /// What other artifacts it resolves a staged name to.
    pub(crate) resolves_to: Option<ArtifactInformation>,
    pub(crate) chunk_bytes: Option<usize>,
    /// Ends its stream, or its connection, after so many bytes.
    pub(crate) breaks_after: Option<usize>,
    /// The paths that it was asked for.
    pub(crate) asked: Vec<String>,
}

impl Sdk {
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, content)| {
            (
                (*path).to_owned(),
                Bytes::copy_from_slice(content.as_bytes()),
            )
        });
        Self {
            files: files.collect(),
            ..Self::default()
        }
    }

    async fn stage(&mut self, channel: Channel, token: &str) -> Result<(), Status> {
        let mut client =
            ArtifactStagingServiceClient::new(channel).max_encoding_message_size(usize::MAX);
        let (answers, stream) = mpsc::channel(1);
        let first = ArtifactResponseWrapper {
            staging_token: token.to_owned(),
            ..Default::default()
        };
        answers.send(first).await.unwrap();
        let call = client.reverse_artifact_retrieval_service(ReceiverStream::new(stream));
        let mut requests = call.await?.into_inner();
        let mut answers = Some(answers);
        while let Some(message) = requests.message().await? {
            let Some(sender) = &answers else { continue };
            let keeps_on = match message.request.unwrap() {
                Request::ResolveArtifact(request) => {
                    let replacements = match &self.resolves_to {
                        Some(other) => vec![other.clone()],
                        None => request.artifacts,
                    };
                    let answer = ResolveArtifactsResponse { replacements };
                    send(sender, Response::ResolveArtifactResponse(answer), false).await
                }
                Request::GetArtifact(request) => {
                    let payload = request.artifact.unwrap().type_payload;
                    let path = ArtifactFilePayload::decode(payload).unwrap().path;
                    self.asked.push(path.clone());
                    self.send_file(sender, &path).await
                }
            };
            if !keeps_on {
                answers = None;
            }
        }
        Ok(())
    }

    async fn send_file(&self, sender: &mpsc::Sender<ArtifactResponseWrapper>, path: &str) -> bool {
        let mut content = self.files[path].clone();
        let mut sent = 0;
        while !content.is_empty() {
            if self.breaks_after.is_some_and(|limit| sent >= limit) {
                return false;
            }
            let size = self.chunk_bytes.unwrap_or(1 << 20).min(content.len());
            let data = content.split_to(size);
            sent += size;
            let chunk = Response::GetArtifactResponse(GetArtifactResponse { data });
            if !send(sender, chunk, false).await {
                return false;
            }
        }
        let end = Response::GetArtifactResponse(GetArtifactResponse::default());
        send(sender, end, true).await
    }
}

async fn send(
    sender: &mpsc::Sender<ArtifactResponseWrapper>,
    response: Response,
    is_last: bool,
) -> bool {
    let message = ArtifactResponseWrapper {
        staging_token: String::new(),
        is_last,
        response: Some(response),
    };
    sender.send(message).await.is_ok()
}

pub(crate) fn artifact(
    type_urn: &str,
    payload: &impl Message,
    staged_name: &str,
) -> ArtifactInformation {
    let role = ArtifactStagingToRolePayload {
        staged_name: staged_name.to_owned(),
    };
    ArtifactInformation {
        type_urn: type_urn.to_owned(),
        type_payload: payload.encode_to_vec().into(),
        role_urn: roles::STAGING_TO.to_owned(),
        role_payload: role.encode_to_vec().into(),
    }
}

/// A file of the SDK's, without a hash.
pub(crate) fn file(path: &str, staged_name: &str) -> ArtifactInformation {
    let payload = ArtifactFilePayload {
        path: path.to_owned(),
        ..Default::default()
    };
    artifact(types::FILE, &payload, staged_name)
}

/// A file of the SDK's, with the hash of `content`.
pub(crate) fn hashed(path: &str, staged_name: &str, content: &str) -> ArtifactInformation {
    let payload = ArtifactFilePayload {
        path: path.to_owned(),
        sha256: Sha256::of(content.as_bytes()).to_string(),
    };
    artifact(types::FILE, &payload, staged_name)
}

pub(crate) fn pipeline(environments: &[(&str, Vec<ArtifactInformation>)]) -> Pipeline {
    let environments = environments.iter().map(|(id, dependencies)| {
        let environment = Environment {
            dependencies: dependencies.clone(),
            ..Default::default()
        };
        ((*id).to_owned(), environment)
    });
    Pipeline {
        components: Some(Components {
            environments: environments.collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What a worker gets for the artifact.
pub(crate) async fn worker_reads(
    source: &BucketArtifacts,
    artifact: &ArtifactInformation,
) -> Result<String, Status> {
    let resolved = source.resolve(vec![artifact.clone()]).await?;
    let chunks = source.open(resolved[0].clone()).await?;
    let content: Vec<u8> = chunks
        .try_fold(Vec::new(), |mut all, chunk| async move {
            all.extend_from_slice(&chunk);
            Ok(all)
        })
        .await?;
    Ok(String::from_utf8(content).unwrap())
}
