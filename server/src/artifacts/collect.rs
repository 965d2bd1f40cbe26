//! Bringing what environments depend on into the bucket.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use dataflume_proto::job::ArtifactResponseWrapper;
use dataflume_proto::pipeline::{
    ArtifactFilePayload, ArtifactInformation, ArtifactUrlPayload, EmbeddedFilePayload,
    MavenPayload, PyPiPayload,
};
use dataflume_proto::urn::{roles, types};
use dataflume_storage::{Sha256, StagedArtifact, Staging, StagingSession};
use futures::Stream;
use tonic::Status;
use tracing::warn;

use super::Declared;
use super::conversation::Conversation;
use super::error::ArtifactError;
use super::fetch::{self, Fetcher};
use super::names;
use super::staged::StagedDependency;

/// Stages the artifacts of one job.
pub(super) struct Collector<'a, S> {
    session: &'a StagingSession,
    sdk: Conversation<S>,
    fetcher: Fetcher<'a>,
    /// What was brought already: environments often share artifacts.
    brought: HashMap<(String, Bytes), StagedArtifact>,
}

impl<'a, S> Collector<'a, S>
where
    S: Stream<Item = Result<ArtifactResponseWrapper, Status>> + Send + Unpin,
{
    pub(super) fn new(
        staging: &'a Staging,
        session: &'a StagingSession,
        sdk: Conversation<S>,
    ) -> Self {
        Self {
            session,
            sdk,
            fetcher: Fetcher::new(staging),
            brought: HashMap::new(),
        }
    }

    /// Stages what every environment depends on.
    pub(super) async fn collect(
        &mut self,
        declared: &Declared,
    ) -> Result<BTreeMap<String, Vec<StagedDependency>>, ArtifactError> {
        let mut environments = BTreeMap::new();
        for (id, artifacts) in declared {
            let mut dependencies = Vec::new();
            if !artifacts.is_empty() {
                for artifact in self.sdk.resolve(artifacts.clone()).await? {
                    let dependency = self.stage(artifact).await?;
                    add(&mut dependencies, dependency, id);
                }
            }
            environments.insert(id.clone(), dependencies);
        }
        Ok(environments)
    }

    async fn stage(
        &mut self,
        artifact: ArtifactInformation,
    ) -> Result<StagedDependency, ArtifactError> {
        let (role_urn, role_payload) = role(&artifact)?;
        let with_role = ArtifactInformation {
            role_urn,
            role_payload,
            ..artifact
        };
        // Checked before any content is asked for.
        let staged_name = names::staged_name(&with_role)?;
        let content = self.content(&with_role).await?;
        Ok(StagedDependency {
            content,
            role_urn: with_role.role_urn,
            role_payload: with_role.role_payload,
            staged_name,
        })
    }

    async fn content(
        &mut self,
        artifact: &ArtifactInformation,
    ) -> Result<StagedArtifact, ArtifactError> {
        let key = (artifact.type_urn.clone(), artifact.type_payload.clone());
        if let Some(brought) = self.brought.get(&key) {
            return Ok(brought.clone());
        }
        let content = self.bring(artifact).await?;
        self.brought.insert(key, content.clone());
        Ok(content)
    }

    async fn bring(
        &mut self,
        artifact: &ArtifactInformation,
    ) -> Result<StagedArtifact, ArtifactError> {
        let (urn, payload) = (artifact.type_urn.as_str(), &artifact.type_payload);
        match urn {
            types::FILE => {
                let file: ArtifactFilePayload = names::decode(urn, payload)?;
                self.ask_for(artifact, claimed(urn, &file.sha256)?).await
            }
            types::URL => {
                let url: ArtifactUrlPayload = names::decode(urn, payload)?;
                let claimed = claimed(urn, &url.sha256)?;
                self.fetch(artifact, &url.url, claimed).await
            }
            types::EMBEDDED => {
                let file: EmbeddedFilePayload = names::decode(urn, payload)?;
                self.put(artifact, file.data).await
            }
            types::PYPI => {
                let package: PyPiPayload = names::decode(urn, payload)?;
                let requirement = fetch::pypi_requirement(&package)?;
                self.put(artifact, requirement.into()).await
            }
            types::MAVEN => {
                let package: MavenPayload = names::decode(urn, payload)?;
                let url = fetch::MavenArtifact::parse(&package)?.url();
                self.fetch(artifact, &url, None).await
            }
            _ => Err(ArtifactError::Unsupported {
                urn: urn.to_owned(),
                what: names::describe(artifact),
            }),
        }
    }

    async fn ask_for(
        &mut self,
        artifact: &ArtifactInformation,
        claimed: Option<Sha256>,
    ) -> Result<StagedArtifact, ArtifactError> {
        if let Some(found) = self.reuse(artifact, claimed).await? {
            return Ok(found);
        }
        let mut writer = self.session.writer(claimed);
        self.sdk.get(artifact).await?;
        loop {
            let chunk = self.sdk.chunk(artifact).await;
            let (data, is_last) = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    writer.abort().await;
                    return Err(error);
                }
            };
            let written = writer.write(data).await;
            written.map_err(|source| storage(artifact, source))?;
            if is_last {
                let finished = writer.finish().await;
                return finished.map_err(|source| storage(artifact, source));
            }
        }
    }

    async fn fetch(
        &mut self,
        artifact: &ArtifactInformation,
        url: &str,
        claimed: Option<Sha256>,
    ) -> Result<StagedArtifact, ArtifactError> {
        if let Some(found) = self.reuse(artifact, claimed).await? {
            return Ok(found);
        }
        let writer = self.session.writer(claimed);
        self.fetcher
            .fetch(url, writer)
            .await?
            .map_err(|source| storage(artifact, source))
    }

    async fn put(
        &self,
        artifact: &ArtifactInformation,
        content: Bytes,
    ) -> Result<StagedArtifact, ArtifactError> {
        let staged = self.session.put(content, None).await;
        staged.map_err(|source| storage(artifact, source))
    }

    /// What the bucket has under the claimed hash, which was computed here when it was stored.
    async fn reuse(
        &self,
        artifact: &ArtifactInformation,
        claimed: Option<Sha256>,
    ) -> Result<Option<StagedArtifact>, ArtifactError> {
        match claimed {
            None => Ok(None),
            Some(sha256) => {
                let found = self.session.reuse(sha256).await;
                found.map_err(|source| storage(artifact, source))
            }
        }
    }
}

/// A worker puts an artifact under one name only: of two with the same name, the later counts.
pub(super) fn add(
    dependencies: &mut Vec<StagedDependency>,
    new: StagedDependency,
    environment_id: &str,
) {
    if let Some(name) = &new.staged_name {
        dependencies.retain(|old| {
            let replaced = old.staged_name.as_ref() == Some(name);
            if replaced && old.content != new.content {
                warn!(
                    environment_id,
                    name, "two artifacts have this name: the first is left out"
                );
            }
            !replaced
        });
    }
    dependencies.push(new);
}

/// The role under which the artifact is handed out.
pub(super) fn role(artifact: &ArtifactInformation) -> Result<(String, Bytes), ArtifactError> {
    let (urn, payload) = (artifact.type_urn.as_str(), &artifact.type_payload);
    let declared = (artifact.role_urn.clone(), artifact.role_payload.clone());
    match urn {
        // What is staged is not the package but the requirement for pip to install.
        types::PYPI => Ok((roles::PIP_REQUIREMENTS_FILE.to_owned(), Bytes::new())),
        types::MAVEN if artifact.role_urn.is_empty() => {
            let package: MavenPayload = names::decode(urn, payload)?;
            let file = fetch::MavenArtifact::parse(&package)?.file_name();
            Ok(names::staging_to(&file))
        }
        // Its name must not get lost: the content is stored under its hash.
        _ if artifact.role_urn.is_empty() => {
            Ok(names::base_name(artifact).map_or(declared, |name| names::staging_to(&name)))
        }
        _ => Ok(declared),
    }
}

pub(super) fn claimed(urn: &str, sha256: &str) -> Result<Option<Sha256>, ArtifactError> {
    if sha256.is_empty() {
        return Ok(None);
    }
    let parsed = sha256.parse().map(Some);
    parsed.map_err(
        |error: dataflume_storage::Error| ArtifactError::InvalidPayload {
            urn: urn.to_owned(),
            reason: error.to_string(),
        },
    )
}

pub(super) fn storage(
    artifact: &ArtifactInformation,
    source: dataflume_storage::Error,
) -> ArtifactError {
    ArtifactError::Storage {
        what: names::describe(artifact),
        source,
    }
}
