//! The state service: order and errors, and which worker a stream belongs to.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use common::{FakeSdk, TestServer, bundle, collect, step};
use dataflume_harness::{BundleInputs, StateHandler};
use dataflume_proto::fn_execution::beam_fn_state_client::BeamFnStateClient;
use dataflume_proto::fn_execution::{
    StateAppendRequest, StateAppendResponse, StateGetRequest, StateGetResponse, StateKey,
    StateRequest, StateResponse, state_key, state_request, state_response,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

/// Records appends per key; each waits for a permit where the key is `slow`.
struct Recorder {
    appended: Mutex<Vec<(Bytes, Bytes)>>,
    permits: Semaphore,
}

#[async_trait]
impl StateHandler for Recorder {
    async fn handle(&self, request: StateRequest) -> Result<state_response::Response, String> {
        let key = key_of(&request);
        match request.request.unwrap() {
            state_request::Request::Append(append) => {
                if key == "slow" {
                    self.permits.acquire().await.unwrap().forget();
                }
                self.appended.lock().unwrap().push((key, append.data));
                Ok(state_response::Response::Append(StateAppendResponse {}))
            }
            state_request::Request::Get(_) => {
                let appended = self.appended.lock().unwrap();
                let data: Vec<u8> = appended
                    .iter()
                    .filter(|(k, _)| *k == key)
                    .flat_map(|(_, data)| data.to_vec())
                    .collect();
                Ok(state_response::Response::Get(StateGetResponse {
                    data: data.into(),
                    ..Default::default()
                }))
            }
            state_request::Request::Clear(_) => Err("clear is refused in this test".to_owned()),
        }
    }
}

fn key_of(request: &StateRequest) -> Bytes {
    match request.state_key.as_ref().unwrap().r#type.as_ref().unwrap() {
        state_key::Type::BagUserState(bag) => bag.key.clone(),
        other => panic!("{other:?}"),
    }
}

fn state_request(id: &str, key: &'static str, request: state_request::Request) -> StateRequest {
    StateRequest {
        id: id.to_owned(),
        instruction_id: "b".to_owned(),
        state_key: Some(StateKey {
            r#type: Some(state_key::Type::BagUserState(state_key::BagUserState {
                transform_id: "dofn".to_owned(),
                user_state_id: "s".to_owned(),
                key: Bytes::from_static(key.as_bytes()),
                ..Default::default()
            })),
        }),
        request: Some(request),
    }
}

fn append(data: &'static str) -> state_request::Request {
    state_request::Request::Append(StateAppendRequest {
        data: Bytes::from_static(data.as_bytes()),
    })
}

fn get() -> state_request::Request {
    state_request::Request::Get(StateGetRequest::default())
}

async fn state_stream(sdk: &FakeSdk) -> (mpsc::Sender<StateRequest>, Streaming<StateResponse>) {
    let (requests, stream) = mpsc::channel(16);
    let responses = BeamFnStateClient::new(sdk.channel.clone())
        .state(sdk.request(ReceiverStream::new(stream)))
        .await
        .unwrap()
        .into_inner();
    (requests, responses)
}

async fn next(responses: &mut Streaming<StateResponse>) -> StateResponse {
    step("state response", responses.message())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn state_of_one_cell_is_in_order_and_of_others_concurrent() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let recorder = Arc::new(Recorder {
        appended: Mutex::default(),
        permits: Semaphore::new(0),
    });
    let mut request = bundle("b", BundleInputs::Streamed);
    request.state = recorder.clone();
    let _running = worker.process_bundle(request).unwrap();
    sdk.control.next_bundle().await;
    let (requests, mut responses) = state_stream(&sdk.sdk).await;
    for request in [
        state_request("1", "slow", append("x")),
        state_request("2", "slow", append("y")),
        state_request("3", "slow", get()),
        state_request("4", "fast", append("z")),
        state_request("5", "fast", get()),
        state_request(
            "6",
            "fast",
            state_request::Request::Clear(Default::default()),
        ),
    ] {
        requests.send(request).await.unwrap();
    }
    for id in ["4", "5", "6"] {
        assert_eq!(next(&mut responses).await.id, id);
    }
    recorder.permits.add_permits(2);
    let mut got = Bytes::new();
    for id in ["1", "2", "3"] {
        let response = next(&mut responses).await;
        assert_eq!(response.id, id);
        if let Some(state_response::Response::Get(get)) = response.response {
            got = get.data;
        }
    }
    assert_eq!(got, "xy");
}

#[tokio::test]
async fn state_errors_and_unknown_bundles_are_answered() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let (requests, mut responses) = state_stream(&sdk.sdk).await;
    requests.send(state_request("1", "k", get())).await.unwrap();
    let response = next(&mut responses).await;
    assert!(response.error.contains("\"b\" is active"), "{response:?}");

    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();
    sdk.control.next_bundle().await;
    requests.send(state_request("2", "k", get())).await.unwrap();
    let response = next(&mut responses).await;
    assert!(response.error.contains("no state"), "{response:?}");
    assert_eq!((response.id.as_str(), response.response), ("2", None));

    running.handle.abort();
    requests.send(state_request("3", "k", get())).await.unwrap();
    assert!(!next(&mut responses).await.error.is_empty());
}

#[tokio::test]
async fn a_nameless_state_stream_is_the_workers_that_runs_the_first_bundle() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let (other, mut other_sdk) = server.worker("v").await;
    // As Python's gRPC sends a None.
    let nameless = server.sdk("").await;
    let (requests, mut responses) = state_stream(&nameless).await;
    requests.send(state_request("1", "k", get())).await.unwrap();
    let response = next(&mut responses).await;
    assert!(response.error.contains("no worker runs"), "{response:?}");

    let bundle = || bundle("b", BundleInputs::Streamed);
    let running = worker.process_bundle(bundle()).unwrap();
    sdk.control.next_bundle().await;
    let twin = other.process_bundle(bundle()).unwrap();
    other_sdk.control.next_bundle().await;
    requests.send(state_request("2", "k", get())).await.unwrap();
    let response = next(&mut responses).await;
    assert!(response.error.contains("no worker runs"), "either might");

    other_sdk.control.fail("b", "enough").await;
    collect(twin).await.1.unwrap_err();
    requests.send(state_request("3", "k", get())).await.unwrap();
    let response = next(&mut responses).await;
    assert!(response.error.contains("has no state"), "{response:?}");

    // From now on it is that worker's, whatever it asks for.
    sdk.control.fail("b", "enough").await;
    collect(running).await.1.unwrap_err();
    requests.send(state_request("4", "k", get())).await.unwrap();
    let response = next(&mut responses).await;
    assert!(response.error.contains("on this worker"), "{response:?}");
}
