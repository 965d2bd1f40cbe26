//! Jobs over Dataflow's REST API: made, seen, listed, ended.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::rest::{JOBS, PIPELINE_URL, Rest, job};
use common::{TestServer, pipeline, state, submit, within};
use dataflume::jobs::{Importance, JobState, WorkerLimits};
use dataflume_proto::job::job_state::Enum as WireState;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_job_is_shown_as_it_is() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let id = rest.created("wordcount").await;
    let shown = rest.get(&format!("{JOBS}/{id}?view=JOB_VIEW_ALL")).await;
    for (field, expected) in [
        ("/id", json!(id)),
        ("/name", json!("wordcount")),
        ("/projectId", json!("my-project")),
        ("/location", json!("us-central1")),
        ("/type", json!("JOB_TYPE_BATCH")),
        ("/currentState", json!("JOB_STATE_PENDING")),
        ("/clientRequestId", json!("request-wordcount")),
        ("/labels/team", json!("weather")),
        ("/jobMetadata/sdkVersion/version", json!("2.77.0")),
        (
            "/environment/workerPools/0/ipConfiguration",
            json!("WORKER_IP_PRIVATE"),
        ),
    ] {
        assert_eq!(shown.pointer(field), Some(&expected), "{field}");
    }
    // Short views leave out what is long.
    let summary = rest.get(&format!("{JOBS}/{id}")).await;
    assert_eq!(summary.pointer("/environment/workerPools"), None);
    // Its runner was given what it asked for.
    let spec = &server.runner.job(&id).spec;
    assert_eq!(spec.workers.count, Some(2));
    assert!(
        spec.options
            .fields
            .contains_key("beam:option:num_workers:v1")
    );
}

#[tokio::test]
async fn ids_have_dataflows_form() {
    let server = TestServer::start().await;
    let id = Rest::staged(&server).await.created("a").await;
    let (time, number) = id.rsplit_once('-').unwrap();
    assert_eq!((time.len(), number.len()), (19, 19), "{id}");
}

#[tokio::test]
async fn both_apis_see_each_others_jobs() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let mut beam = server.client().await;
    let here = rest.created("here").await;
    let there = submit(&mut beam).await;
    assert_eq!(state(&mut beam, &here).await, WireState::Starting);
    let shown = rest.get(&format!("{JOBS}/{there}")).await;
    assert_eq!(shown["currentState"], "JOB_STATE_PENDING");
    let listed = rest.get(JOBS).await;
    assert_eq!(ids(&listed), [there, here]);
}

fn ids(listed: &Value) -> Vec<String> {
    let jobs = listed["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(rest.created(name).await);
    }
    rest.ask(&made[1], json!("JOB_STATE_CANCELLED")).await;
    let list = async |query: &str| ids(&rest.get(&format!("{JOBS}?{query}")).await);
    assert_eq!(list("filter=ACTIVE").await, [&*made[2], &*made[0]]);
    assert_eq!(list("filter=TERMINATED").await, [&*made[1]]);
    assert_eq!(list("name=a").await, [&*made[0]]);
    let first = rest.get(&format!("{JOBS}?pageSize=2")).await;
    assert_eq!(ids(&first), [&*made[2], &*made[1]]);
    let token = first["nextPageToken"].as_str().unwrap();
    let second = rest
        .get(&format!("{JOBS}?pageSize=2&pageToken={token}"))
        .await;
    assert_eq!(ids(&second), [&*made[0]]);
    assert_eq!(second.get("nextPageToken"), None);
    let all = rest.get("projects/my-project/jobs:aggregated").await;
    assert_eq!(ids(&all).len(), 3);
    let some = rest
        .get(&format!("{JOBS}?pageSize=1&fields=jobs(id)"))
        .await;
    assert_eq!(some, json!({"jobs": [{"id": made[2]}]}));
    for elsewhere in [
        "projects/other/jobs:aggregated",
        "projects/my-project/locations/europe-west1/jobs",
    ] {
        assert!(ids(&rest.get(elsewhere).await).is_empty(), "{elsewhere}");
    }
}

#[tokio::test]
async fn an_active_job_keeps_its_name_from_others() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let first = rest.created("nightly").await;
    let mut again = job("nightly");
    again["clientRequestId"] = json!("another");
    let (status, refused) = rest.create(&again).await;
    assert_eq!(
        (status, &refused["error"]["status"]),
        (409, &json!("ALREADY_EXISTS"))
    );
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("nightly") && message.contains(&first),
        "{message}"
    );
    // Elsewhere the name is free, and here when the job has ended.
    let europe = "projects/my-project/locations/europe-west1/jobs";
    let (status, _) = rest.send(Method::POST, europe, again.to_string()).await;
    assert_eq!(status, 200);
    again["clientRequestId"] = json!("a third");
    rest.ask(&first, json!(5)).await;
    assert_eq!(rest.create(&again).await.0, 200);
}

#[tokio::test]
async fn a_request_that_is_sent_once_more_makes_no_other_job() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let first = rest.created("nightly").await;
    assert_eq!(rest.created("nightly").await, first);
    assert_eq!(ids(&rest.get(JOBS).await).len(), 1);
}

#[tokio::test]
async fn jobs_beyond_the_limit_are_queued() {
    let server = TestServer::start_with(|options| options.max_running_jobs = 1).await;
    let rest = Rest::staged(&server).await;
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(rest.created(name).await);
    }
    let shown = async |id: &str| {
        let shown = rest.get(&format!("{JOBS}/{id}")).await;
        shown["currentState"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown(&made[0]).await, "JOB_STATE_PENDING");
    assert_eq!(shown(&made[1]).await, "JOB_STATE_QUEUED");
    // One that waits ends at once, and is not started when its turn would come.
    rest.ask(&made[1], json!("JOB_STATE_CANCELLED")).await;
    assert_eq!(shown(&made[1]).await, "JOB_STATE_CANCELLED");
    let events = server.runner.job(&made[0]).events();
    events.state(JobState::Running);
    events.state(JobState::Done);
    let third = server.server.jobs().job(&made[2]).unwrap();
    let mut listener = third.listen();
    within(async {
        while third.state() == JobState::Stopped {
            listener.next().await.unwrap();
        }
    })
    .await;
    assert_eq!(shown(&made[2]).await, "JOB_STATE_PENDING");
}

#[tokio::test]
async fn the_reason_of_a_failure_is_there_before_the_failure() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let id = rest.created("a").await;
    let events = server.runner.job(&id).events();
    events.state(JobState::Running);
    events.message(Importance::Detailed, "detail");
    events.fail("Traceback: it broke");
    let shown = rest.get(&format!("{JOBS}/{id}")).await;
    assert_eq!(shown["currentState"], "JOB_STATE_FAILED");
    let path = format!("{JOBS}/{id}/messages");
    let messages = rest.get(&format!("{path}?minimumImportance=4")).await;
    assert_eq!(messages["jobMessages"].as_array().unwrap().len(), 1);
    let message = &messages["jobMessages"][0];
    assert_eq!(message["messageImportance"], "JOB_MESSAGE_ERROR");
    assert_eq!(message["messageText"], "Traceback: it broke");
    // From its own time on it is still there, before it is not.
    let time = message["time"].as_str().unwrap();
    let count = async |query: String| {
        let found = rest.get(&format!("{path}?{query}")).await;
        found["jobMessages"].as_array().unwrap().len()
    };
    assert_eq!(count(format!("startTime={time}")).await, 1);
    assert_eq!(count(format!("endTime={time}")).await, 1);
    let first = rest.get(&format!("{path}?pageSize=1")).await;
    assert_eq!(first["jobMessages"][0]["messageText"], "detail");
    let token = first["nextPageToken"].as_str().unwrap();
    assert_eq!(count(format!("pageToken={token}")).await, 1);
}

#[tokio::test]
async fn a_runner_of_tests_that_looks_before_it_waits_sees_a_job_that_ran() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    for (runner, seen) in [
        ("TestDataflowRunner", ["RUNNING", "FAILED"]),
        ("DataflowRunner", ["FAILED", "FAILED"]),
    ] {
        let mut job = job(&runner.to_lowercase());
        job["environment"]["sdkPipelineOptions"]["options"]["runner"] = json!(runner);
        let (_, created) = rest.create(&job).await;
        let id = created["id"].as_str().unwrap();
        let path = format!("{JOBS}/{id}");
        let events = server.runner.job(id).events();
        events.state(JobState::Running);
        events.fail("it broke");
        // Other clients are told what is, and their looks don't count.
        assert_eq!(rest.get(&path).await["currentState"], "JOB_STATE_FAILED");
        for state in seen {
            let shown = rest.get_as_python(&path).await;
            assert_eq!(shown["currentState"], format!("JOB_STATE_{state}"));
        }
    }
}

#[tokio::test]
async fn a_cancelled_job_ends_and_can_not_be_asked_again() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let id = rest.created("a").await;
    let (status, answer) = rest.ask(&id, json!(5)).await;
    assert_eq!(
        (status, &answer["currentState"]),
        (200, &json!("JOB_STATE_CANCELLED"))
    );
    let (status, answer) = rest.ask(&id, json!("JOB_STATE_CANCELLED")).await;
    assert_eq!(
        (status, &answer["error"]["status"]),
        (400, &json!("FAILED_PRECONDITION"))
    );
}

#[tokio::test]
async fn a_pipeline_that_can_not_run_is_refused_with_all_reasons() {
    let server = TestServer::start().await;
    let rest = Rest::new(&server);
    rest.stage(&pipeline(&["refuse: no such coder"])).await;
    let (status, answer) = rest.create(&job("a")).await;
    assert_eq!(status, 400);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("no such coder"), "{message}");
    assert!(ids(&rest.get(JOBS).await).is_empty());
}

#[tokio::test]
async fn a_pipeline_is_found_by_either_spelling_and_its_hash_is_checked() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let mut sent = job("a");
    let options = |job: &mut Value, name: &str, value: Value| {
        job["environment"]["sdkPipelineOptions"]["options"][name] = value;
    };
    let host = PIPELINE_URL.replace("gs://", "storage.googleapis.com/");
    options(&mut sent, "pipelineUrl", json!(host));
    assert_eq!(rest.create(&sent).await.0, 200);
    let mut wrong = job("b");
    options(&mut wrong, "pipelineProtoHash", json!("00"));
    let (status, answer) = rest.create(&wrong).await;
    assert_eq!(status, 400);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("SHA-256"), "{message}");
}

#[tokio::test]
async fn changes_of_the_number_of_workers_are_events() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let id = rest.created("a").await;
    let events = server.runner.job(&id).events();
    events.workers(0, 2, "Starting 2 workers...");
    events.workers(2, 2, "They are there.");
    let answer = rest.get(&format!("{JOBS}/{id}/messages")).await;
    let told = answer["autoscalingEvents"].as_array().unwrap();
    let kinds: Vec<_> = told.iter().map(|event| &event["eventType"]).collect();
    let expected = ["TARGET_NUM_WORKERS_CHANGED", "CURRENT_NUM_WORKERS_CHANGED"];
    assert_eq!(kinds, expected);
    assert_eq!(told[1]["currentNumWorkers"], "2");
    assert_eq!(answer["jobMessages"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn streaming_jobs_are_drained_and_batch_jobs_are_not() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let batch = rest.created("batch").await;
    let mut job = job("streaming");
    job["type"] = json!("JOB_TYPE_STREAMING");
    let (_, answer) = rest.create(&job).await;
    let streaming = answer["id"].as_str().unwrap();
    for id in [&*batch, streaming] {
        server.runner.job(id).events().state(JobState::Running);
    }
    let (status, answer) = rest.ask(&batch, json!("JOB_STATE_DRAINED")).await;
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("only streaming"),
        "{message}"
    );
    // The Python SDK sends the state on the way, gcloud the last one.
    for state in [json!(7), json!("JOB_STATE_DRAINED")] {
        let (status, answer) = rest.ask(streaming, state).await;
        assert_eq!(status, 200, "{answer}");
        let state = answer["currentState"].as_str().unwrap();
        assert!(
            ["JOB_STATE_DRAINING", "JOB_STATE_DRAINED"].contains(&state),
            "{state}"
        );
        if state == "JOB_STATE_DRAINED" {
            break;
        }
    }
}

#[tokio::test]
async fn a_streaming_jobs_number_of_workers_is_limited_as_it_runs() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let mut job = job("streaming");
    job["type"] = json!("JOB_TYPE_STREAMING");
    let (_, answer) = rest.create(&job).await;
    let id = answer["id"].as_str().unwrap();
    server.runner.job(id).events().state(JobState::Running);
    let change = async |fields: &str, params: Value| {
        let path = format!("{JOBS}/{id}?updateMask={fields}");
        let body = json!({"runtimeUpdatableParams": params}).to_string();
        rest.send(Method::PUT, &path, body).await
    };
    let (max, min) = (
        "runtime_updatable_params.max_num_workers",
        "runtimeUpdatableParams.minNumWorkers",
    );
    let (status, answer) = change(max, json!({"maxNumWorkers": 5, "minNumWorkers": 9})).await;
    assert_eq!(status, 200, "{answer}");
    // What the mask does not name is passed over.
    assert_eq!(
        answer["runtimeUpdatableParams"],
        json!({"maxNumWorkers": 5})
    );
    let both = format!("{max},{min}");
    let (status, answer) = change(&both, json!({"maxNumWorkers": 4, "minNumWorkers": 2})).await;
    assert_eq!(status, 200, "{answer}");
    let expected = WorkerLimits {
        min: Some(2),
        max: Some(4),
    };
    assert_eq!(server.runner.job(id).limits(), Some(expected));
    let (status, _) = change(min, json!({"minNumWorkers": 6})).await;
    assert_eq!(status, 400, "fewer at most than at least");
    let shown = rest.get(&format!("{JOBS}/{id}")).await;
    let limits = json!({"maxNumWorkers": 4, "minNumWorkers": 2});
    assert_eq!(shown["runtimeUpdatableParams"], limits);
}
