//! `DOCKER` environments as sent: a container of the named image per worker.

mod container;
mod daemon;

use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bollard::Docker;
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, StartContainerOptions,
};
use dataflume_proto::pipeline::{DockerPayload, Environment};
use futures::TryStreamExt;
use tokio::process::{Child, Command};
use tokio::sync::OnceCell;

use self::container::Container;
use self::daemon::{DEFAULT_SOCKET, INSTANCE_LABEL, JOB_LABEL, POOL_LABEL, WORKER_LABEL, remove};
use super::launch::lines_of;
use super::{
    PoolContext, PoolError, StartedWorker, WorkerPool, WorkerSpec, boot, decode, supervise,
};

pub(crate) use self::daemon::{daemon_answers, remove_containers_of, remove_containers_of_pool};

/// Tells the pools of an instance apart.
static NEXT: AtomicU32 = AtomicU32::new(0);

pub(crate) struct DockerPool {
    image: String,
    pool: String,
    context: PoolContext,
    client: OnceCell<Docker>,
    /// Removes the containers when the emulator can't any more.
    stand_by: Mutex<Option<Child>>,
    containers: Arc<Mutex<Vec<String>>>,
}

impl DockerPool {
    pub(crate) fn new(environment: &Environment, context: PoolContext) -> Result<Self, PoolError> {
        let payload: DockerPayload = decode(environment)?;
        if payload.container_image.is_empty() {
            return Err(PoolError::InvalidPayload {
                urn: environment.urn.clone(),
                reason: "it names no container image".to_owned(),
            });
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            image: payload.container_image,
            pool: format!("{}/{number}", context.instance.id()),
            context,
            client: OnceCell::new(),
            stand_by: Mutex::new(None),
            containers: Arc::default(),
        })
    }

    fn failed(&self, reason: impl ToString) -> PoolError {
        PoolError::Docker {
            image: self.image.clone(),
            reason: reason.to_string(),
        }
    }

    /// Connects, makes sure of the image, and has somebody stand by.
    async fn connect(&self) -> Result<Docker, PoolError> {
        if !daemon_answers() {
            return Err(self.failed(format!(
                "no Docker daemon answers at {}. Start one, or use --workers=process",
                std::env::var("DOCKER_HOST").unwrap_or_else(|_| DEFAULT_SOCKET.to_owned())
            )));
        }
        let docker = Docker::connect_with_defaults().map_err(|error| self.failed(error))?;
        if let Err(missing) = docker.inspect_image(&self.image).await {
            self.pull(&docker)
                .await
                .map_err(|error| self.failed(format!("{missing}; pulling it failed: {error}")))?;
        }
        let child = Command::new(&self.context.supervisor_exe)
            .args(supervise::container_arguments(&self.pool))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|source| PoolError::Start {
                command: self.context.supervisor_exe.display().to_string(),
                source,
            })?;
        *self.stand_by.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        Ok(docker)
    }

    async fn pull(&self, docker: &Docker) -> Result<(), DockerError> {
        let options = CreateImageOptions {
            from_image: Some(with_tag(&self.image)),
            ..Default::default()
        };
        docker
            .create_image(Some(options), None, None)
            .try_for_each(|_| async { Ok(()) })
            .await
    }

    fn body(&self, spec: &WorkerSpec) -> ContainerCreateBody {
        let labels = [
            (INSTANCE_LABEL, self.context.instance.id()),
            (POOL_LABEL, &self.pool),
            (JOB_LABEL, &self.context.job_id),
            (WORKER_LABEL, &spec.worker_id),
        ];
        let variables = &self.context.environment_variables;
        let limit = self.context.memory_limit_bytes;
        let limit = limit.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: Some(boot::arguments(&spec.worker_id, &spec.endpoint)),
            env: Some(
                variables
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            ),
            labels: Some(
                labels
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            ),
            // The emulator listens on this machine's loopback interface only.
            host_config: Some(HostConfig {
                network_mode: Some("host".to_owned()),
                binds: Some(self.context.container_volumes.clone()),
                memory: limit,
                // No swap on top.
                memory_swap: limit,
                ..Default::default()
            }),
            ..Default::default()
        }
    }
}

#[async_trait]
impl WorkerPool for DockerPool {
    async fn start_worker(&self, spec: WorkerSpec) -> Result<Box<dyn StartedWorker>, PoolError> {
        let docker = self
            .client
            .get_or_try_init(|| self.connect())
            .await?
            .clone();
        let created = docker
            .create_container(None::<CreateContainerOptions>, self.body(&spec))
            .await
            .map_err(|error| self.failed(error))?;
        let id = created.id;
        if let Err(error) = docker
            .start_container(&id, None::<StartContainerOptions>)
            .await
        {
            remove(&docker, &id).await;
            return Err(self.failed(error));
        }
        self.containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(id.clone());
        Ok(Box::new(Container::follow(
            docker,
            id,
            self.containers.clone(),
            lines_of(&spec),
        )))
    }

    async fn shutdown(&self) {
        let containers = std::mem::take(
            &mut *self
                .containers
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if let Some(docker) = self.client.get() {
            futures::future::join_all(containers.iter().map(|id| remove(docker, id))).await;
            // Those whose start was given up halfway are on no list.
            remove_containers_of_pool(&self.pool).await;
        }
        let stand_by = self
            .stand_by
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut child) = stand_by {
            // Nothing is left for it to do.
            let _ = child.kill().await;
        }
    }
}

/// Without a tag Docker would pull every one there is.
fn with_tag(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image);
    match name.contains([':', '@']) {
        true => image.to_owned(),
        false => format!("{image}:latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::with_tag;

    #[test]
    fn images_are_pulled_by_tag() {
        assert_eq!(with_tag("apache/beam"), "apache/beam:latest");
        assert_eq!(
            with_tag("localhost:5000/beam"),
            "localhost:5000/beam:latest"
        );
        assert_eq!(with_tag("a/b:1"), "a/b:1");
        assert_eq!(with_tag("a/b@sha256:0"), "a/b@sha256:0");
    }
}
