//! What the tests of the worker pools share.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dataflume_harness::pool::{
    ArtifactSource, Instance, OutputStream, PoolContext, PoolError, StartedWorker, WorkerChoice,
    WorkerLogSink, WorkerPool, WorkerSpec, pool_for,
};
use dataflume_proto::fn_execution::ProvisionInfo;
use dataflume_proto::pipeline::{
    ArtifactInformation, ArtifactStagingToRolePayload, DockerPayload, EmbeddedFilePayload,
    Environment, ProcessPayload,
};
use dataflume_proto::urn::{environments, roles, types};
use futures::stream::{self, BoxStream};
use prost::Message;
use tempfile::TempDir;
use tonic::Status;

/// A test that waits longer than this for one step has failed.
pub(crate) const STEP: Duration = Duration::from_secs(60);

/// Waits for one step of a test.
pub(crate) async fn step<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(STEP, future).await {
        Ok(value) => value,
        Err(_) => panic!("timed out: {what}"),
    }
}

/// Waits until a condition holds that nothing announces.
pub(crate) async fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let wait = async {
        while !condition() {
            ticks.tick().await;
        }
    };
    if tokio::time::timeout(limit, wait).await.is_err() {
        panic!("not within {limit:?}: {what}");
    }
}

/// Keeps the lines that workers print.
#[derive(Default)]
pub(crate) struct Printed {
    lines: Mutex<Vec<String>>,
}

impl WorkerLogSink for Printed {
    fn line(&self, _: &str, _: OutputStream, line: &str) {
        self.lines.lock().unwrap().push(line.to_owned());
    }
}

impl Printed {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The rest of the first line that starts so, once there is one.
    pub(crate) async fn after(&self, prefix: &str) -> String {
        let find = || {
            let lines = self.lines.lock().unwrap();
            lines
                .iter()
                .find_map(|line| line.strip_prefix(prefix).map(str::to_owned))
        };
        until(&format!("a line with {prefix:?}"), STEP, || {
            find().is_some()
        })
        .await;
        find().unwrap()
    }
}

/// Artifacts that carry their content within themselves.
pub(crate) struct Embedded;

#[async_trait]
impl ArtifactSource for Embedded {
    async fn resolve(
        &self,
        artifacts: Vec<ArtifactInformation>,
    ) -> Result<Vec<ArtifactInformation>, Status> {
        Ok(artifacts)
    }

    async fn open(
        &self,
        artifact: ArtifactInformation,
    ) -> Result<BoxStream<'static, Result<Bytes, Status>>, Status> {
        let payload = EmbeddedFilePayload::decode(artifact.type_payload)
            .map_err(|error| Status::internal(error.to_string()))?;
        Ok(Box::pin(stream::iter([Ok(payload.data)])))
    }
}

pub(crate) fn artifact(name: &str, content: impl Into<Bytes>) -> ArtifactInformation {
    ArtifactInformation {
        type_urn: types::EMBEDDED.to_owned(),
        type_payload: EmbeddedFilePayload {
            data: content.into(),
        }
        .encode_to_vec()
        .into(),
        role_urn: roles::STAGING_TO.to_owned(),
        role_payload: ArtifactStagingToRolePayload {
            staged_name: name.to_owned(),
        }
        .encode_to_vec()
        .into(),
    }
}

/// An instance with a scratch root that vanishes with the test.
pub(crate) struct World {
    pub(crate) root: PathBuf,
    _temporary: Option<TempDir>,
    pub(crate) instance: Arc<Instance>,
    pub(crate) printed: Arc<Printed>,
}

impl World {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = Self::within(root.path());
        Self {
            _temporary: Some(root),
            ..world
        }
    }

    pub(crate) fn within(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            _temporary: None,
            instance: Arc::new(Instance::create(root).unwrap()),
            printed: Arc::default(),
        }
    }

    pub(crate) fn context(&self) -> PoolContext {
        PoolContext::new(
            self.instance.clone(),
            "job-1",
            env!("CARGO_BIN_EXE_dataflume-supervise"),
        )
    }

    pub(crate) fn pool(&self, environment: &Environment) -> Box<dyn WorkerPool> {
        pool_for(environment, WorkerChoice::Managed, self.context()).unwrap()
    }

    pub(crate) fn spec(&self, environment: &Environment, worker_id: &str) -> WorkerSpec {
        WorkerSpec {
            worker_id: worker_id.to_owned(),
            endpoint: "localhost:1".to_owned(),
            provision: ProvisionInfo::default(),
            artifacts: Arc::new(Embedded),
            log: self.printed.clone(),
            environment: environment.clone(),
            scratch: self.instance.worker_scratch("job-1", worker_id),
        }
    }

    /// Runs a shell script as the command of a PROCESS environment.
    pub(crate) async fn script(
        &self,
        script: &str,
    ) -> (Box<dyn WorkerPool>, Box<dyn StartedWorker>) {
        let environment = self.script_environment(script);
        let pool = self.pool(&environment);
        let worker = start(pool.as_ref(), self.spec(&environment, "worker-1"))
            .await
            .unwrap();
        (pool, worker)
    }

    pub(crate) fn script_environment(&self, script: &str) -> Environment {
        let path = self.root.join("boot.sh");
        write_script(&path, script);
        process(path.to_str().unwrap())
    }

    /// The processes of this world's workers, with their supervisors.
    pub(crate) fn processes(&self) -> Vec<String> {
        let marker = format!("DATAFLUME_WORKER={}/", self.instance.id());
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|pid| {
                let environment = std::fs::read(format!("/proc/{pid}/environ"));
                environment.is_ok_and(|environment| {
                    environment
                        .split(|byte| *byte == 0)
                        .any(|variable| variable.starts_with(marker.as_bytes()))
                })
            })
            .collect()
    }

    /// What is in the scratch folders.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let folder = self.instance.job_scratch("job-1");
        std::fs::read_dir(folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    }
}

pub(crate) async fn start(
    pool: &dyn WorkerPool,
    spec: WorkerSpec,
) -> Result<Box<dyn StartedWorker>, PoolError> {
    tokio::time::timeout(Duration::from_secs(300), pool.start_worker(spec))
        .await
        .unwrap()
}

pub(crate) fn write_script(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub(crate) fn process(command: &str) -> Environment {
    process_with(ProcessPayload {
        command: command.to_owned(),
        env: HashMap::from([("SET_BY_PIPELINE".to_owned(), "yes".to_owned())]),
        ..Default::default()
    })
}

pub(crate) fn process_with(payload: ProcessPayload) -> Environment {
    Environment {
        urn: environments::PROCESS.to_owned(),
        payload: payload.encode_to_vec().into(),
        ..Default::default()
    }
}

pub(crate) fn docker(image: &str, dependencies: Vec<ArtifactInformation>) -> Environment {
    Environment {
        urn: environments::DOCKER.to_owned(),
        payload: DockerPayload {
            container_image: image.to_owned(),
        }
        .encode_to_vec()
        .into(),
        dependencies,
        ..Default::default()
    }
}

/// Whether a process exists, other than as a zombie that its parent has yet to notice.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit_once(')')
            .unwrap()
            .1
            .trim_start()
            .starts_with('Z')
    })
}

pub(crate) async fn all_gone(pids: &[String], limit: Duration) {
    until(&format!("{pids:?} are gone"), limit, || {
        !pids.iter().any(|pid| is_alive(pid))
    })
    .await;
}

/// The interpreter with apache-beam that the tests of real workers use.
pub(crate) fn python() -> PathBuf {
    let python = std::env::var_os("DATAFLUME_PYTHON")
        .expect("set DATAFLUME_PYTHON to a Python 3 that has apache-beam 2.77.0");
    python.into()
}
