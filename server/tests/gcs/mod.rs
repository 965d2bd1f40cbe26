//! A client of Cloud Storage's API that hides nothing: requests as they are sent, answers as they
//! come.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::Arc;

use dataflume::server::{DataLocation, Server, ServerOptions};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{ScriptedRunner, within};

/// A server and a client of it.
pub(crate) struct Gcs {
    pub(crate) server: Server,
    client: Client,
    _folder: Option<TempDir>,
}

impl Gcs {
    /// A server with a folder of its own.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = DataLocation::Folder(folder.path().to_owned());
        let mut gcs = Self::with(ServerOptions::new(0, data)).await;
        gcs._folder = Some(folder);
        gcs
    }

    pub(crate) async fn with(options: ServerOptions) -> Self {
        // No TLS here, but the client wants to know how it would be done.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runner = Arc::new(ScriptedRunner::default());
        Self {
            server: Server::start(options, |_| runner).await.unwrap(),
            client: Client::builder().no_proxy().http1_only().build().unwrap(),
            _folder: None,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.endpoint())
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// To an address that the server told.
    pub(crate) fn put_to(&self, url: &str) -> RequestBuilder {
        self.client.put(url)
    }

    pub(crate) fn delete_at(&self, url: &str) -> RequestBuilder {
        self.client.delete(url)
    }

    /// Uploads an object of the bucket `buck`; gives its resource. The name is encoded already.
    pub(crate) async fn put(&self, name: &str, content: &str) -> Value {
        let path = format!("/upload/storage/v1/b/buck/o?uploadType=media&name={name}");
        let request = self.post(&path).body(content.to_owned());
        ok(request).await
    }

    /// An object's content.
    pub(crate) async fn content(&self, name: &str) -> String {
        let path = format!("/storage/v1/b/buck/o/{name}?alt=media");
        let response = send(self.get(&path)).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.text().await.unwrap()
    }

    /// Begins a resumable upload into `buck`; gives its session's address.
    pub(crate) async fn session(&self, query: &str) -> String {
        let path = format!("/upload/storage/v1/b/buck/o?uploadType=resumable&{query}");
        let response = send(self.post(&path)).await;
        assert_eq!(response.status(), StatusCode::OK);
        header(&response, "location").unwrap()
    }

    /// The names of all objects of `buck`.
    pub(crate) async fn names(&self) -> Vec<String> {
        let page = ok(self.get("/storage/v1/b/buck/o")).await;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let names = items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned());
        names.collect()
    }
}

pub(crate) async fn send(request: RequestBuilder) -> Response {
    within(request.send()).await.unwrap()
}

/// The JSON of a request that succeeds.
pub(crate) async fn ok(request: RequestBuilder) -> Value {
    let response = send(request).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The status and Google's reason of a request that fails.
pub(crate) async fn failure(request: RequestBuilder) -> (u16, String) {
    let response = send(request).await;
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert_eq!(error["code"], status, "{body}");
    assert_eq!(error["message"], error["errors"][0]["message"], "{body}");
    assert_eq!(error["errors"][0]["domain"], "global", "{body}");
    (
        status,
        error["errors"][0]["reason"].as_str().unwrap().to_owned(),
    )
}

/// A failure in short.
pub(crate) fn failed(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    Some(value.to_str().unwrap().to_owned())
}
