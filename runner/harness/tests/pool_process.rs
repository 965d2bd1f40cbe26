//! `PROCESS` environments, and how processes are kept and ended.
#![allow(clippy::unwrap_used, reason = "tests")]

mod pool_common;

use std::time::Duration;

use dataflume_harness::pool::{PoolError, WorkerChoice, pool_for};
use dataflume_proto::pipeline::{AnyOfEnvironmentPayload, Environment, ProcessPayload};
use dataflume_proto::urn::environments;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pool_common::*;
use prost::Message;

/// More than the grace that the supervisor gives.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn the_command_gets_the_boot_contract_and_nothing_of_ours() {
    let world = World::new();
    let (pool, mut worker) = world
        .script("echo \"arguments $@\"; echo \"folder $(pwd)\"; env; exit 0")
        .await;
    let reason = step("exit", worker.exited()).await.reason;
    assert!(reason.starts_with("the worker process exited with code 0"));
    let e = "localhost:1";
    assert_eq!(
        world.printed.after("arguments ").await,
        format!(
            "--id=worker-1 --logging_endpoint={e} --artifact_endpoint={e} --provision_endpoint={e} --control_endpoint={e}"
        )
    );
    let scratch = world.instance.worker_scratch("job-1", "worker-1");
    let scratch = scratch.to_str().unwrap();
    assert_eq!(world.printed.after("folder ").await, scratch);
    assert_eq!(
        world.printed.after("HOME=").await,
        format!("{scratch}/home")
    );
    assert_eq!(world.printed.after("SET_BY_PIPELINE=").await, "yes");
    // Set by cargo for this test, as a user's variables are for the emulator.
    assert!(std::env::var("CARGO_PKG_NAME").is_ok());
    let lines = world.printed.lines();
    assert!(
        !lines.iter().any(|line| line.starts_with("CARGO_")),
        "{lines:?}"
    );
    step("stop", worker.stop()).await;
    step("shutdown", pool.shutdown()).await;
    assert_eq!(world.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() {
    let world = World::new();
    let environment = process("/no/such/worker");
    let pool = world.pool(&environment);
    let mut worker = start(pool.as_ref(), world.spec(&environment, "w"))
        .await
        .unwrap();
    let reason = step("exit", worker.exited()).await.reason;
    assert!(
        reason.contains("can't start /no/such/worker: No such file or directory"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_exit_is_explained_by_the_last_lines() {
    let world = World::new();
    let (_pool, mut worker) = world
        .script("for i in $(seq 60); do echo line $i >&2; done; printf 'no end'; exit 3")
        .await;
    let ended = step("exit", worker.exited()).await;
    assert!(ended.self_inflicted);
    let reason = ended.reason;
    assert!(
        reason.starts_with("the worker process exited with code 3; its last output:\n"),
        "{reason}"
    );
    assert!(
        reason.contains("\nline 60\n") || reason.ends_with("\nline 60"),
        "{reason}"
    );
    assert!(reason.contains("no end"), "{reason}");
    assert!(!reason.contains("\nline 9\n"), "{reason}");
    assert_eq!(world.printed.lines().len(), 61);
}

#[tokio::test]
async fn a_killed_worker_is_noticed() {
    let world = World::new();
    let (_pool, mut worker) = world
        .script("echo pid $$; while :; do sleep 1000; done")
        .await;
    let pid = world.printed.after("pid ").await;
    kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    let ended = step("exit", worker.exited()).await;
    assert!(!ended.self_inflicted);
    let reason = ended.reason;
    assert!(
        reason.starts_with("the worker process was ended by SIGKILL"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_fault_of_native_code_is_its_own() {
    let world = World::new();
    let (_pool, mut worker) = world.script("kill -SEGV $$").await;
    let ended = step("exit", worker.exited()).await;
    assert!(ended.self_inflicted, "{}", ended.reason);
    assert!(ended.reason.contains("SIGSEGV"), "{}", ended.reason);
}

/// A worker that ignores polite requests and has descendants in its group, in a session of their
/// own, and in one without the environment.
const STUBBORN: &str = "trap '' TERM
sleep 1001 & echo plain $!
setsid sh -c 'echo session $$; sleep 1002' &
setsid env -i /bin/sh -c 'echo bare $$; while :; do /bin/sleep 1003; done' &
echo main $$
while :; do sleep 1004; done";

async fn stubborn_pids(world: &World) -> Vec<String> {
    let mut pids = Vec::new();
    for name in ["main ", "plain ", "session ", "bare "] {
        pids.push(world.printed.after(name).await);
    }
    assert!(pids.iter().all(|pid| is_alive(pid)), "{pids:?}");
    pids
}

#[tokio::test]
async fn stopping_ends_all_descendants() {
    let world = World::new();
    let (pool, mut worker) = world.script(STUBBORN).await;
    let pids = stubborn_pids(&world).await;
    step("stop", worker.stop()).await;
    all_gone(&pids, Duration::ZERO).await;
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
    step("stop again", worker.stop()).await;
    step("shutdown", pool.shutdown()).await;
}

#[tokio::test]
async fn dropping_a_worker_ends_it() {
    let world = World::new();
    let (_pool, worker) = world.script(STUBBORN).await;
    let pids = stubborn_pids(&world).await;
    drop(worker);
    all_gone(&pids, SOON).await;
}

#[tokio::test]
async fn a_worker_does_not_outlive_its_supervisor() {
    let world = World::new();
    let (_pool, mut worker) = world.script(STUBBORN).await;
    let pids = stubborn_pids(&world).await;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pids[0])).unwrap();
    let supervisor = stat.split_whitespace().nth(3).unwrap().parse().unwrap();
    kill(Pid::from_raw(supervisor), Signal::SIGKILL).unwrap();
    all_gone(&pids[..1], SOON).await;
    // The rest is found by its environment; what has neither parent nor environment can't be.
    step("stop", worker.stop()).await;
    all_gone(&pids[..3], Duration::ZERO).await;
    kill(Pid::from_raw(pids[3].parse().unwrap()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn shutdown_stops_every_worker_and_takes_no_more() {
    let world = World::new();
    let environment = world.script_environment("echo pid $$; sleep 1000");
    let pool = world.pool(&environment);
    let mut workers = Vec::new();
    for n in 0..3 {
        let spec = world.spec(&environment, &format!("worker-{n}"));
        workers.push(start(pool.as_ref(), spec).await.unwrap());
    }
    until("three workers run", STEP, || {
        world.printed.lines().len() == 3
    })
    .await;
    let pids: Vec<String> = world
        .printed
        .lines()
        .iter()
        .map(|line| line.replace("pid ", ""))
        .collect();
    step("shutdown", pool.shutdown()).await;
    all_gone(&pids, Duration::ZERO).await;
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
    let refused = start(pool.as_ref(), world.spec(&environment, "late")).await;
    assert!(matches!(refused, Err(PoolError::ShutDown)));
}

#[tokio::test]
async fn a_worker_that_ends_by_itself_takes_its_descendants_along() {
    let world = World::new();
    let (_pool, mut worker) = world
        .script("setsid sleep 1000 & echo child $!; exit 0")
        .await;
    let child = world.printed.after("child ").await;
    step("exit", worker.exited()).await;
    all_gone(&[child], Duration::ZERO).await;
}

#[tokio::test]
async fn impossible_environments_are_refused() {
    let world = World::new();
    let refusal = |environment: &Environment| {
        pool_for(environment, WorkerChoice::Auto, world.context())
            .err()
            .unwrap()
            .to_string()
    };
    let other_os = process_with(ProcessPayload {
        command: "x".to_owned(),
        os: "plan9".to_owned(),
        ..Default::default()
    });
    assert!(refusal(&other_os).contains("operating system \"plan9\""));
    assert!(refusal(&process("")).contains("no command"));
    let unknown = Environment {
        urn: "beam:env:x:v1".to_owned(),
        ..Default::default()
    };
    assert!(refusal(&unknown).contains("\"beam:env:x:v1\" is not supported"));
    let any_of = |environments: Vec<Environment>| Environment {
        urn: environments::ANYOF.to_owned(),
        payload: AnyOfEnvironmentPayload { environments }
            .encode_to_vec()
            .into(),
        ..Default::default()
    };
    let none = refusal(&any_of(vec![other_os.clone(), unknown.clone()]));
    assert!(
        none.contains("plan9") && none.contains("beam:env:x:v1"),
        "{none}"
    );
    let one = any_of(vec![unknown, process("/bin/true")]);
    assert!(pool_for(&one, WorkerChoice::Auto, world.context()).is_ok());
}
