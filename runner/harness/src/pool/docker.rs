//! `DOCKER` environments as sent: a container of the named image per worker.

use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptions, ListContainersOptions, LogsOptions,
    RemoveContainerOptions, StartContainerOptions, WaitContainerOptions,
};
use dataflume_proto::pipeline::{DockerPayload, Environment};
use futures::{StreamExt, TryStreamExt};
use tokio::process::{Child, Command};
use tokio::sync::{OnceCell, watch};
use tracing::warn;

use super::launch::lines_of;
use super::output::{Lines, OutputStream};
use super::{
    PoolContext, PoolError, StartedWorker, WorkerPool, WorkerSpec, boot, decode, supervise,
};

/// The label with the id of the instance that a container belongs to.
const INSTANCE_LABEL: &str = "dataflume.instance";
/// The label with the pool within the instance.
const POOL_LABEL: &str = "dataflume.pool";
const JOB_LABEL: &str = "dataflume.job";
const WORKER_LABEL: &str = "dataflume.worker";

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

static NEXT: AtomicU32 = AtomicU32::new(0);

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

async fn remove(docker: &Docker, container: &str) {
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
        let (sender, exit) = watch::channel(None);
        let (watched, lines) = (id.clone(), lines_of(&spec));
        let client = docker.clone();
        tokio::spawn(async move {
            let reason = attend(&client, &watched, lines).await;
            // Nobody may be waiting any more.
            let _ = sender.send(Some(reason));
        });
        Ok(Box::new(Container {
            docker,
            id,
            exit,
            containers: self.containers.clone(),
        }))
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

struct Container {
    docker: Docker,
    id: String,
    exit: watch::Receiver<Option<String>>,
    containers: Arc<Mutex<Vec<String>>>,
}

impl Container {
    /// Takes the container off the pool's list: `false` when it was off already.
    fn take(&self) -> bool {
        let mut containers = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let before = containers.len();
        containers.retain(|id| *id != self.id);
        containers.len() != before
    }
}

#[async_trait]
impl StartedWorker for Container {
    async fn exited(&mut self) -> String {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone(),
            Err(_) => None,
        }
        .unwrap_or_else(|| "the emulator stopped watching the container".to_owned())
    }

    async fn stop(&mut self) {
        if self.take() {
            remove(&self.docker, &self.id).await;
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.take(), tokio::runtime::Handle::try_current()) {
            let (docker, id) = (self.docker.clone(), std::mem::take(&mut self.id));
            runtime.spawn(async move { remove(&docker, &id).await });
        }
    }
}

/// Follows the container's output until it ends, and says how it did.
async fn attend(docker: &Docker, id: &str, lines: Lines) -> String {
    let options = LogsOptions {
        follow: true,
        stdout: true,
        stderr: true,
        tail: "all".to_owned(),
        ..Default::default()
    };
    let mut output = std::pin::pin!(docker.logs(id, Some(options)));
    let mut pending = [Vec::new(), Vec::new()];
    while let Some(Ok(piece)) = output.next().await {
        let (stream, index) = match &piece {
            LogOutput::StdErr { .. } => (OutputStream::Stderr, 1),
            _ => (OutputStream::Stdout, 0),
        };
        lines.take_piece(stream, &mut pending[index], piece.as_ref());
    }
    for (stream, rest) in [OutputStream::Stdout, OutputStream::Stderr]
        .into_iter()
        .zip(pending)
    {
        if !rest.is_empty() {
            lines.take(stream, &rest);
        }
    }
    let mut wait = std::pin::pin!(docker.wait_container(id, None::<WaitContainerOptions>));
    let status = match wait.next().await {
        Some(Ok(response)) => format!("the container exited with code {}", response.status_code),
        Some(Err(DockerError::DockerContainerWaitError { code, .. })) => {
            format!("the container exited with code {code}")
        }
        Some(Err(error)) => format!("the container is gone ({error})"),
        None => "the container is gone".to_owned(),
    };
    lines.tail.explain(status)
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
