//! Artifacts that an SDK has put into a bucket of the emulator before it sends its job.

use std::collections::{BTreeMap, HashMap};

use dataflume_proto::pipeline::{ArtifactInformation, ArtifactUrlPayload, Pipeline};
use dataflume_proto::urn::types;
use dataflume_storage::{ObjectId, ReadOptions, Sha256, StagedArtifact, Store};
use futures::TryStreamExt;
use sha2::Digest;

use super::collect::{add, claimed, role, storage};
use super::error::ArtifactError;
use super::staged::{StagedDependency, StagedEnvironments};
use super::{ArtifactStaging, declared, names};

impl ArtifactStaging {
    /// What the pipeline's environments depend on, used where the SDK has put it: nothing is copied.
    /// A digest that the SDK declares is checked by who reads the content.
    ///
    /// # Errors
    /// [`ArtifactError::Unsupported`] for artifacts that are not in a bucket,
    /// [`ArtifactError::Fetch`] for those that are not there, and those of names and payloads.
    pub async fn uploaded(&self, pipeline: &Pipeline) -> Result<StagedEnvironments, ArtifactError> {
        let store = self.inner.staging.store();
        let mut found: HashMap<(String, Sha256Text), StagedArtifact> = HashMap::new();
        let mut environments = BTreeMap::new();
        for (id, artifacts) in declared(pipeline) {
            let mut dependencies = Vec::new();
            for artifact in artifacts {
                let (role_urn, role_payload) = role(&artifact)?;
                let artifact = ArtifactInformation {
                    role_urn,
                    role_payload,
                    ..artifact
                };
                let staged_name = names::staged_name(&artifact)?;
                let payload = url(&artifact)?;
                let key = (payload.url.clone(), payload.sha256.clone());
                let content = match found.get(&key) {
                    Some(content) => content.clone(),
                    None => {
                        let content = locate(store, &artifact, &payload).await?;
                        found.insert(key, content.clone());
                        content
                    }
                };
                let dependency = StagedDependency {
                    content,
                    role_urn: artifact.role_urn,
                    role_payload: artifact.role_payload,
                    staged_name,
                };
                add(&mut dependencies, dependency, &id);
            }
            environments.insert(id, dependencies);
        }
        Ok(StagedEnvironments::new(
            self.inner.staging.clone(),
            environments,
        ))
    }
}

type Sha256Text = String;

fn url(artifact: &ArtifactInformation) -> Result<ArtifactUrlPayload, ArtifactError> {
    if artifact.type_urn != types::URL {
        return Err(ArtifactError::Unsupported {
            urn: artifact.type_urn.clone(),
            what: names::describe(artifact),
        });
    }
    names::decode(&artifact.type_urn, &artifact.type_payload)
}

async fn locate(
    store: &Store,
    artifact: &ArtifactInformation,
    payload: &ArtifactUrlPayload,
) -> Result<StagedArtifact, ArtifactError> {
    let failed = |reason: String| ArtifactError::Fetch {
        url: payload.url.clone(),
        reason,
    };
    let object = ObjectId::from_gs_url(&payload.url).ok_or_else(|| {
        failed("it is no gs:// URL of an object, and workers read from buckets only".to_owned())
    })?;
    let reader = store.get(&object, ReadOptions::default()).await;
    let reader = reader.map_err(|error| failed(error.to_string()))?;
    let size = reader.metadata().size;
    let sha256 = match claimed(&artifact.type_urn, &payload.sha256)? {
        Some(sha256) => sha256,
        None => {
            let chunks = reader.into_stream();
            let hashed = chunks.try_fold(sha2::Sha256::new(), async |mut hasher, chunk| {
                hasher.update(&chunk);
                Ok(hasher)
            });
            let hasher = hashed.await.map_err(|source| storage(artifact, source))?;
            Sha256(hasher.finalize().into())
        }
    };
    Ok(StagedArtifact {
        sha256,
        size,
        object,
    })
}
