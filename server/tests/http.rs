//! The pages beside the APIs, in both versions of HTTP on the one port.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{TestServer, submit};
use reqwest::{Client, StatusCode, Version};
use tonic::Code;
use tonic::codegen::http::uri::PathAndQuery;

fn clients() -> [Client; 2] {
    // No TLS here, but the client wants to know how it would be done.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || Client::builder().no_proxy();
    [
        builder().http1_only().build().unwrap(),
        builder().http2_prior_knowledge().build().unwrap(),
    ]
}

#[tokio::test]
async fn health_in_both_versions_of_http() {
    let server = TestServer::start().await;
    let mut versions = Vec::new();
    for client in clients() {
        for page in ["healthz", "readyz"] {
            let response = client
                .get(format!("{}/{page}", server.url()))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            versions.push(response.version());
        }
    }
    let expected = [
        Version::HTTP_11,
        Version::HTTP_11,
        Version::HTTP_2,
        Version::HTTP_2,
    ];
    assert_eq!(versions, expected);
}

#[tokio::test]
async fn metrics_count_jobs() {
    let server = TestServer::start().await;
    submit(&mut server.client().await).await;
    let [client, _] = clients();
    let text = client
        .get(format!("{}/metrics", server.url()))
        .send()
        .await
        .unwrap();
    let text = text.text().await.unwrap();
    for line in [
        "dataflume_jobs{state=\"starting\"} 1",
        "dataflume_jobs{state=\"done\"} 0",
        "dataflume_jobs_run_total 1",
        "# TYPE dataflume_connections gauge",
    ] {
        assert!(
            text.lines().any(|other| other == line),
            "no {line:?} in:\n{text}"
        );
    }
}

#[tokio::test]
async fn unknown_pages_are_told_as_google_does() {
    let server = TestServer::start().await;
    for client in clients() {
        let response = client
            .get(format!("{}/nothing/here", server.url()))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["error"]["status"], "NOT_FOUND");
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("/nothing/here"), "{message}");
    }
}

#[tokio::test]
async fn unknown_grpc_methods_are_unimplemented() {
    let server = TestServer::start().await;
    let channel = tonic::transport::Endpoint::from_shared(server.url()).unwrap();
    let mut grpc = tonic::client::Grpc::new(channel.connect().await.unwrap());
    for path in [
        "/no.such.Service/Method",
        "/org.apache.beam.model.job_management.v1.JobService/Nap",
    ] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let call = grpc.unary(
            tonic::Request::new(()),
            PathAndQuery::from_static(path),
            codec,
        );
        assert_eq!(
            call.await.unwrap_err().code(),
            Code::Unimplemented,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_clock_is_stopped_moved_and_started() {
    let server = TestServer::start().await;
    let [client, _] = clients();
    let ask = async |request: reqwest::RequestBuilder| {
        let response = request.send().await.unwrap();
        let status = response.status();
        let body: serde_json::Value = response.json().await.unwrap();
        (status, body)
    };
    let url = format!("{}/_emulator/clock", server.url());
    let post = |what: &str| client.post(format!("{url}/{what}"));

    let (_, running) = ask(client.get(&url)).await;
    assert_eq!(running["paused"], false);
    let (_, paused) = ask(post("pause")).await;
    assert_eq!(paused["paused"], true);
    let stopped = paused["nowMs"].as_i64().unwrap();
    assert!(stopped >= running["nowMs"].as_i64().unwrap());
    let (_, advanced) = ask(post("advance?ms=3600000")).await;
    assert_eq!(advanced["nowMs"], stopped + 3_600_000);
    let (status, refused) = ask(post("advance?ms=9000000000000000")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{refused}");
    let (_, resumed) = ask(post("resume")).await;
    assert_eq!(resumed["paused"], false);
    assert!(resumed["nowMs"].as_i64().unwrap() >= stopped + 3_600_000);
}
