//! One worker's container.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::query_parameters::{EventsOptions, LogsOptions, WaitContainerOptions};
use futures::StreamExt;
use tokio::sync::watch;

use super::super::output::{Lines, OutputStream};
use super::super::{Ended, StartedWorker};
use super::daemon::remove;

/// Exit codes of containers that went in peace, were killed, or were told to end.
const ENDED_FROM_OUTSIDE: [i64; 3] = [0, 137, 143];

/// A running container, which its pool also has on its list.
pub(super) struct Container {
    docker: Docker,
    id: String,
    exit: watch::Receiver<Option<Ended>>,
    containers: Arc<Mutex<Vec<String>>>,
}

impl Container {
    /// Follows a container that was started and is on the list.
    pub(super) fn follow(
        docker: Docker,
        id: String,
        containers: Arc<Mutex<Vec<String>>>,
        lines: Lines,
    ) -> Self {
        let (sender, exit) = watch::channel(None);
        let (client, watched) = (docker.clone(), id.clone());
        tokio::spawn(async move {
            let ended = attend(&client, &watched, lines).await;
            // Nobody may be waiting any more.
            let _ = sender.send(Some(ended));
        });
        Self {
            docker,
            id,
            exit,
            containers,
        }
    }

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
    async fn exited(&mut self) -> Ended {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone(),
            Err(_) => None,
        }
        .unwrap_or_else(|| Ended {
            reason: "the emulator stopped watching the container".to_owned(),
            self_inflicted: false,
        })
    }

    async fn lacked_memory(&mut self) -> bool {
        saw_out_of_memory(&self.docker, &self.id).await
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
async fn attend(docker: &Docker, id: &str, lines: Lines) -> Ended {
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
    let exited = |code: i64| (Some(code), format!("the container exited with code {code}"));
    let (code, status) = match wait.next().await {
        Some(Ok(response)) => exited(response.status_code),
        Some(Err(DockerError::DockerContainerWaitError { code, .. })) => exited(code),
        Some(Err(error)) => (None, format!("the container is gone ({error})")),
        None => (None, "the container is gone".to_owned()),
    };
    let out_of_memory = out_of_memory(docker, id).await;
    Ended {
        reason: lines.tail.explain(match out_of_memory {
            true => format!("out of memory: {status}"),
            false => status,
        }),
        self_inflicted: out_of_memory
            || code.is_some_and(|code| !ENDED_FROM_OUTSIDE.contains(&code)),
    }
}

/// The same of a container that still runs, of which its state doesn't tell: Beam's Go boot program stays for 15 s after its harness.
async fn saw_out_of_memory(docker: &Docker, id: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let options = EventsOptions {
        since: Some("0".to_owned()),
        // What has happened, and no waiting for more.
        until: Some(format!("{}.{:09}", now.as_secs(), now.subsec_nanos())),
        filters: Some(HashMap::from([
            ("container".to_owned(), vec![id.to_owned()]),
            ("event".to_owned(), vec!["oom".to_owned()]),
        ])),
    };
    let mut events = std::pin::pin!(docker.events(Some(options)));
    matches!(events.next().await, Some(Ok(_)))
}

/// Whether the kernel ended a process for the container's memory limit.
async fn out_of_memory(docker: &Docker, id: &str) -> bool {
    let container = docker.inspect_container(id, None).await;
    let state = container.ok().and_then(|container| container.state);
    state.and_then(|state| state.oom_killed).unwrap_or(false)
}
