//! Beam's Job API over real sockets, with jobs that run as the test says.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::atomic::Ordering;

use common::*;
use dataflume::jobs::{Importance, JobState};
use dataflume_proto::job::job_state::Enum as WireState;
use dataflume_proto::job::{
    CancelJobRequest, DescribePipelineOptionsRequest, DrainJobRequest, GetJobMetricsRequest,
    GetJobPipelineRequest, GetJobsRequest, JobMessagesRequest, PrepareJobRequest,
};
use dataflume_proto::pipeline::{
    ArtifactInformation, Components, Environment, FunctionSpec, PTransform,
};
use tonic::Code;

#[tokio::test]
async fn a_job_from_prepare_to_done() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let prepared = prepare(&mut client, "Word Count", pipeline(&["impulse"]))
        .await
        .unwrap();
    let endpoint = prepared.artifact_staging_endpoint.unwrap();
    assert_eq!(endpoint.url, server.server.endpoint());
    assert!(!prepared.staging_session_token.is_empty());

    let id = run(&mut client, &prepared.preparation_id).await.unwrap();
    assert!(id.starts_with("word-count-"), "{id}");
    assert_eq!(state(&mut client, &id).await, WireState::Starting);
    let stream = messages(&mut client, &id).await;
    let job = server.runner.job(&id);
    assert_eq!(job.spec.name, "Word Count");
    job.events().state(JobState::Running);
    assert_eq!(state(&mut client, &id).await, WireState::Running);
    job.events().message(Importance::Basic, "hello");
    job.events().state(JobState::Done);
    let expected = ["STOPPED", "STARTING", "RUNNING", "hello", "DONE"];
    assert_eq!(rest(stream).await, expected);

    let jobs = client
        .get_jobs(GetJobsRequest {})
        .await
        .unwrap()
        .into_inner()
        .job_info;
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        (jobs[0].job_id.as_str(), jobs[0].state()),
        (id.as_str(), WireState::Done)
    );
    let request = GetJobPipelineRequest { job_id: id.clone() };
    let sent = client
        .get_pipeline(request)
        .await
        .unwrap()
        .into_inner()
        .pipeline;
    assert_eq!(sent, Some(pipeline(&["impulse"])));
    let request = GetJobMetricsRequest { job_id: id };
    let metrics = client
        .get_job_metrics(request)
        .await
        .unwrap()
        .into_inner()
        .metrics
        .unwrap();
    assert_eq!(metrics.attempted[0].urn, "attempted");
    assert_eq!(metrics.committed[0].urn, "committed");
}

#[tokio::test]
async fn every_listener_is_told_everything_once() {
    const LISTENERS: usize = 30;
    const MESSAGES: usize = 300;
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    let job = server.runner.job(&id);
    job.events().state(JobState::Running);
    let mut listeners = Vec::new();
    for number in 0..MESSAGES {
        // They begin at all times, some with much history behind them.
        if number % (MESSAGES / LISTENERS) == 0 {
            let stream = messages(&mut client, &id).await;
            listeners.push(tokio::spawn(rest(stream)));
        }
        job.events().message(Importance::Basic, number.to_string());
    }
    job.events().state(JobState::Done);
    listeners.push(tokio::spawn(rest(messages(&mut client, &id).await)));

    let mut expected: Vec<String> = ["STOPPED", "STARTING", "RUNNING"].map(String::from).into();
    expected.extend((0..MESSAGES).map(|number| number.to_string()));
    expected.push("DONE".to_owned());
    for listener in listeners {
        assert_eq!(within(listener).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_state_stream_ends_with_the_terminal_state() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    let mut stream = client
        .get_state_stream(state_request(&id))
        .await
        .unwrap()
        .into_inner();
    let events = server.runner.job(&id).events();
    events.message(Importance::Basic, "not a state");
    events.fail("bad luck");
    let mut states = Vec::new();
    while let Some(event) = within(stream.message()).await.unwrap() {
        states.push(event.state());
    }
    assert_eq!(
        states,
        [WireState::Stopped, WireState::Starting, WireState::Failed]
    );
}

#[tokio::test]
async fn a_message_stream_stays_open_while_the_job_runs() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    let mut stream = messages(&mut client, &id).await;
    let events = server.runner.job(&id).events();
    assert_eq!(next(&mut stream).await.as_deref(), Some("STOPPED"));
    assert_eq!(next(&mut stream).await.as_deref(), Some("STARTING"));
    // Each is received before the next is said.
    for text in ["a", "b", "c"] {
        events.message(Importance::Warning, text);
        assert_eq!(next(&mut stream).await.as_deref(), Some(text));
    }
    events.fail("d");
    assert_eq!(rest(stream).await, ["d", "FAILED"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let job_id = || "no-such-job".to_owned();
    let codes = [
        run(&mut client, "no-such-job").await.unwrap_err(),
        client
            .get_state(state_request("no-such-job"))
            .await
            .unwrap_err(),
        client
            .get_state_stream(state_request("no-such-job"))
            .await
            .unwrap_err(),
        client
            .get_message_stream(JobMessagesRequest { job_id: job_id() })
            .await
            .unwrap_err(),
        client
            .get_pipeline(GetJobPipelineRequest { job_id: job_id() })
            .await
            .unwrap_err(),
        client
            .get_job_metrics(GetJobMetricsRequest { job_id: job_id() })
            .await
            .unwrap_err(),
        client
            .cancel(CancelJobRequest { job_id: job_id() })
            .await
            .unwrap_err(),
        client
            .drain(DrainJobRequest { job_id: job_id() })
            .await
            .unwrap_err(),
    ];
    for status in codes {
        assert_eq!(status.code(), Code::NotFound, "{status}");
        assert!(status.message().contains("no-such-job"), "{status}");
    }
}

#[tokio::test]
async fn a_preparation_is_good_for_one_job() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let prepared = prepare(&mut client, "", pipeline(&[])).await.unwrap();
    run(&mut client, &prepared.preparation_id).await.unwrap();
    let again = run(&mut client, &prepared.preparation_id)
        .await
        .unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists, "{again}");
    let jobs = client
        .get_jobs(GetJobsRequest {})
        .await
        .unwrap()
        .into_inner()
        .job_info;
    assert_eq!(jobs.len(), 1);
}

#[tokio::test]
async fn a_job_is_cancelled_once_and_stays_as_it_ended() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    server.runner.job(&id).events().state(JobState::Running);
    let stream = messages(&mut client, &id).await;
    for _ in 0..2 {
        let request = CancelJobRequest { job_id: id.clone() };
        let answer = client.cancel(request).await.unwrap().into_inner();
        assert_eq!(answer.state(), WireState::Cancelled);
    }
    assert_eq!(server.runner.job(&id).cancels(), 1);
    let told = rest(stream).await;
    assert_eq!(told[..3], ["STOPPED", "STARTING", "RUNNING"]);
    assert_eq!(told[3], "CANCELLING");
    assert_eq!(told.last().map(String::as_str), Some("CANCELLED"));
}

#[tokio::test]
async fn a_job_that_is_being_cancelled_does_not_run_again() {
    let server = TestServer::start().await;
    server.runner.stubborn.store(true, Ordering::Relaxed);
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    let request = CancelJobRequest { job_id: id.clone() };
    let answer = client.cancel(request).await.unwrap().into_inner();
    assert_eq!(answer.state(), WireState::Cancelling);
    let events = server.runner.job(&id).events();
    events.state(JobState::Running);
    assert_eq!(state(&mut client, &id).await, WireState::Cancelling);
    // It ended by itself before it noticed.
    events.state(JobState::Done);
    assert_eq!(state(&mut client, &id).await, WireState::Done);
}

#[tokio::test]
async fn a_job_drains() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    let request = DrainJobRequest { job_id: id.clone() };
    client.drain(request.clone()).await.unwrap();
    assert_eq!(state(&mut client, &id).await, WireState::Drained);
    let again = client.drain(request).await.unwrap().into_inner();
    assert_eq!(again.state(), WireState::Drained, "it stays as it is");
}

#[tokio::test]
async fn a_job_that_drains_can_still_end_otherwise() {
    let server = TestServer::start().await;
    server.runner.stubborn.store(true, Ordering::Relaxed);
    let mut client = server.client().await;
    let drain = |job_id: &str| DrainJobRequest {
        job_id: job_id.to_owned(),
    };
    let id = submit(&mut client).await;
    let answer = client.drain(drain(&id)).await.unwrap().into_inner();
    assert_eq!(answer.state(), WireState::Draining);
    server.runner.job(&id).events().state(JobState::Running);
    assert_eq!(state(&mut client, &id).await, WireState::Draining);
    let request = CancelJobRequest { job_id: id.clone() };
    client.cancel(request).await.unwrap();
    let status = client.drain(drain(&id)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("cancelling"), "{status}");
}

#[tokio::test]
async fn an_impossible_pipeline_is_refused_with_the_reason() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let refused = prepare(&mut client, "", pipeline(&["refuse: two\nthings"]))
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "two\nthings")
    );
    // A status that is longer than clients take would be lost altogether.
    let long = format!("refuse: {}", "x".repeat(100_000));
    let refused = prepare(&mut client, "", pipeline(&[&long]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().len() < 8000 && refused.message().starts_with("xxx"));
    let none = client
        .prepare(PrepareJobRequest::default())
        .await
        .unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_panic_harms_nobody_else() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let status = prepare(&mut client, "", pipeline(&["panic"]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    submit(&mut client).await;
}

#[tokio::test]
async fn a_job_whose_runner_vanishes_fails() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    server.runner.job(&id).vanish();
    let told = rest(messages(&mut client, &id).await).await;
    assert_eq!(told.last().map(String::as_str), Some("FAILED"));
    assert!(told[2].contains("without ending it"), "{told:?}");
}

#[tokio::test]
async fn a_pipeline_may_be_large() {
    const BYTES: usize = 40 << 20;
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let transform = PTransform {
        spec: Some(FunctionSpec {
            payload: vec![7; BYTES].into(),
            ..FunctionSpec::default()
        }),
        ..PTransform::default()
    };
    let mut large = pipeline(&["large"]);
    large.components = Some(Components {
        transforms: [("large".to_owned(), transform)].into(),
        ..Components::default()
    });
    let prepared = within(prepare(&mut client, "", large.clone()))
        .await
        .unwrap();
    let id = run(&mut client, &prepared.preparation_id).await.unwrap();
    let request = GetJobPipelineRequest { job_id: id };
    let sent = within(client.get_pipeline(request))
        .await
        .unwrap()
        .into_inner()
        .pipeline;
    assert!(sent == Some(large));
}

#[tokio::test]
async fn artifacts_are_staged_where_the_client_is_connected() {
    let server = TestServer::start().await;
    let port = server.server.port();
    for host in ["127.0.0.1", "localhost"] {
        let mut client = client_of(&format!("http://{host}:{port}")).await;
        let prepared = prepare(&mut client, "", pipeline(&[])).await.unwrap();
        let url = prepared.artifact_staging_endpoint.unwrap().url;
        assert_eq!(url, format!("{host}:{port}"));
    }
}

#[tokio::test]
async fn a_job_waits_for_its_artifacts() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let environment = Environment {
        dependencies: vec![ArtifactInformation::default()],
        ..Environment::default()
    };
    let mut needy = pipeline(&[]);
    needy.components = Some(Components {
        environments: [("python".to_owned(), environment)].into(),
        ..Components::default()
    });
    let prepared = prepare(&mut client, "", needy).await.unwrap();
    for _ in 0..2 {
        let status = run(&mut client, &prepared.preparation_id)
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
    }
    assert!(
        client
            .get_jobs(GetJobsRequest {})
            .await
            .unwrap()
            .into_inner()
            .job_info
            .is_empty()
    );
}

#[tokio::test]
async fn the_emulator_has_no_pipeline_options_of_its_own() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let request = DescribePipelineOptionsRequest {};
    let answer = client
        .describe_pipeline_options(request)
        .await
        .unwrap()
        .into_inner();
    assert!(answer.options.is_empty());
}

#[tokio::test]
async fn at_the_end_jobs_are_cancelled_and_their_listeners_told() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let id = submit(&mut client).await;
    let stream = messages(&mut client, &id).await;
    let jobs = server.server.jobs().clone();
    within(server.server.shutdown()).await;
    assert_eq!(
        rest(stream).await.last().map(String::as_str),
        Some("CANCELLED")
    );
    assert_eq!(jobs.job(&id).unwrap().state(), JobState::Cancelled);
    assert!(client.get_jobs(GetJobsRequest {}).await.is_err());
}
