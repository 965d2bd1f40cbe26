//! What no client should send: each gets Google's kind of error, and nothing changes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::TestServer;
use common::rest::{JOBS, Rest, job};
use reqwest::Method;
use serde_json::{Value, json};

/// The job with one field replaced.
fn with(pointer: &str, value: Value) -> String {
    let mut job = job("a");
    *job.pointer_mut(pointer).unwrap() = value;
    job.to_string()
}

#[tokio::test]
async fn every_bad_request_is_answered_with_its_error() {
    let server = TestServer::start().await;
    let rest = Rest::staged(&server).await;
    let id = rest.created("existing").await;
    let existing = format!("{JOBS}/{id}");
    let elsewhere = existing.replace("us-central1", "europe-west1");
    let foreign = existing.replace("my-project", "other-project");
    let mut replacing = job("a");
    replacing["replaceJobId"] = json!(id);
    let mut no_pipeline = job("a");
    no_pipeline["environment"]["sdkPipelineOptions"] = json!({});
    let url = "/environment/sdkPipelineOptions/options/pipelineUrl";
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(21 << 20));
    let long = with("/labels/team", json!("a".repeat(11 << 20)));
    let messages = |query: &str| format!("{existing}/messages?{query}");
    let cases: Vec<(Method, String, String, u16, &str)> = vec![
        (
            post.clone(),
            JOBS.into(),
            "{".into(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            "[]".into(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            "{}".into(),
            400,
            "INVALID_ARGUMENT",
        ),
        (post.clone(), JOBS.into(), large, 413, "INVALID_ARGUMENT"),
        (post.clone(), JOBS.into(), long, 400, "INVALID_ARGUMENT"),
        (
            post.clone(),
            JOBS.into(),
            with("/name", json!("Not_A_Name")),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            with("/type", json!(7)),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            with("/name", json!(1)),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            with("/labels", json!([1])),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            with("/environment/workerPools/0/numWorkers", json!(-1)),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            no_pipeline.to_string(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            with(url, json!("/etc/passwd")),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            with(url, json!("gs://staging/none")),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            with(url, json!("gs://../../etc")),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            JOBS.into(),
            replacing.to_string(),
            400,
            "FAILED_PRECONDITION",
        ),
        (
            post.clone(),
            "projects/my-project/locations/NOWHERE/jobs".into(),
            job("a").to_string(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            post.clone(),
            "projects/..%2Fx/locations/us-central1/jobs".into(),
            job("a").to_string(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            format!("{JOBS}/none"),
            String::new(),
            404,
            "NOT_FOUND",
        ),
        (get.clone(), elsewhere, String::new(), 404, "NOT_FOUND"),
        (get.clone(), foreign, String::new(), 404, "NOT_FOUND"),
        (
            get.clone(),
            format!("{existing}?view=9"),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            format!("{JOBS}?filter=x"),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            format!("{JOBS}?pageSize=x"),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            format!("{JOBS}?pageToken=x"),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            messages("startTime=noon"),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            messages("minimumImportance=x"),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            messages("pageToken=x"),
            String::new(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            get.clone(),
            format!("{JOBS}/none/metrics"),
            String::new(),
            404,
            "NOT_FOUND",
        ),
        (
            get.clone(),
            format!("{JOBS}/none/stages/F0/executionDetails"),
            String::new(),
            404,
            "NOT_FOUND",
        ),
        (
            put.clone(),
            existing.clone(),
            "{".into(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            put.clone(),
            existing.clone(),
            "{}".into(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            put.clone(),
            existing.clone(),
            json!({"requestedState": "JOB_STATE_RUNNING"}).to_string(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            put.clone(),
            existing.clone(),
            json!({"requestedState": 99}).to_string(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            put.clone(),
            existing.clone(),
            json!({"requestedState": "JOB_STATE_PAUSED"}).to_string(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            put.clone(),
            format!("{existing}?updateMask=runtimeUpdatableParams.workerUtilizationHint"),
            json!({"runtimeUpdatableParams": {"workerUtilizationHint": 0.5}}).to_string(),
            400,
            "FAILED_PRECONDITION",
        ),
        (
            put,
            format!("{existing}?updateMask=runtime_updatable_params.max_num_workers"),
            "{}".into(),
            400,
            "INVALID_ARGUMENT",
        ),
        (
            Method::PUT,
            format!("{existing}?updateMask=runtimeUpdatableParams.maxNumWorkers"),
            json!({"runtimeUpdatableParams": {"maxNumWorkers": 3}}).to_string(),
            400,
            // A batch job.
            "FAILED_PRECONDITION",
        ),
        (
            Method::PUT,
            format!("{existing}?updateMask=jobMetadata.userDisplayProperties"),
            "{}".into(),
            400,
            "FAILED_PRECONDITION",
        ),
        (
            Method::DELETE,
            existing.clone(),
            String::new(),
            405,
            "UNIMPLEMENTED",
        ),
        (
            post.clone(),
            format!("{existing}:snapshot"),
            "{}".into(),
            400,
            "FAILED_PRECONDITION",
        ),
        (
            post,
            "projects/my-project/locations/us-central1/flexTemplates:launch".into(),
            "{}".into(),
            400,
            "FAILED_PRECONDITION",
        ),
        (
            get,
            "projects/my-project/nothing".into(),
            String::new(),
            404,
            "NOT_FOUND",
        ),
    ];
    for (method, path, body, expected, name) in cases {
        let sent = body.chars().take(60).collect::<String>();
        let (status, answer) = rest.send(method.clone(), &path, body).await;
        let error = &answer["error"];
        let found = (status, error["status"].as_str().unwrap_or_default());
        assert_eq!(found, (expected, name), "{method} {path} {sent}: {answer}");
        assert_eq!(error["code"], status, "{method} {path}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert_eq!(error["errors"][0]["domain"], "global");
    }
    let listed = rest.get(JOBS).await;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 1);
    assert_eq!(listed["jobs"][0]["currentState"], "JOB_STATE_PENDING");
}
