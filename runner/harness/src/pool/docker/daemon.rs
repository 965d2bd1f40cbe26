//! Asking the Docker daemon, and removing containers by their labels.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;

use bollard::Docker;
use bollard::errors::Error as DockerError;
use bollard::query_parameters::{ListContainersOptions, RemoveContainerOptions};
use tracing::warn;

/// The label with the id of the instance that a container belongs to.
pub(super) const INSTANCE_LABEL: &str = "dataflume.instance";
/// The label with the pool within the instance.
pub(super) const POOL_LABEL: &str = "dataflume.pool";
pub(super) const JOB_LABEL: &str = "dataflume.job";
pub(super) const WORKER_LABEL: &str = "dataflume.worker";

pub(super) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// Whether a Docker daemon is there to be asked. One on another machine is taken at its word.
pub(crate) fn daemon_answers() -> bool {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => host
            .strip_prefix("unix://")
            .is_none_or(|socket| UnixStream::connect(socket).is_ok()),
        _ => UnixStream::connect(DEFAULT_SOCKET).is_ok(),
    }
}

/// Removes the containers of the instances for whose ids the condition holds. Returns how many.
pub(crate) async fn remove_containers_of(instance: impl Fn(&str) -> bool) -> usize {
    remove_labelled(INSTANCE_LABEL, instance).await
}

/// Removes the containers of one pool.
pub(crate) async fn remove_containers_of_pool(pool: &str) -> usize {
    remove_labelled(POOL_LABEL, |found| found == pool).await
}

async fn remove_labelled(label: &str, wanted: impl Fn(&str) -> bool) -> usize {
    if !daemon_answers() {
        return 0;
    }
    let Ok(docker) = Docker::connect_with_defaults() else {
        return 0;
    };
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([(
            "label".to_owned(),
            vec![label.to_owned()],
        )])),
        ..Default::default()
    };
    let containers = match docker.list_containers(Some(options)).await {
        Ok(containers) => containers,
        Err(error) => {
            warn!(%error, "can't look for abandoned containers");
            return 0;
        }
    };
    let mut removed = 0;
    for container in containers {
        let value = container
            .labels
            .as_ref()
            .and_then(|labels| labels.get(label));
        if let (true, Some(id)) = (value.is_some_and(|value| wanted(value)), &container.id) {
            remove(&docker, id).await;
            removed += 1;
        }
    }
    removed
}

pub(super) async fn remove(docker: &Docker, container: &str) {
    let options = RemoveContainerOptions {
        force: true,
        v: true,
        ..Default::default()
    };
    match docker.remove_container(container, Some(options)).await {
        // 404: gone; 409: being removed by another request.
        Ok(())
        | Err(DockerError::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }) => {}
        Err(error) => warn!(container, %error, "can't remove a worker's container"),
    }
}
