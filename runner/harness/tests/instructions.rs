//! Instructions other than bundles: progress, splits, finalization, metrics.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::collections::HashMap;

use bytes::Bytes;
use common::{Connected, TestServer, bundle, step};
use dataflume_harness::{BundleInputs, Worker, WorkerError};
use dataflume_proto::fn_execution::instruction_request::Request;
use dataflume_proto::fn_execution::instruction_response::Response;
use dataflume_proto::fn_execution::process_bundle_split_request::DesiredSplit;
use dataflume_proto::fn_execution::process_bundle_split_response::ChannelSplit;
use dataflume_proto::fn_execution::{
    FinalizeBundleResponse, HarnessMonitoringInfosResponse, MonitoringInfosMetadataResponse,
    ProcessBundleProgressResponse, ProcessBundleResponse, ProcessBundleSplitRequest,
    ProcessBundleSplitResponse,
};
use dataflume_proto::pipeline::MonitoringInfo;

async fn started() -> (
    TestServer,
    Worker,
    Connected,
    dataflume_harness::RunningBundle,
) {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();
    sdk.control.next_bundle().await;
    (server, worker, sdk, running)
}

fn info(urn: &str, payload: &'static [u8]) -> MonitoringInfo {
    MonitoringInfo {
        urn: urn.to_owned(),
        payload: Bytes::from_static(payload),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_split_is_asked_of_the_bundle() {
    let (_server, _worker, mut sdk, running) = started().await;
    let handle = running.handle.clone();
    let split = tokio::spawn(async move {
        let desired = DesiredSplit {
            fraction_of_remainder: 0.5,
            estimated_input_elements: 10,
            allowed_split_points: vec![],
        };
        handle
            .split(ProcessBundleSplitRequest {
                desired_splits: HashMap::from([("in".to_owned(), desired)]),
                ..Default::default()
            })
            .await
    });
    let request = sdk.control.next().await;
    let Some(Request::ProcessBundleSplit(asked)) = request.request else {
        panic!("{request:?}");
    };
    assert_eq!(asked.instruction_id, "b");
    assert_eq!(asked.desired_splits["in"].fraction_of_remainder, 0.5);
    let answer = ProcessBundleSplitResponse {
        channel_splits: vec![ChannelSplit {
            transform_id: "in".to_owned(),
            last_primary_element: 4,
            first_residual_element: 5,
        }],
        ..Default::default()
    };
    sdk.control
        .respond(
            &request.instruction_id,
            Response::ProcessBundleSplit(answer.clone()),
        )
        .await;
    assert_eq!(step("split", split).await.unwrap().unwrap(), answer);
}

#[tokio::test]
async fn finalization_succeeds_or_tells_the_sdks_error() {
    let (_server, worker, mut sdk, _running) = started().await;
    for error in ["", "unknown bundle"] {
        let worker = worker.clone();
        let finalize = tokio::spawn(async move { worker.finalize("earlier").await });
        let request = sdk.control.next().await;
        let Some(Request::FinalizeBundle(asked)) = request.request else {
            panic!("{request:?}");
        };
        assert_eq!(asked.instruction_id, "earlier");
        let id = &request.instruction_id;
        if error.is_empty() {
            let response = Response::FinalizeBundle(FinalizeBundleResponse {});
            sdk.control.respond(id, response).await;
            step("finalize", finalize).await.unwrap().unwrap();
        } else {
            sdk.control.fail(id, error).await;
            let result = step("finalize", finalize).await.unwrap();
            assert_eq!(result, Err(WorkerError::Sdk(error.to_owned())));
        }
    }
}

#[tokio::test]
async fn short_ids_are_asked_for_once() {
    let (_server, worker, mut sdk, running) = started().await;
    let handle = running.handle.clone();
    let progress = tokio::spawn(async move { handle.progress().await });
    let request = sdk.control.next().await;
    let reported = ProcessBundleProgressResponse {
        monitoring_data: HashMap::from([("1".to_owned(), Bytes::from_static(b"\x05"))]),
        ..Default::default()
    };
    sdk.control
        .respond(
            &request.instruction_id,
            Response::ProcessBundleProgress(reported),
        )
        .await;
    let request = sdk.control.next().await;
    let Some(Request::MonitoringInfos(asked)) = request.request else {
        panic!("{request:?}");
    };
    assert_eq!(asked.monitoring_info_id, ["1"]);
    let metadata = MonitoringInfosMetadataResponse {
        monitoring_info: HashMap::from([("1".to_owned(), info("beam:metric:a", b""))]),
    };
    sdk.control
        .respond(&request.instruction_id, Response::MonitoringInfos(metadata))
        .await;
    let progress = step("progress", progress).await.unwrap().unwrap();
    assert_eq!(progress.monitoring_infos, [info("beam:metric:a", b"\x05")]);
    assert!(progress.monitoring_data.is_empty());

    // The id is known by now: the bundle's response needs no further instruction.
    running.handle.end_inputs().await.unwrap();
    sdk.data.input("b").await;
    sdk.data.end("b").await;
    let response = ProcessBundleResponse {
        monitoring_data: HashMap::from([("1".to_owned(), Bytes::from_static(b"\x09"))]),
        ..Default::default()
    };
    sdk.control.finish("b", response).await;
    let response = common::collect(running).await.1.unwrap();
    assert_eq!(response.monitoring_infos, [info("beam:metric:a", b"\x09")]);
    assert!(response.monitoring_data.is_empty());

    let harness = tokio::spawn(async move { worker.harness_monitoring_infos().await });
    let request = sdk.control.next().await;
    assert!(matches!(
        request.request,
        Some(Request::HarnessMonitoringInfos(_))
    ));
    let reported = HarnessMonitoringInfosResponse {
        monitoring_data: HashMap::from([("1".to_owned(), Bytes::from_static(b"\x01"))]),
    };
    sdk.control
        .respond(
            &request.instruction_id,
            Response::HarnessMonitoringInfos(reported),
        )
        .await;
    let infos = step("infos", harness).await.unwrap().unwrap();
    assert_eq!(infos, [info("beam:metric:a", b"\x01")]);
}

#[tokio::test]
async fn full_monitoring_infos_are_taken_as_they_are() {
    let (_server, _worker, mut sdk, running) = started().await;
    running.handle.end_inputs().await.unwrap();
    sdk.data.input("b").await;
    sdk.data.end("b").await;
    let response = ProcessBundleResponse {
        monitoring_infos: vec![info("beam:metric:a", b"\x02")],
        monitoring_data: HashMap::from([("1".to_owned(), Bytes::from_static(b"\x02"))]),
        ..Default::default()
    };
    sdk.control.finish("b", response).await;
    let response = common::collect(running).await.1.unwrap();
    assert_eq!(response.monitoring_infos, [info("beam:metric:a", b"\x02")]);
}
