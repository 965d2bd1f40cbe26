//! A client of Dataflow's REST API, which stages its pipelines first.

use dataflume_proto::pipeline::Pipeline;
use prost::Message;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::TestServer;

/// Where the tests' jobs are.
pub(crate) const JOBS: &str = "projects/my-project/locations/us-central1/jobs";

/// Where the tests' pipeline is staged.
pub(crate) const PIPELINE_URL: &str = "gs://staging/job/pipeline.pb";

pub(crate) struct Rest {
    client: Client,
    url: String,
}

impl Rest {
    pub(crate) fn new(server: &TestServer) -> Self {
        // No TLS here, but the client wants to know how it would be done.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self {
            client: Client::builder().no_proxy().build().unwrap(),
            url: server.url(),
        }
    }

    /// One with a small pipeline staged.
    pub(crate) async fn staged(server: &TestServer) -> Self {
        let rest = Self::new(server);
        rest.stage(&super::pipeline(&["impulse"])).await;
        rest
    }

    pub(crate) async fn stage(&self, pipeline: &Pipeline) {
        self.upload("staging", "job/pipeline.pb", pipeline.encode_to_vec())
            .await;
    }

    pub(crate) async fn upload(&self, bucket: &str, name: &str, content: Vec<u8>) {
        let name: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
        let url = format!(
            "{}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}",
            self.url
        );
        let answer = self.client.post(url).body(content).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// Sends a body as it is; gives the status and the answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Value) {
        let request = self
            .client
            .request(method, format!("{}/v1b3/{path}", self.url));
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send(Method::GET, path, "").await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// What a client that says of itself what the Python SDK does is told.
    pub(crate) async fn get_as_python(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}/v1b3/{path}", self.url));
        let says = "gl-python/3.11.2 rest/requests@2 gapic/0.13.0";
        let answer = request.header("x-goog-api-client", says).send().await;
        answer.unwrap().json().await.unwrap()
    }

    pub(crate) async fn create(&self, job: &Value) -> (u16, Value) {
        self.send(Method::POST, JOBS, job.to_string()).await
    }

    /// Creates a job of this name; gives its id.
    pub(crate) async fn created(&self, name: &str) -> String {
        let (status, answer) = self.create(&job(name)).await;
        assert_eq!(status, 200, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn ask(&self, id: &str, state: Value) -> (u16, Value) {
        let body = json!({"requestedState": state}).to_string();
        self.send(Method::PUT, &format!("{JOBS}/{id}"), body).await
    }
}

/// A job as the Python SDK sends it, enums as numbers.
pub(crate) fn job(name: &str) -> Value {
    json!({
        "name": name,
        "type": 1,
        "clientRequestId": format!("request-{name}"),
        "labels": {"team": "weather"},
        "environment": {
            "version": {"job_type": "FNAPI_BATCH", "major": "8"},
            "userAgent": {"name": "Apache Beam Python 3.11 SDK", "version": "2.77.0"},
            "workerPools": [{"kind": "local", "numWorkers": 2, "ipConfiguration": 2}],
            "sdkPipelineOptions": {"options": {
                "pipelineUrl": PIPELINE_URL,
                "num_workers": 2.0,
                "somethingNew": "x",
            }},
            "aFieldOfTheFuture": {},
        },
    })
}
