//! How bundles and workers end when something goes wrong.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{TestServer, bundle, collect, out, step};
use dataflume_harness::{BundleError, BundleInputs, InputChunk, WorkerError};
use dataflume_proto::fn_execution::{Elements, ProcessBundleResponse, elements};

#[tokio::test]
async fn an_sdk_error_fails_the_bundle_and_only_it() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let bad = worker
        .process_bundle(bundle("bad", BundleInputs::Streamed))
        .unwrap();
    let good = worker
        .process_bundle(bundle("good", BundleInputs::Complete(vec![])))
        .unwrap();
    sdk.control.next_bundle().await;
    sdk.control.next_bundle().await;
    let handle = bad.handle.clone();
    sdk.control
        .fail("bad", "Traceback: ZeroDivisionError")
        .await;
    let expected = BundleError::Sdk("Traceback: ZeroDivisionError".to_owned());
    assert_eq!(collect(bad).await.1, Err(expected.clone()));
    assert_eq!(
        handle.send_data("in", Bytes::from_static(b"x")).await,
        Err(expected.clone())
    );
    assert_eq!(
        handle.finish().await,
        Err(expected),
        "an error is told to every caller"
    );

    sdk.data.write("bad", "late").await;
    sdk.data.write("good", "fine").await;
    sdk.data.end("good").await;
    sdk.control
        .finish("good", ProcessBundleResponse::default())
        .await;
    let (written, result) = collect(good).await;
    assert_eq!(written, b"fine");
    result.unwrap();
    assert!(!worker.is_closed());
}

#[tokio::test]
async fn a_sender_that_waits_for_the_connection_is_freed_by_the_bundles_failure() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();
    sdk.control.next_bundle().await;
    let handle = running.handle.clone();
    let sender = tokio::spawn(async move {
        // Nobody reads the data stream: sooner or later this waits.
        loop {
            if let Err(error) = handle.send_data("in", Bytes::from(vec![0; 1 << 20])).await {
                return error;
            }
        }
    });
    sdk.control.fail("b", "boom").await;
    let error = step("sender", sender).await.unwrap();
    assert_eq!(error, BundleError::Sdk("boom".to_owned()));
}

#[tokio::test]
async fn a_disconnect_fails_everything_in_flight() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let first = worker
        .process_bundle(bundle("1", BundleInputs::Streamed))
        .unwrap();
    let second = worker
        .process_bundle(bundle("2", BundleInputs::Streamed))
        .unwrap();
    let handle = first.handle.clone();
    let progress = tokio::spawn(async move { handle.progress().await });
    for _ in 0..3 {
        sdk.control.next().await;
    }
    drop(sdk);
    for running in [first, second] {
        let result = collect(running).await.1;
        assert!(
            matches!(result, Err(BundleError::WorkerLost(_))),
            "{result:?}"
        );
    }
    let progress = step("progress", progress).await.unwrap();
    assert!(
        matches!(progress, Err(WorkerError::Lost(_))),
        "{progress:?}"
    );
    step("closed", worker.closed()).await;
    let after = worker.process_bundle(bundle("3", BundleInputs::Streamed));
    assert!(
        matches!(after, Err(BundleError::WorkerLost(_))),
        "{after:?}"
    );
}

#[tokio::test]
async fn losing_the_data_stream_is_losing_the_worker() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();
    sdk.control.next_bundle().await;
    drop(sdk.data);
    let result = collect(running).await.1;
    assert!(
        matches!(result, Err(BundleError::WorkerLost(_))),
        "{result:?}"
    );
    assert_eq!(
        step("end", sdk.control.requests.message()).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn an_aborted_bundle_is_let_go_and_its_late_output_dropped() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let aborted = worker
        .process_bundle(bundle("aborted", BundleInputs::Streamed))
        .unwrap();
    sdk.control.next_bundle().await;
    aborted.handle.abort();
    assert_eq!(collect(aborted).await.1, Err(BundleError::Aborted));
    assert_eq!(
        sdk.data.input("aborted").await,
        b"",
        "the SDK's wait for input is ended"
    );

    // Still in flight for the SDK: the id stays taken until it has answered.
    let again = worker.process_bundle(bundle("aborted", BundleInputs::Streamed));
    assert!(matches!(again, Err(BundleError::Refused(_))), "{again:?}");
    sdk.data.write("aborted", "late").await;
    sdk.data.end("aborted").await;
    sdk.control
        .finish("aborted", ProcessBundleResponse::default())
        .await;
    sdk.data.write("aborted", "later").await;

    let inputs = BundleInputs::Complete(vec![InputChunk::data("in", "x")]);
    let next = worker.process_bundle(bundle("next", inputs)).unwrap();
    sdk.control.next_bundle().await;
    assert_eq!(sdk.data.input("next").await, b"x");
    sdk.data.write("next", "y").await;
    sdk.data.end("next").await;
    sdk.control
        .finish("next", ProcessBundleResponse::default())
        .await;
    let (written, result) = collect(next).await;
    assert_eq!(written, b"y");
    result.unwrap();
}

#[tokio::test]
async fn dropping_the_outputs_aborts_the_bundle() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();
    sdk.control.next_bundle().await;
    drop(running.outputs);
    assert_eq!(
        step("finish", running.handle.finish()).await,
        Err(BundleError::Aborted)
    );
    drop(running.handle);
    assert_eq!(sdk.data.input("b").await, b"");
}

#[tokio::test]
async fn output_that_the_descriptor_does_not_have_fails_the_bundle() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let stray = Elements {
        data: vec![elements::Data {
            instruction_id: "stray".to_owned(),
            transform_id: "elsewhere".to_owned(),
            data: Bytes::from_static(b"x"),
            is_last: false,
        }],
        timers: Vec::new(),
    };
    let mut ended = out("ended", "", true);
    ended.data.extend(out("ended", "x", false).data);
    for (id, elements) in [("stray", stray), ("ended", ended)] {
        let running = worker
            .process_bundle(bundle(id, BundleInputs::Streamed))
            .unwrap();
        sdk.control.next_bundle().await;
        sdk.data.send(elements).await;
        let result = collect(running).await.1;
        assert!(
            matches!(result, Err(BundleError::Protocol(_))),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_worker_that_is_let_go_is_unknown_again() {
    let server = TestServer::start().await;
    let connection = server.expect("w");
    let duplicate = server.fn_api.expect_worker(common::registration("w"));
    assert_eq!(
        duplicate.unwrap_err(),
        WorkerError::DuplicateWorker("w".to_owned())
    );
    let sdk = server.sdk("w").await;
    let mut control = sdk.control().await.unwrap();
    let second = sdk.control().await.map(|_| ()).unwrap_err();
    assert_eq!(second.code(), tonic::Code::FailedPrecondition);
    drop(connection);
    assert_eq!(step("end", control.requests.message()).await.unwrap(), None);
    let unknown = sdk.data().await.map(|_| ()).unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::PermissionDenied);
    let _again = server.expect("w");
    // Now it is one that is expected, not one that was let go.
    let mut control = sdk.control().await.unwrap();
    let open = tokio::time::timeout(Duration::from_millis(50), control.requests.message());
    open.await.expect_err("the control stream stays open");
}

#[tokio::test]
async fn a_failed_start_ends_the_wait_for_the_worker() {
    let server = TestServer::start().await;
    let connection = server.expect("w");
    let waiting = tokio::spawn({
        let connection = connection.clone();
        async move { connection.ready().await.map(|_| ()) }
    });
    connection.fail("the process ended with exit code 1");
    let result = step("ready", waiting).await.unwrap();
    assert_eq!(
        result,
        Err(WorkerError::Lost(
            "the process ended with exit code 1".to_owned()
        ))
    );
}
