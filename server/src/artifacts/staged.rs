//! What a job's environments depend on, once it is in the bucket.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dataflume_proto::pipeline::{ArtifactFilePayload, ArtifactInformation, Pipeline};
use dataflume_proto::urn::types;
use dataflume_storage::{StagedArtifact, Staging};
use prost::Message;

use super::source::BucketArtifacts;
use crate::jobs::EnvironmentArtifacts;

/// An artifact of an environment, and where its content is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedDependency {
    /// The content.
    pub content: StagedArtifact,
    /// What it is for, as the SDK declared it.
    pub role_urn: String,
    /// The role's payload.
    pub role_payload: Bytes,
    /// The relative path under which a worker puts it, if its role says so; it has been checked
    /// not to lead out of the folder.
    pub staged_name: Option<String>,
}

impl StagedDependency {
    /// The artifact as workers see it: a file that the retrieval service hands out, named by its
    /// place in the bucket.
    #[must_use]
    pub fn information(&self) -> ArtifactInformation {
        let payload = ArtifactFilePayload {
            path: self.content.object.to_string(),
            sha256: self.content.sha256.to_string(),
        };
        ArtifactInformation {
            type_urn: types::FILE.to_owned(),
            type_payload: payload.encode_to_vec().into(),
            role_urn: self.role_urn.clone(),
            role_payload: self.role_payload.clone(),
        }
    }
}

/// The staged artifacts of a job, by environment id.
#[derive(Debug, Clone)]
pub struct StagedEnvironments {
    staging: Staging,
    environments: BTreeMap<String, Vec<StagedDependency>>,
}

impl StagedEnvironments {
    pub(super) fn new(
        staging: Staging,
        environments: BTreeMap<String, Vec<StagedDependency>>,
    ) -> Self {
        Self {
            staging,
            environments,
        }
    }

    pub(super) fn empty(staging: Staging) -> Self {
        Self::new(staging, BTreeMap::new())
    }

    /// What the environment depends on, in the order in which the SDK declared it.
    #[must_use]
    pub fn dependencies(&self, environment_id: &str) -> &[StagedDependency] {
        self.environments
            .get(environment_id)
            .map_or(&[], Vec::as_slice)
    }

    /// Every environment that was declared, and what it depends on.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[StagedDependency])> {
        self.environments
            .iter()
            .map(|(id, dependencies)| (id.as_str(), dependencies.as_slice()))
    }

    /// Replaces the dependencies in the pipeline's environments by the staged ones, so that
    /// workers are told of files in the bucket and not of the submitter's.
    pub fn apply(&self, pipeline: &mut Pipeline) {
        let Some(components) = &mut pipeline.components else {
            return;
        };
        for (id, environment) in &mut components.environments {
            environment.dependencies = self
                .dependencies(id)
                .iter()
                .map(StagedDependency::information)
                .collect();
        }
    }

    /// What the runner is given of every environment, by its id.
    #[must_use]
    pub fn for_runner(&self) -> BTreeMap<String, EnvironmentArtifacts> {
        let of = |id: &String| {
            let source = self.source(id);
            EnvironmentArtifacts {
                dependencies: source.information().to_vec(),
                source: Arc::new(source),
            }
        };
        let ids = self.environments.keys();
        ids.map(|id| (id.clone(), of(id))).collect()
    }

    /// What serves the workers of one environment.
    #[must_use]
    pub fn source(&self, environment_id: &str) -> BucketArtifacts {
        BucketArtifacts::new(self.staging.clone(), self.dependencies(environment_id))
    }
}
