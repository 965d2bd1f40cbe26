//! Managed Java and Go workers: that they are started as the boot contracts say. The launcher and
//! the binary are scripts that show what they got.
#![allow(clippy::unwrap_used, reason = "tests")]

mod pool_common;

use std::path::Path;

use dataflume_harness::pool::{PoolError, WorkerChoice, WorkerPool, pool_for};
use dataflume_proto::pipeline::{ArtifactInformation, Environment};
use dataflume_proto::urn::roles;
use pool_common::{World, artifact, docker, is_alive, start, step, write_script};

const SHOW: &str = "echo \"arguments $@\"; env; echo \"options $(cat $PIPELINE_OPTIONS_FILE)\"";

fn go_binary() -> ArtifactInformation {
    ArtifactInformation {
        role_urn: roles::GO_WORKER_BINARY.to_owned(),
        role_payload: Vec::new().into(),
        ..artifact("", format!("#!/bin/sh\n{SHOW}\n"))
    }
}

#[tokio::test]
async fn a_go_worker_is_the_staged_binary() {
    let world = World::new();
    let environment = docker(
        "apache/beam_go_sdk:2.77.0",
        vec![artifact("data.txt", "x"), go_binary()],
    );
    let pool = world.pool(&environment);
    let mut spec = world.spec(&environment, "go-1");
    spec.provision.runner_capabilities = vec!["a".to_owned(), "b".to_owned()];
    let scratch = spec.scratch.display().to_string();
    let mut worker = start(pool.as_ref(), spec).await.unwrap();
    step("exit", worker.exited()).await;
    assert_eq!(
        world.printed.after("arguments ").await,
        format!(
            "--worker=true --id=go-1 --logging_endpoint=localhost:1 --control_endpoint=localhost:1 --semi_persist_dir={scratch}"
        )
    );
    assert_eq!(world.printed.after("STATUS_ENDPOINT=").await, "localhost:1");
    assert_eq!(world.printed.after("RUNNER_CAPABILITIES=").await, "a b");
    assert_eq!(world.printed.after("PWD=").await, scratch);
    assert_eq!(world.printed.after("options ").await, "{}");
    step("shutdown", pool.shutdown()).await;
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
}

async fn java(world: &World, staged: Vec<ArtifactInformation>, harness: Option<&Path>) -> String {
    let environment = docker("apache/beam_java17_sdk:2.65.0", staged);
    let launcher = world.root.join("java");
    write_script(&launcher, SHOW);
    let mut context = world.context();
    context.java = Some(launcher);
    context.java_harness = Some(harness.unwrap_or(Path::new("/nowhere")).to_owned());
    let pool = pool_for(&environment, WorkerChoice::Managed, context).unwrap();
    let started = start(pool.as_ref(), world.spec(&environment, "java-1")).await;
    let outcome = match started {
        Ok(mut worker) => {
            step("exit", worker.exited()).await;
            world.printed.after("arguments ").await
        }
        Err(error) => {
            assert!(matches!(error, PoolError::MissingTool { .. }));
            error.to_string()
        }
    };
    step("shutdown", pool.shutdown()).await;
    outcome
}

/// The class path by file names, but for a library that this machine may have.
fn class_path(arguments: &str) -> Vec<&str> {
    let path = arguments.split(" -cp ").nth(1).unwrap();
    let (path, class) = path.split_once(' ').unwrap();
    assert_eq!(class, "org.apache.beam.fn.harness.FnHarness");
    path.split(':')
        .map(|jar| jar.rsplit('/').next().unwrap())
        .filter(|jar| !jar.starts_with("jamm"))
        .collect()
}

#[tokio::test]
async fn a_java_worker_has_the_staged_jars_in_their_order() {
    let world = World::new();
    let staged = vec![
        artifact("b.jar", "1"),
        artifact("beam-sdks-java-harness-2.65.0-abc.jar", "2"),
        artifact("a.jar", "3"),
    ];
    let arguments = java(&world, staged, None).await;
    assert_eq!(
        class_path(&arguments),
        ["b.jar", "beam-sdks-java-harness-2.65.0-abc.jar", "a.jar"]
    );
    assert_eq!(world.printed.after("HARNESS_ID=").await, "java-1");
    assert_eq!(
        world.printed.after("CONTROL_API_SERVICE_DESCRIPTOR=").await,
        "url: \"localhost:1\""
    );
}

#[tokio::test]
async fn a_java_worker_gets_the_harness_that_was_not_staged() {
    let world = World::new();
    let harness = world.root.join("beam-sdks-java-harness.jar");
    std::fs::write(&harness, "").unwrap();
    let arguments = java(&world, vec![artifact("a.jar", "1")], Some(&harness)).await;
    assert_eq!(
        class_path(&arguments),
        ["beam-sdks-java-harness.jar", "a.jar"]
    );
}

#[tokio::test]
async fn a_harness_within_a_staged_jar_is_enough() {
    let world = World::new();
    let shaded = artifact("app.jar", "..org/apache/beam/fn/harness/FnHarness.class..");
    let arguments = java(&world, vec![shaded], None).await;
    assert_eq!(class_path(&arguments), ["app.jar"]);
}

#[tokio::test]
async fn a_long_class_path_goes_into_a_file() {
    let world = World::new();
    let long = "x".repeat(200);
    let staged = (0..600)
        .map(|n| artifact(&format!("beam-sdks-java-harness-{long}{n}.jar"), ""))
        .collect();
    let arguments = java(&world, staged, None).await;
    assert!(
        arguments.contains("/class_path org.apache.beam.fn.harness.FnHarness"),
        "{arguments}"
    );
}

#[tokio::test]
async fn a_missing_harness_is_named() {
    let world = World::new();
    // No such version can be in anybody's local Maven repository.
    let environment = docker("apache/beam_java17_sdk:0.0.0", vec![artifact("a.jar", "")]);
    let pool = world.pool(&environment);
    let error = start(pool.as_ref(), world.spec(&environment, "w"))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("beam-sdks-java-harness 0.0.0"), "{error}");
    assert!(error.contains("DATAFLUME_JAVA_HARNESS"), "{error}");
}

#[tokio::test]
async fn an_unknown_image_is_refused() {
    let world = World::new();
    let environment = docker("example.com/mine:1", Vec::new());
    let error = pool_for(&environment, WorkerChoice::Managed, world.context())
        .err()
        .unwrap();
    assert!(matches!(error, PoolError::UnknownSdk { .. }));
    assert!(error.to_string().contains("example.com/mine:1"));
}

/// A pool whose interpreter takes its time to install the job's package.
fn slow_pool(world: &World) -> (Environment, Box<dyn WorkerPool>) {
    let interpreter = world.root.join("python");
    write_script(
        &interpreter,
        r#"case "$*" in
"-m pip"*) echo installing $$; trap '' TERM; while :; do sleep 1000; done;;
*) echo '{"version": [3, 11], "executable": "'$0'", "packages": [], "beam": "2.77.0", "has_pip": true, "setuptools": null, "has_wheel": false}';;
esac"#,
    );
    let environment = docker(
        "apache/beam_python3.11_sdk:2.77.0",
        vec![artifact("workflow.tar.gz", "")],
    );
    let mut context = world.context();
    context.pythons = vec![interpreter];
    let pool = pool_for(&environment, WorkerChoice::Managed, context).unwrap();
    (environment, pool)
}

#[tokio::test]
async fn shutdown_ends_an_installation() {
    let world = World::new();
    let (environment, pool) = slow_pool(&world);
    let starting = start(pool.as_ref(), world.spec(&environment, "w"));
    let shutdown = async {
        let pid = world.printed.after("installing ").await;
        step("shutdown", pool.shutdown()).await;
        assert!(!is_alive(&pid));
    };
    let (started, ()) = tokio::join!(starting, shutdown);
    assert!(matches!(started.err().unwrap(), PoolError::ShutDown));
    assert!(!world.instance.job_scratch("job-1").exists());
}

#[tokio::test]
async fn shutdown_waits_for_the_end_of_an_installation_that_was_given_up() {
    let world = World::new();
    let (environment, pool) = slow_pool(&world);
    let pid = tokio::select! {
        _ = start(pool.as_ref(), world.spec(&environment, "w")) => panic!("it never ends"),
        pid = world.printed.after("installing ") => pid,
    };
    step("shutdown", pool.shutdown()).await;
    assert!(!is_alive(&pid));
    assert!(!world.instance.job_scratch("job-1").exists());
}
