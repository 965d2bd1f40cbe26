//! Workers made of interpreters that waited: no different from those that start from scratch.
//!
//! Needs `DATAFLUME_PYTHON`, an interpreter with apache-beam 2.77.0.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod pool_common;
mod pool_echo;

use std::sync::Arc;
use std::time::Duration;

use common::{TestServer, registration};
use dataflume_harness::WorkerConnection;
use dataflume_harness::pool::{
    PoolContext, StartedWorker, WarmPythons, WorkerChoice, WorkerPool, pool_for,
};
use dataflume_proto::fn_execution::ProvisionInfo;
use dataflume_proto::pipeline::ArtifactInformation;
use pool_common::{STEP, World, all_gone, artifact, docker, start, step, until};
use pool_echo::echo;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

const IMAGE: &str = "apache/beam_python_sdk:2.77.0";

/// A staged module that prints what a worker's code can see of its process.
const MIRROR: &str = r"
import json, multiprocessing.spawn, os, sys, tempfile
main = sys.modules['__main__']
print('mirror', json.dumps({
    'argv': sys.argv,
    'path': sys.path,
    'prefix': [sys.prefix, sys.exec_prefix, sys.executable],
    'spawned': str(multiprocessing.spawn.get_executable()),
    'main': [main.__name__, main.__file__, main.__package__, main.__spec__.name],
    'is_imported_twice': 'apache_beam.runners.worker.sdk_worker_main' in sys.modules,
    'folder': os.getcwd(),
    'temporary': tempfile.gettempdir(),
    'variables': {n: v for n, v in os.environ.items() if n != 'DATAFLUME_WORKER'},
    'input': os.readlink('/proc/self/fd/0'),
    'group': os.getpgrp() == os.getpid(),
    'ignored': [l.split()[1] for l in open('/proc/self/status') if l.startswith(('SigIgn', 'SigBlk'))],
}, sort_keys=True), flush=True)
";

/// A job whose harness imports a module that was staged, under this name.
struct Job {
    world: World,
    server: TestServer,
    pool: Box<dyn WorkerPool>,
    connection: WorkerConnection,
    process: Box<dyn StartedWorker>,
}

impl Job {
    async fn start(world: World, context: PoolContext, staged: Vec<ArtifactInformation>) -> Self {
        let server = TestServer::start().await;
        let environment = docker(IMAGE, staged);
        let pool = pool_for(&environment, WorkerChoice::Managed, context).unwrap();
        let mut registration = registration("python-1");
        registration.provision = Some(common::provision(plugin("mirror")));
        let connection = server.fn_api.expect_worker(registration).unwrap();
        let mut spec = world.spec(&environment, "python-1");
        spec.endpoint = connection.endpoint().url.clone();
        spec.provision = connection.provision_info().unwrap().clone();
        let process = start(pool.as_ref(), spec).await.unwrap();
        Self {
            world,
            server,
            pool,
            connection,
            process,
        }
    }

    /// What the mirror printed, with the names that differ from run to run left out.
    async fn mirrored(&self) -> String {
        let seen = self.world.printed.after("mirror ").await;
        let folder = self.world.instance.job_scratch("job-1");
        let url = &self.connection.endpoint().url;
        let seen = seen.replace(&folder.display().to_string(), "JOB");
        let environment = seen.find(".environment-").unwrap();
        let number: String = seen[environment + ".environment-".len()..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        seen.replace(&format!(".environment-{number}/"), "ENVIRONMENT/")
            .replace(&format!(".environment-{number}\""), "ENVIRONMENT\"")
            .replace(url, "URL")
    }

    async fn end(mut self) {
        step("stop", self.process.stop()).await;
        step("shutdown", self.pool.shutdown()).await;
        drop(self.server);
    }
}

fn plugin(module: &str) -> ProvisionInfo {
    let value = |kind| Value { kind: Some(kind) };
    let values = vec![value(Kind::StringValue(module.to_owned()))];
    let list = value(Kind::ListValue(ListValue { values }));
    ProvisionInfo {
        pipeline_options: Some(Struct {
            fields: [("beam:option:beam_plugins:v1".to_owned(), list)].into(),
        }),
        ..Default::default()
    }
}

/// A world in which one interpreter waits, and the pid of that.
async fn waiting(world: &World) -> (PoolContext, Arc<WarmPythons>, String) {
    let mut context = world.context();
    let warm = WarmPythons::new(&context, 1);
    warm.begin(WorkerChoice::Managed);
    until("an interpreter waits", STEP, || {
        !interpreters(world).is_empty()
    })
    .await;
    context.warm_pythons = Some(warm.clone());
    (context, warm, interpreters(world).remove(0))
}

/// The interpreters that wait or have waited.
fn interpreters(world: &World) -> Vec<String> {
    let mut pids = world.processes();
    pids.retain(|pid| {
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.contains("park.py") && !command.contains("supervise")
    });
    pids
}

fn mirror() -> Vec<ArtifactInformation> {
    vec![artifact("mirror.py", MIRROR)]
}

#[tokio::test]
async fn a_warm_worker_sees_what_a_cold_one_sees() {
    let world = World::new();
    let context = world.context();
    let cold = Job::start(world, context, mirror()).await;
    let expected = cold.mirrored().await;
    cold.end().await;

    let world = World::new();
    let (context, warm, pid) = waiting(&world).await;
    let job = Job::start(world, context, mirror()).await;
    assert_eq!(job.mirrored().await, expected);
    let worker = step("ready", job.connection.ready()).await.unwrap();
    echo(&worker, "b1").await;
    let scratch = job.world.instance.worker_scratch("job-1", "python-1");
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(folder, scratch);
    step("warm shutdown", warm.shutdown()).await;
    // The one that works is the job's.
    echo(&worker, "b2").await;
    let pids = job.world.processes();
    job.end().await;
    all_gone(&pids, Duration::ZERO).await;
}

#[tokio::test]
async fn the_next_interpreter_is_started_when_one_was_used() {
    let world = World::new();
    let (context, warm, first) = waiting(&world).await;
    let job = Job::start(world, context, mirror()).await;
    job.mirrored().await;
    until("another waits", STEP, || {
        interpreters(&job.world).iter().any(|pid| *pid != first)
    })
    .await;
    let pids = job.world.processes();
    step("warm shutdown", warm.shutdown()).await;
    job.end().await;
    all_gone(&pids, Duration::ZERO).await;
}

#[tokio::test]
async fn a_module_that_was_looked_for_in_vain_may_be_staged() {
    let world = World::new();
    let (context, warm, pid) = waiting(&world).await;
    // The SDK tries to import it, and does without.
    let staged = vec![
        artifact("apitools.py", "raise ImportError('as before')"),
        artifact("mirror.py", MIRROR),
    ];
    let job = Job::start(world, context, staged).await;
    let reason = job
        .world
        .printed
        .after("starting from scratch because of ")
        .await;
    assert!(reason.ends_with("staged/apitools.py"), "{reason}");
    job.mirrored().await;
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(command.contains("sdk_worker_main") && !command.contains("park.py"));
    let worker = step("ready", job.connection.ready()).await.unwrap();
    echo(&worker, "b1").await;
    step("warm shutdown", warm.shutdown()).await;
    job.end().await;
}

#[tokio::test]
async fn a_warm_worker_fails_as_a_cold_one_does() {
    let world = World::new();
    let (context, warm, _) = waiting(&world).await;
    let staged = vec![artifact("mirror.py", "import os; os._exit(23)")];
    let mut job = Job::start(world, context, staged).await;
    let reason = step("exit", job.process.exited()).await.reason;
    assert!(reason.contains("exited with code 23"), "{reason}");
    step("warm shutdown", warm.shutdown()).await;
    job.end().await;
}

#[tokio::test]
async fn an_interpreter_that_died_waiting_is_not_used() {
    let world = World::new();
    let (context, warm, pid) = waiting(&world).await;
    let killed = nix::unistd::Pid::from_raw(pid.parse().unwrap());
    nix::sys::signal::kill(killed, nix::sys::signal::Signal::SIGKILL).unwrap();
    until("it is gone", STEP, || world.processes().is_empty()).await;
    let job = Job::start(world, context, mirror()).await;
    job.mirrored().await;
    let worker = step("ready", job.connection.ready()).await.unwrap();
    echo(&worker, "b1").await;
    step("warm shutdown", warm.shutdown()).await;
    job.end().await;
}
