//! Logging, status, provisioning and artifact retrieval; calls from unknown workers.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use common::{TestServer, provision, registration, step};
use dataflume_harness::{ArtifactSource, LogSink, Provision, RUNNER_CAPABILITIES, WorkerError};
use dataflume_proto::fn_execution::beam_fn_logging_client::BeamFnLoggingClient;
use dataflume_proto::fn_execution::beam_fn_state_client::BeamFnStateClient;
use dataflume_proto::fn_execution::beam_fn_worker_status_client::BeamFnWorkerStatusClient;
use dataflume_proto::fn_execution::provision_service_client::ProvisionServiceClient;
use dataflume_proto::fn_execution::{
    GetProvisionInfoRequest, LogEntry, ProvisionInfo, WorkerStatusResponse, log_entry,
};
use dataflume_proto::job::artifact_retrieval_service_client::ArtifactRetrievalServiceClient;
use dataflume_proto::job::{GetArtifactRequest, ResolveArtifactsRequest};
use dataflume_proto::pipeline::ArtifactInformation;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl LogSink for Lines {
    fn log(&self, worker_id: &str, entries: Vec<LogEntry>) {
        let mut lines = self.0.lock().unwrap();
        lines.extend(
            entries
                .into_iter()
                .map(|e| format!("{worker_id}: {}", e.message)),
        );
    }
}

#[tokio::test]
async fn log_entries_reach_the_jobs_sink() {
    let server = TestServer::start().await;
    let lines = Arc::new(Lines::default());
    let mut logging = registration("w");
    logging.log = lines.clone();
    let _connection = server.fn_api.expect_worker(logging).unwrap();
    let sdk = server.sdk("w").await;
    let batch = |messages: &[&str]| log_entry::List {
        log_entries: messages
            .iter()
            .map(|message| LogEntry {
                message: (*message).to_owned(),
                ..Default::default()
            })
            .collect(),
    };
    let batches = vec![batch(&["one", "two"]), batch(&["three"])];
    let mut control = BeamFnLoggingClient::new(sdk.channel.clone())
        .logging(sdk.request(futures::stream::iter(batches)))
        .await
        .unwrap()
        .into_inner();
    // The end of the stream tells that everything was taken.
    assert!(
        step("log control", control.message())
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(*lines.0.lock().unwrap(), ["w: one", "w: two", "w: three"]);
}

#[tokio::test]
async fn a_worker_that_was_let_go_has_left_when_it_has_ended_its_logging() {
    let server = TestServer::start().await;
    let (worker, sdk) = server.worker("w").await;
    assert!(!worker.logs());
    let (entries, stream) = mpsc::channel::<log_entry::List>(1);
    let logging = BeamFnLoggingClient::new(sdk.sdk.channel.clone())
        .logging(sdk.sdk.request(ReceiverStream::new(stream)))
        .await
        .unwrap();
    assert!(worker.logs());
    let left = worker.has_left();
    tokio::pin!(left);
    assert!(
        futures::poll!(&mut left).is_pending(),
        "nobody told it to end"
    );
    worker.shutdown("the job is done");
    assert!(
        futures::poll!(&mut left).is_pending(),
        "it still tears down"
    );
    drop(entries);
    step("the worker's leaving", left).await;
    drop(logging);
}

#[tokio::test]
async fn a_worker_has_left_when_its_harness_says_so() {
    let java = "org.apache.beam.fn.harness.FnHarness";
    let python = "/lib/site-packages/apache_beam/runners/worker/sdk_worker.py:300";
    for (harness, words) in [
        (java, "Shutting SDK harness down."),
        (python, "Done consuming work."),
    ] {
        let server = TestServer::start().await;
        let (worker, sdk) = server.worker("w").await;
        let (entries, stream) = mpsc::channel(1);
        let _logging = BeamFnLoggingClient::new(sdk.sdk.channel.clone())
            .logging(sdk.sdk.request(ReceiverStream::new(stream)))
            .await
            .unwrap();
        let say = async |log_location: &str, message: &str| {
            let entry = LogEntry {
                log_location: log_location.to_owned(),
                message: message.to_owned(),
                ..Default::default()
            };
            let log_entries = vec![entry];
            entries.send(log_entry::List { log_entries }).await.unwrap();
        };
        worker.shutdown("the job is done");
        let left = worker.has_left();
        tokio::pin!(left);
        say("/home/me/pipeline.py:12", words).await;
        say(harness, "Control stream ended.").await;
        tokio::time::timeout(Duration::from_millis(50), &mut left)
            .await
            .expect_err("it still tears down");
        say(harness, words).await;
        step("the worker's leaving", left).await;
    }
}

#[tokio::test]
async fn a_workers_status_is_asked_over_its_stream() {
    let server = TestServer::start().await;
    let (worker, sdk) = server.worker("w").await;
    assert_eq!(
        worker.status().await,
        Err(WorkerError::NotConnected("status"))
    );
    let (responses, stream) = mpsc::channel(4);
    let mut requests = BeamFnWorkerStatusClient::new(sdk.sdk.channel.clone())
        .worker_status(sdk.sdk.request(ReceiverStream::new(stream)))
        .await
        .unwrap()
        .into_inner();
    for (info, error) in [("all is well", ""), ("", "no memory")] {
        let worker = worker.clone();
        let asked = tokio::spawn(async move { worker.status().await });
        let request = step("status", requests.message()).await.unwrap().unwrap();
        let response = WorkerStatusResponse {
            id: request.id,
            error: error.to_owned(),
            status_info: info.to_owned(),
        };
        responses.send(response).await.unwrap();
        let result = step("status", asked).await.unwrap();
        if error.is_empty() {
            assert_eq!(result.unwrap(), info);
        } else {
            assert_eq!(result, Err(WorkerError::Sdk(error.to_owned())));
        }
    }
    let lost = tokio::spawn({
        let worker = worker.clone();
        async move { worker.status().await }
    });
    step("status", requests.message()).await.unwrap().unwrap();
    drop(responses);
    let lost = step("status", lost).await.unwrap();
    assert!(matches!(lost, Err(WorkerError::Lost(_))), "{lost:?}");
}

#[tokio::test]
async fn provision_info_is_completed() {
    let server = TestServer::start().await;
    let mut wanted = registration("w");
    wanted.provision = Some(provision(ProvisionInfo {
        retrieval_token: "job-7".to_owned(),
        runner_capabilities: vec!["beam:protocol:extra:v1".to_owned()],
        ..ProvisionInfo::default()
    }));
    let connection = server.fn_api.expect_worker(wanted).unwrap();
    let sdk = server.sdk("w").await;
    let info = ProvisionServiceClient::new(sdk.channel.clone())
        .get_provision_info(sdk.request(GetProvisionInfoRequest {}))
        .await
        .unwrap()
        .into_inner()
        .info
        .unwrap();
    assert_eq!(Some(&info), connection.provision_info());
    assert_eq!(info.retrieval_token, "job-7");
    let url = server.address.to_string();
    for endpoint in [
        info.control_endpoint,
        info.logging_endpoint,
        info.artifact_endpoint,
        info.status_endpoint,
    ] {
        assert_eq!(endpoint.unwrap().url, url);
    }
    let mut expected = vec!["beam:protocol:extra:v1"];
    expected.extend(RUNNER_CAPABILITIES);
    assert_eq!(info.runner_capabilities, expected);
}

#[tokio::test]
async fn a_worker_waits_for_what_is_said_later() {
    let server = TestServer::start().await;
    let mut early = registration("w");
    early.provision = None;
    let connection = server.fn_api.expect_worker(early).unwrap();
    let sdk = server.sdk("w").await;
    let ask = || {
        let (mut client, request) = (
            ProvisionServiceClient::new(sdk.channel.clone()),
            sdk.request(GetProvisionInfoRequest {}),
        );
        tokio::spawn(async move { client.get_provision_info(request).await })
    };
    let asked = ask();
    assert_eq!(connection.provision_info(), None);
    for token in ["first", "second"] {
        connection.provide(provision(ProvisionInfo {
            retrieval_token: token.to_owned(),
            ..ProvisionInfo::default()
        }));
    }
    for asked in [asked, ask()] {
        let told = step("provision", asked).await.unwrap().unwrap();
        let info = told.into_inner().info.unwrap();
        assert_eq!(Some(&info), connection.provision_info());
        assert_eq!(info.retrieval_token, "first");
    }
}

#[tokio::test]
async fn a_worker_that_is_let_go_waits_no_longer() {
    let server = TestServer::start().await;
    let mut early = registration("w");
    early.provision = None;
    let connection = server.fn_api.expect_worker(early).unwrap();
    let sdk = server.sdk("w").await;
    let mut client = ProvisionServiceClient::new(sdk.channel.clone());
    let request = sdk.request(GetProvisionInfoRequest {});
    let asked = tokio::spawn(async move { client.get_provision_info(request).await });
    // Let go before or after it has asked: it gets no answer in either case.
    connection.fail("nobody wants it");
    let refused = step("provision", asked).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(refused.message(), "nobody wants it");
}

/// One artifact of two chunks, of type `t`.
struct OneArtifact;

#[async_trait]
impl ArtifactSource for OneArtifact {
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
        if artifact.type_urn != "t" {
            return Err(Status::not_found(artifact.type_urn));
        }
        let chunks = ["first ", "second"].map(|chunk| Ok(Bytes::from(chunk)));
        Ok(futures::stream::iter(chunks).boxed())
    }
}

#[tokio::test]
async fn artifacts_come_from_the_workers_own_source() {
    let server = TestServer::start().await;
    let mut with_artifact = registration("w");
    with_artifact.provision = Some(Provision {
        info: ProvisionInfo::default(),
        artifacts: Arc::new(OneArtifact),
    });
    let _connection = server.fn_api.expect_worker(with_artifact).unwrap();
    let sdk = server.sdk("w").await;
    let mut client = ArtifactRetrievalServiceClient::new(sdk.channel.clone());
    let artifact = |type_urn: &str| ArtifactInformation {
        type_urn: type_urn.to_owned(),
        ..Default::default()
    };
    let resolve = ResolveArtifactsRequest {
        artifacts: vec![artifact("t")],
        ..Default::default()
    };
    let resolved = client
        .resolve_artifacts(sdk.request(resolve))
        .await
        .unwrap();
    assert_eq!(resolved.into_inner().replacements, [artifact("t")]);
    let ask = |type_urn| GetArtifactRequest {
        artifact: Some(artifact(type_urn)),
    };
    let chunks: Vec<_> = client
        .get_artifact(sdk.request(ask("t")))
        .await
        .unwrap()
        .into_inner()
        .map(|chunk| chunk.unwrap().data)
        .collect()
        .await;
    assert_eq!(chunks.concat(), b"first second");
    let missing = client
        .get_artifact(sdk.request(ask("u")))
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn unknown_workers_are_refused_by_every_service() {
    let server = TestServer::start().await;
    let _connection = server.expect("known");
    let sdk = server.sdk("stranger").await;
    let channel = || sdk.channel.clone();
    let refusals = [
        sdk.control().await.map(|_| ()).unwrap_err(),
        sdk.descriptor("d").await.map(|_| ()).unwrap_err(),
        sdk.data().await.map(|_| ()).unwrap_err(),
        BeamFnStateClient::new(channel())
            .state(sdk.request(futures::stream::empty()))
            .await
            .map(|_| ())
            .unwrap_err(),
        BeamFnLoggingClient::new(channel())
            .logging(sdk.request(futures::stream::empty()))
            .await
            .map(|_| ())
            .unwrap_err(),
        BeamFnWorkerStatusClient::new(channel())
            .worker_status(sdk.request(futures::stream::empty()))
            .await
            .map(|_| ())
            .unwrap_err(),
        ProvisionServiceClient::new(channel())
            .get_provision_info(sdk.request(GetProvisionInfoRequest {}))
            .await
            .map(|_| ())
            .unwrap_err(),
        ArtifactRetrievalServiceClient::new(channel())
            .resolve_artifacts(sdk.request(ResolveArtifactsRequest::default()))
            .await
            .map(|_| ())
            .unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::PermissionDenied);
        assert!(refusal.message().contains("\"stranger\""), "{refusal:?}");
    }
    let nameless = ProvisionServiceClient::new(channel())
        .get_provision_info(GetProvisionInfoRequest {})
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(nameless.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_worker_that_comes_too_late_is_sent_home() {
    let server = TestServer::start().await;
    // Of one job somebody still holds the worker, the other's is forgotten.
    let held = server.expect("held");
    held.fail("the job ended");
    drop(server.expect("forgotten"));
    for late in ["held", "forgotten"] {
        let sdk = server.sdk(late).await;
        let mut control = sdk.control().await.unwrap();
        let instruction = step("control stream", control.requests.message()).await;
        assert_eq!(instruction.unwrap(), None, "{late}");
        let entry = LogEntry {
            message: "here I am".to_owned(),
            ..Default::default()
        };
        let log_entries = vec![entry];
        let said = futures::stream::iter([log_entry::List { log_entries }]);
        let mut logging = BeamFnLoggingClient::new(sdk.channel.clone())
            .logging(sdk.request(said))
            .await
            .unwrap()
            .into_inner();
        let heard = step("log control", logging.message()).await;
        assert_eq!(heard.unwrap(), None, "{late}");
        let asked = sdk.descriptor("d").await.unwrap_err();
        assert!(
            matches!(asked.code(), Code::PermissionDenied | Code::NotFound),
            "{asked:?}"
        );
    }
}
