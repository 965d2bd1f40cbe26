//! Go: the staged worker binary is the harness.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use async_trait::async_trait;
use dataflume_proto::urn::roles;

use super::super::staging::Staged;
use super::super::{PoolError, WorkerSpec};
use super::{Job, Prepared, Runtime};

/// The name that older SDKs staged the binary under, beside other artifacts.
const LEGACY_NAME: &str = "worker";

pub(crate) struct Go;

#[async_trait]
impl Runtime for Go {
    async fn prepare(&self, job: &Job<'_>) -> Result<Prepared, PoolError> {
        let binary = worker_binary(job.staged)?;
        tokio::fs::set_permissions(&binary.path, Permissions::from_mode(0o755))
            .await
            .map_err(PoolError::io(&binary.path))?;
        Ok(Prepared {
            program: binary.path.clone(),
            arguments: vec!["--worker=true".into()],
            variables: Vec::new(),
            python: None,
            java: None,
        })
    }

    fn worker_arguments(&self, spec: &WorkerSpec) -> Vec<OsString> {
        vec![
            format!("--id={}", spec.worker_id).into(),
            format!("--logging_endpoint={}", spec.endpoint).into(),
            format!("--control_endpoint={}", spec.endpoint).into(),
            format!("--semi_persist_dir={}", spec.scratch.display()).into(),
        ]
    }

    fn worker_variables(&self, spec: &WorkerSpec) -> Vec<(String, String)> {
        let capabilities = spec.provision.runner_capabilities.join(" ");
        vec![
            ("STATUS_ENDPOINT".to_owned(), spec.endpoint.clone()),
            ("RUNNER_CAPABILITIES".to_owned(), capabilities),
        ]
    }
}

fn worker_binary(staged: &[Staged]) -> Result<&Staged, PoolError> {
    let found = match staged {
        [only] => Some(only),
        all => all
            .iter()
            .find(|artifact| artifact.role_urn == roles::GO_WORKER_BINARY)
            .or_else(|| all.iter().find(|artifact| artifact.name == LEGACY_NAME)),
    };
    found.ok_or_else(|| PoolError::Artifact {
        name: LEGACY_NAME.to_owned(),
        reason: format!(
            "none of the {} staged artifacts is the Go worker binary (role {})",
            staged.len(),
            roles::GO_WORKER_BINARY
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(name: &str, role_urn: &str) -> Staged {
        Staged {
            name: name.to_owned(),
            path: name.into(),
            sha256: String::new(),
            role_urn: role_urn.to_owned(),
        }
    }

    #[test]
    fn the_binary_is_found_by_role_then_by_name() {
        let data = staged("data", roles::STAGING_TO);
        let legacy = staged("worker", roles::STAGING_TO);
        let binary = staged("artifact-1", roles::GO_WORKER_BINARY);
        let all = [data.clone(), legacy.clone(), binary.clone()];
        assert_eq!(worker_binary(&all).unwrap(), &binary);
        assert_eq!(worker_binary(&all[..2]).unwrap(), &legacy);
        assert_eq!(worker_binary(&all[..1]).unwrap(), &data);
        assert!(worker_binary(&[]).is_err());
        assert!(worker_binary(&[data.clone(), staged("x", "")]).is_err());
    }
}
