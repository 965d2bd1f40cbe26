//! `DOCKER` environments as containers, with Beam's own boot program in them.
//!
//! Needs a Docker daemon and the image that `cargo xtask sdk-image python` makes; so it is only
//! built with the feature `docker-tests`. Like `pool_crash` it starts itself as the emulator.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;
mod pool_common;
mod pool_echo;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::TestServer;
use dataflume_harness::pool::{
    Instance, PoolError, Swept, WorkerChoice, WorkerPool, pool_for, sweep,
};
use pool_common::{World, docker, start, step, until};
use pool_echo::echo;
use tokio::io::{AsyncBufReadExt, BufReader};

const IMAGE: &str = "dataflume-test/beam_python_sdk:2.77.0";
const EMULATOR: &str = "--as-emulator";
const LIMIT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, root] = arguments.as_slice()
        && role == EMULATOR
    {
        emulator(Path::new(root)).await;
        return;
    }
    a_container_processes_a_bundle_and_is_removed().await;
    println!("a_container_processes_a_bundle_and_is_removed: ok");
    an_image_that_is_nowhere_is_named().await;
    println!("an_image_that_is_nowhere_is_named: ok");
    a_container_that_fails_shows_why().await;
    println!("a_container_that_fails_shows_why: ok");
    containers_die_with_the_emulator().await;
    println!("containers_die_with_the_emulator: ok");
    the_next_start_sweeps_containers().await;
    println!("the_next_start_sweeps_containers: ok");
}

/// The containers of an instance.
fn containers(instance: &str) -> Vec<String> {
    let output = Command::new("docker")
        .args(["ps", "--all", "--quiet", "--no-trunc", "--filter"])
        .arg(format!("label=dataflume.instance={instance}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "docker ps");
    let ids = String::from_utf8(output.stdout).unwrap();
    ids.lines().map(str::to_owned).collect()
}

fn pool(world: &World, image: &str) -> Box<dyn WorkerPool> {
    let environment = docker(image, Vec::new());
    pool_for(&environment, WorkerChoice::AsSent, world.context()).unwrap()
}

async fn a_container_processes_a_bundle_and_is_removed() {
    let (world, server) = (World::new(), TestServer::start().await);
    let pool = pool(&world, IMAGE);
    let connection = server.expect("docker-1");
    let mut spec = world.spec(&docker(IMAGE, Vec::new()), "docker-1");
    spec.endpoint = connection.endpoint().url.clone();
    let mut process = start(pool.as_ref(), spec).await.unwrap();
    let worker = tokio::select! {
        worker = step("ready", connection.ready()) => worker.unwrap(),
        reason = process.exited() => panic!("{reason:?}"),
    };
    echo(&worker, "b").await;
    assert_eq!(containers(world.instance.id()).len(), 1);
    step("stop", process.stop()).await;
    assert!(containers(world.instance.id()).is_empty());
    step("closed", worker.closed()).await;
    let reason = step("exit", process.exited()).await.reason;
    assert!(reason.starts_with("the container "), "{reason}");
    step("shutdown", pool.shutdown()).await;
}

async fn an_image_that_is_nowhere_is_named() {
    let world = World::new();
    let image = "localhost:1/dataflume-test/nowhere:1";
    let pool = pool(&world, image);
    let spec = world.spec(&docker(image, Vec::new()), "w");
    let error = start(pool.as_ref(), spec).await.err().unwrap();
    assert!(matches!(error, PoolError::Docker { .. }));
    let error = error.to_string();
    assert!(
        error.contains(image) && error.contains("pulling"),
        "{error}"
    );
    step("shutdown", pool.shutdown()).await;
}

async fn a_container_that_fails_shows_why() {
    let world = World::new();
    let pool = pool(&world, IMAGE);
    let mut spec = world.spec(&docker(IMAGE, Vec::new()), "w");
    // Its boot program finds nobody there.
    spec.worker_id = String::new();
    let mut process = start(pool.as_ref(), spec).await.unwrap();
    let reason = step("exit", process.exited()).await.reason;
    assert!(reason.contains("exited with code 1"), "{reason}");
    assert!(reason.contains("No id provided"), "{reason}");
    step("shutdown", pool.shutdown()).await;
    assert!(containers(world.instance.id()).is_empty());
}

async fn containers_die_with_the_emulator() {
    let root = tempfile::tempdir().unwrap();
    let (mut emulator, instance) = start_emulator(root.path()).await;
    step("kill", emulator.kill()).await.unwrap();
    until("no container is left", LIMIT, || {
        containers(&instance).is_empty()
    })
    .await;
}

async fn the_next_start_sweeps_containers() {
    let root = tempfile::tempdir().unwrap();
    let (mut emulator, instance) = start_emulator(root.path()).await;
    // Whoever stands by for the containers is killed as well.
    let standing_by = format!("supervise --containers {instance}/0");
    let found = Command::new("pgrep")
        .args(["-f", &standing_by])
        .output()
        .unwrap();
    let pid: i32 = String::from_utf8(found.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(pid),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    step("kill", emulator.kill()).await.unwrap();
    assert_eq!(containers(&instance).len(), 1);
    let next = Instance::create(root.path()).unwrap();
    let expected = Swept {
        processes: 0,
        containers: 1,
        folders: 1,
    };
    assert_eq!(sweep(root.path(), &next).await, expected);
    assert!(containers(&instance).is_empty());
}

async fn start_emulator(root: &Path) -> (tokio::process::Child, String) {
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .arg(EMULATOR)
        .arg(root)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let instance = step("the instance", lines.next_line()).await.unwrap();
    let instance = instance.unwrap();
    assert_eq!(containers(&instance).len(), 1);
    (child, instance)
}

/// Starts a worker that waits for an Fn API which never answers it.
async fn emulator(root: &Path) {
    let world = World::within(root);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let pool = pool(&world, IMAGE);
    let mut spec = world.spec(&docker(IMAGE, Vec::new()), "w");
    spec.endpoint = silent.local_addr().unwrap().to_string();
    let mut process = start(pool.as_ref(), spec).await.unwrap();
    println!("{}", world.instance.id());
    let reason = process.exited().await.reason;
    panic!("the container ended by itself: {reason}");
}
