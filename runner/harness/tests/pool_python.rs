//! Managed Python workers: real SDK harnesses, started from what was staged.
//!
//! Needs `DATAFLUME_PYTHON`, an interpreter with apache-beam 2.77.0.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod pool_common;
mod pool_echo;

use std::path::Path;
use std::process::Command;

use common::{TestServer, registration};
use dataflume_harness::pool::{PoolError, StartedWorker, WorkerPool};
use dataflume_harness::{Worker, WorkerConnection};
use dataflume_proto::fn_execution::ProvisionInfo;
use dataflume_proto::pipeline::{ArtifactInformation, Environment};
use pool_common::{World, all_gone, artifact, docker, python, start, step};
use pool_echo::echo;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// The image of an SDK without saying which Python, so that any interpreter suits.
const IMAGE: &str = "apache/beam_python_sdk:2.77.0";

struct Running {
    world: World,
    pool: Box<dyn WorkerPool>,
    process: Box<dyn StartedWorker>,
    connection: WorkerConnection,
    server: TestServer,
}

/// Starts a worker with what was staged and the pipeline's options.
async fn run(dependencies: Vec<ArtifactInformation>, provision: ProvisionInfo) -> Running {
    let world = World::new();
    let server = TestServer::start().await;
    let environment = docker(IMAGE, dependencies);
    let pool = world.pool(&environment);
    let mut registration = registration("python-1");
    registration.provision = Some(common::provision(provision));
    let connection = server.fn_api.expect_worker(registration).unwrap();
    let mut spec = world.spec(&environment, "python-1");
    spec.endpoint = connection.endpoint().url.clone();
    spec.provision = connection.provision_info().unwrap().clone();
    let process = start(pool.as_ref(), spec).await.unwrap();
    Running {
        world,
        pool,
        process,
        connection,
        server,
    }
}

impl Running {
    /// Waits for the worker, or shows why it won't come.
    async fn ready(&mut self) -> Worker {
        tokio::select! {
            worker = step("ready", self.connection.ready()) => worker.unwrap(),
            reason = self.process.exited() => panic!("{reason:?}"),
        }
    }
}

/// Only a start that fails.
async fn refusal(environment: &Environment) -> PoolError {
    let world = World::new();
    let pool = world.pool(environment);
    let refused = start(pool.as_ref(), world.spec(environment, "python-1")).await;
    pool.shutdown().await;
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
    refused.err().unwrap()
}

fn provision(options: &[(&str, Kind)]) -> ProvisionInfo {
    let value = |kind: &Kind| Value {
        kind: Some(kind.clone()),
    };
    ProvisionInfo {
        pipeline_options: Some(Struct {
            fields: options
                .iter()
                .map(|(name, kind)| (format!("beam:option:{name}:v1"), value(kind)))
                .collect(),
        }),
        ..Default::default()
    }
}

/// Has the harness import modules before it connects.
fn plugins(modules: &[&str]) -> ProvisionInfo {
    let values = modules
        .iter()
        .map(|module| Value {
            kind: Some(Kind::StringValue((*module).to_owned())),
        })
        .collect();
    provision(&[("beam_plugins", Kind::ListValue(ListValue { values }))])
}

/// Builds a wheel of one module that says so when it is imported.
fn wheel(folder: &Path, name: &str) -> ArtifactInformation {
    const BUILD: &str = r"
import sys, zipfile
path, name = sys.argv[1:]
info = name + '-1.0.dist-info/'
files = {
    name + '.py': 'import os, sys; print(\'imported ' + name + ' from\', os.path.dirname(__file__), file=sys.stderr)',
    info + 'METADATA': 'Metadata-Version: 2.1\nName: ' + name + '\nVersion: 1.0\n',
    info + 'WHEEL': 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
}
record = ''.join(file + ',,\n' for file in [*files, info + 'RECORD'])
with zipfile.ZipFile(path, 'w') as wheel:
    for file, text in {**files, info + 'RECORD': record}.items():
        wheel.writestr(file, text)
";
    let file = format!("{name}-1.0-py3-none-any.whl");
    let path = folder.join(&file);
    let status = Command::new(python())
        .args(["-c", BUILD, path.to_str().unwrap(), name])
        .status()
        .unwrap();
    assert!(status.success());
    artifact(&file, std::fs::read(path).unwrap())
}

#[tokio::test]
async fn a_worker_processes_a_bundle_and_leaves_nothing() {
    let mut running = run(Vec::new(), ProvisionInfo::default()).await;
    let worker = running.ready().await;
    echo(&worker, "b1").await;
    let pids = running.world.processes();
    assert!(!pids.is_empty());
    step("stop", running.process.stop()).await;
    all_gone(&pids, std::time::Duration::ZERO).await;
    step("closed", worker.closed()).await;
    step("shutdown", running.pool.shutdown()).await;
    assert!(!running.world.instance.job_scratch("job-1").exists());
    drop(running.server);
}

#[tokio::test]
async fn two_workers_of_a_job_share_its_environment() {
    let mut running = run(Vec::new(), ProvisionInfo::default()).await;
    running.ready().await;
    let second = running.server.expect("python-2");
    let environment = docker(IMAGE, Vec::new());
    let mut spec = running.world.spec(&environment, "python-2");
    spec.endpoint = second.endpoint().url.clone();
    let mut process = start(running.pool.as_ref(), spec).await.unwrap();
    let worker = step("second worker", second.ready()).await.unwrap();
    echo(&worker, "b2").await;
    let environments = running
        .world
        .leftovers()
        .into_iter()
        .filter(|path| path.to_str().unwrap().contains(".environment"))
        .count();
    assert_eq!(environments, 1);
    step("stop", process.stop()).await;
    step("shutdown", running.pool.shutdown()).await;
}

#[tokio::test]
async fn staged_packages_are_installed_for_the_job_only() {
    let folder = tempfile::tempdir().unwrap();
    let staged = vec![
        artifact("requirements.txt", "dataflume-probe-required==1.0\n"),
        wheel(folder.path(), "dataflume_probe_required"),
        artifact(
            "extra_packages.txt",
            "dataflume_probe_extra-1.0-py3-none-any.whl\n",
        ),
        wheel(folder.path(), "dataflume_probe_extra"),
        artifact("submission_environment_dependencies.txt", "nonsense ???\n"),
    ];
    let modules = ["dataflume_probe_required", "dataflume_probe_extra"];
    let mut running = run(staged, plugins(&modules)).await;
    running.ready().await;
    let job = running.world.instance.job_scratch("job-1");
    for module in modules {
        let from = running
            .world
            .printed
            .after(&format!("imported {module} from "))
            .await;
        assert!(Path::new(&from).starts_with(&job), "{from}");
    }
    step("shutdown", running.pool.shutdown()).await;
    let base = Command::new(python())
        .args(["-c", "import dataflume_probe_extra"])
        .output()
        .unwrap();
    assert!(!base.status.success(), "it was installed for everybody");
}

/// Builds the source distribution that `--setup_file` stages.
fn workflow(folder: &Path, module: &str) -> ArtifactInformation {
    const BUILD: &str = r"
import io, sys, tarfile
path, name = sys.argv[1:]
files = {
    'setup.py': 'import setuptools; setuptools.setup(name=\'' + name + '\', version=\'1.0\', py_modules=[\'' + name + '\'])',
    name + '.py': 'import os, sys; print(\'imported ' + name + ' from\', os.path.dirname(__file__), file=sys.stderr)',
    'PKG-INFO': 'Metadata-Version: 1.0\nName: ' + name + '\nVersion: 1.0\n',
}
with tarfile.open(path, 'w:gz') as archive:
    for file, text in files.items():
        entry = tarfile.TarInfo(name + '-1.0/' + file)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
";
    let path = folder.join("workflow.tar.gz");
    let status = Command::new(python())
        .args(["-c", BUILD, path.to_str().unwrap(), module])
        .status()
        .unwrap();
    assert!(status.success());
    artifact("workflow.tar.gz", std::fs::read(path).unwrap())
}

/// Where the interpreter can't build packages itself, pip fetches what it needs for that.
#[tokio::test]
async fn a_setup_file_is_built_and_installed() {
    let folder = tempfile::tempdir().unwrap();
    let module = "dataflume_probe_workflow";
    let staged = vec![workflow(folder.path(), module)];
    let mut running = run(staged, plugins(&[module])).await;
    running.ready().await;
    let prefix = format!("imported {module} from ");
    let from = running.world.printed.after(&prefix).await;
    let job = running.world.instance.job_scratch("job-1");
    assert!(Path::new(&from).starts_with(&job), "{from}");
    step("shutdown", running.pool.shutdown()).await;
}

#[tokio::test]
async fn a_harness_that_fails_shows_why() {
    // The harness takes a number for a name, and fails before it has connected.
    let options = provision(&[("default_sdk_harness_log_level", Kind::NumberValue(5.0))]);
    let mut running = run(Vec::new(), options).await;
    let reason = step("exit", running.process.exited()).await.reason;
    assert!(reason.contains("exited with code 1"), "{reason}");
    assert!(reason.contains("Traceback"), "{reason}");
    assert!(reason.contains("isdecimal"), "{reason}");
}

#[tokio::test]
async fn a_killed_worker_is_lost() {
    let mut running = run(Vec::new(), ProvisionInfo::default()).await;
    let worker = running.ready().await;
    for pid in running.world.processes() {
        let parent = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        if parent.contains("sdk_worker_main") && !parent.contains("supervise") {
            let pid = nix::unistd::Pid::from_raw(pid.parse().unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        }
    }
    let reason = step("exit", running.process.exited()).await.reason;
    assert!(reason.contains("ended by SIGKILL"), "{reason}");
    step("lost", worker.closed()).await;
}

#[tokio::test]
async fn a_package_that_cannot_be_installed_fails_the_start() {
    let staged = vec![artifact("requirements.txt", "not a requirement ???\n")];
    let error = refusal(&docker(IMAGE, staged)).await;
    let PoolError::Install { what, output } = error else {
        panic!("{error}");
    };
    assert_eq!(what, "requirements.txt");
    assert!(output.contains("not a requirement"), "{output}");
}

#[tokio::test]
async fn a_listed_package_must_be_staged() {
    let staged = vec![artifact("extra_packages.txt", "missing.whl\n")];
    let error = refusal(&docker(IMAGE, staged)).await.to_string();
    assert!(error.contains("\"missing.whl\""), "{error}");
}

#[tokio::test]
async fn an_interpreter_of_another_version_is_refused() {
    let image = "apache/beam_python2.7_sdk:2.1.0";
    let error = refusal(&docker(image, Vec::new())).await.to_string();
    assert!(
        error.starts_with("Python 2.7 with apache-beam==2.1.0 is needed"),
        "{error}"
    );
    assert!(error.contains("it is Python 3."), "{error}");
}
