//! Fetching a job's artifacts into a folder, as Beam's boot programs do through artifact retrieval.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use dataflume_proto::pipeline::{
    ArtifactFilePayload, ArtifactInformation, ArtifactStagingToRolePayload, ArtifactUrlPayload,
};
use dataflume_proto::urn::{roles, types};
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use tonic::Status;

use super::{PoolError, WorkerSpec};

/// How many artifacts are fetched at a time.
const CONCURRENT: usize = 8;

/// An artifact as a file of the worker's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staged {
    /// The name under which it was staged, which may have several components.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The hash of its content, in hexadecimal.
    pub(crate) sha256: String,
    /// What it is for.
    pub(crate) role_urn: String,
}

/// Writes the worker's dependencies below the folder, in the order in which they are declared.
pub(crate) async fn materialize(
    spec: &WorkerSpec,
    folder: &Path,
) -> Result<Vec<Staged>, PoolError> {
    make_folder(folder).await?;
    let declared = dependencies(spec);
    if declared.is_empty() {
        return Ok(Vec::new());
    }
    let resolved = spec
        .artifacts
        .resolve(declared.to_vec())
        .await
        .map_err(|status| failed("(all)", &status))?;
    let named = name_all(&resolved)?;
    stream::iter(named)
        .map(|(name, artifact)| fetch(spec, folder, name, artifact))
        .buffered(CONCURRENT)
        .try_collect()
        .await
}

/// Makes the folder that artifacts are fetched into.
pub(crate) async fn make_folder(folder: &Path) -> Result<(), PoolError> {
    fs::create_dir_all(folder)
        .await
        .map_err(PoolError::io(folder))
}

/// What the provisioning service would tell, or else what the environment has.
pub(crate) fn dependencies(spec: &WorkerSpec) -> &[ArtifactInformation] {
    match spec.provision.dependencies.as_slice() {
        [] => &spec.environment.dependencies,
        told => told,
    }
}

/// Gives each artifact its file name. One that is declared twice is kept once.
fn name_all(
    artifacts: &[ArtifactInformation],
) -> Result<Vec<(String, ArtifactInformation)>, PoolError> {
    let mut seen: HashMap<String, &ArtifactInformation> = HashMap::new();
    let mut named = Vec::new();
    for (index, artifact) in artifacts.iter().enumerate() {
        let name = name_of(artifact, index)?;
        match seen.insert(name.clone(), artifact) {
            None => named.push((name, artifact.clone())),
            Some(other) if other.type_payload == artifact.type_payload => {}
            Some(_) => {
                return Err(PoolError::Artifact {
                    name,
                    reason: "two different artifacts have this name".to_owned(),
                });
            }
        }
    }
    Ok(named)
}

/// The name under which an artifact is staged, if it has one that can be read.
pub(crate) fn staged_name(artifact: &ArtifactInformation) -> Option<String> {
    let payload = || ArtifactStagingToRolePayload::decode(artifact.role_payload.clone()).ok();
    let named = artifact.role_urn == roles::STAGING_TO;
    named.then(payload)?.map(|payload| payload.staged_name)
}

fn name_of(artifact: &ArtifactInformation, index: usize) -> Result<String, PoolError> {
    let invalid = |name: &str, reason: &str| PoolError::Artifact {
        name: name.to_owned(),
        reason: reason.to_owned(),
    };
    let name = if artifact.role_urn == roles::STAGING_TO {
        ArtifactStagingToRolePayload::decode(artifact.role_payload.clone())
            .map_err(|error| {
                let reason = format!("its role payload can't be parsed: {error}");
                invalid(&format!("#{index}"), &reason)
            })?
            .staged_name
    } else {
        // Roles such as the Go worker binary carry no name. Nothing looks for the file by it.
        format!("artifact-{index}")
    };
    let plain = Path::new(&name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    match !name.is_empty() && plain && !name.contains('\0') {
        true => Ok(name),
        false => Err(invalid(&name, "the name leaves the worker's folder")),
    }
}

async fn fetch(
    spec: &WorkerSpec,
    folder: &Path,
    name: String,
    artifact: ArtifactInformation,
) -> Result<Staged, PoolError> {
    let path = folder.join(&name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .await
            .map_err(PoolError::io(parent))?;
    }
    let expected = sha256_of(&artifact);
    let role_urn = artifact.role_urn.clone();
    let mut chunks = spec
        .artifacts
        .open(artifact)
        .await
        .map_err(|status| failed(&name, &status))?;
    let mut file = File::create(&path).await.map_err(PoolError::io(&path))?;
    let mut hash = Sha256::new();
    while let Some(chunk) = chunks
        .try_next()
        .await
        .map_err(|status| failed(&name, &status))?
    {
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(PoolError::io(&path))?;
    }
    file.flush().await.map_err(PoolError::io(&path))?;
    let actual = hex::encode(hash.finalize());
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(&actual) => Err(PoolError::Artifact {
            name,
            reason: format!("its SHA-256 is {actual}, not {expected} as declared"),
        }),
        _ => Ok(Staged {
            name,
            path,
            sha256: actual,
            role_urn,
        }),
    }
}

/// The hash that the artifact declares, if it does.
fn sha256_of(artifact: &ArtifactInformation) -> Option<String> {
    let payload = artifact.type_payload.clone();
    let declared = match artifact.type_urn.as_str() {
        types::FILE => ArtifactFilePayload::decode(payload).ok()?.sha256,
        types::URL => ArtifactUrlPayload::decode(payload).ok()?.sha256,
        _ => return None,
    };
    (!declared.is_empty()).then_some(declared)
}

fn failed(name: &str, status: &Status) -> PoolError {
    PoolError::Artifact {
        name: name.to_owned(),
        reason: status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(name: &str, payload: &str) -> ArtifactInformation {
        ArtifactInformation {
            type_urn: types::EMBEDDED.to_owned(),
            type_payload: payload.to_owned().into(),
            role_urn: roles::STAGING_TO.to_owned(),
            role_payload: ArtifactStagingToRolePayload {
                staged_name: name.to_owned(),
            }
            .encode_to_vec()
            .into(),
        }
    }

    #[test]
    fn names_stay_within_the_folder() {
        for name in ["", "/etc/passwd", "..", "a/../b", "./a", "a\0b"] {
            let error = name_of(&artifact(name, ""), 0).unwrap_err();
            assert!(matches!(error, PoolError::Artifact { .. }), "{name:?}");
        }
        for name in ["a.jar", "a/b.jar", "..a"] {
            assert_eq!(name_of(&artifact(name, ""), 0).unwrap(), name);
        }
    }

    #[test]
    fn the_same_artifact_is_staged_once() {
        let same = name_all(&[artifact("a", "1"), artifact("a", "1"), artifact("b", "1")]);
        assert_eq!(same.unwrap().len(), 2);
        assert!(name_all(&[artifact("a", "1"), artifact("a", "2")]).is_err());
    }
}
