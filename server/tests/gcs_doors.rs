//! The other ways in and out: batches, the XML API's paths, transcoding, the options of the server.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod gcs;

use dataflume::server::{DataLocation, ServerOptions};
use gcs::{Gcs, failed, failure, header, ok, send};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

fn batch(gcs: &Gcs, calls: &[&str]) -> RequestBuilder {
    let mut body = String::new();
    for (index, call) in calls.iter().enumerate() {
        body += &format!(
            "--=b=\r\nContent-Type: application/http\r\nContent-ID: <call{index}>\r\n\r\n{call}\r\n"
        );
    }
    body += "--=b=--";
    gcs.post("/batch/storage/v1")
        .header("content-type", "multipart/mixed; boundary=\"=b=\"")
        .body(body)
}

#[tokio::test]
async fn a_batch_of_calls() {
    let gcs = Gcs::start().await;
    gcs.put("a%2Fb", "x").await;
    gcs.put("c", "y").await;
    let whole_url = format!(
        "DELETE {} HTTP/1.1\r\nHost: x\r\n\r\n",
        gcs.url("/storage/v1/b/buck/o/c")
    );
    let patch = "PATCH /storage/v1/b/buck/o/a%2Fb HTTP/1.1\nContent-Type: application/json\nContent-Length: 25\n\n{\"metadata\": {\"k\": \"v\"}}";
    let calls = [
        "GET /storage/v1/b/buck/o/a%2Fb?fields=name HTTP/1.1",
        &whole_url,
        "GET /storage/v1/b/buck/o/none HTTP/1.1\r\n\r\n",
        patch,
        "GET /storage/v1/b/buck/o/a%2Fb?alt=media HTTP/1.1\r\n\r\n",
        "POST /batch/storage/v1 HTTP/1.1\r\n\r\n",
        "nonsense",
    ];
    let response = send(batch(&gcs, &calls)).await;
    assert_eq!(response.status().as_u16(), 200);
    let content_type = header(&response, "content-type").unwrap();
    let boundary = content_type
        .strip_prefix("multipart/mixed; boundary=")
        .unwrap();
    let text = response.text().await.unwrap();
    let parts: Vec<_> = text.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), calls.len() + 2, "{text}");
    let statuses = [
        "200 OK",
        "204 No Content",
        "404 Not Found",
        "200 OK",
        "400 Bad Request",
        "404 Not Found",
        "400 Bad Request",
    ];
    for (index, status) in statuses.iter().enumerate() {
        let part = parts[index + 1];
        assert!(
            part.contains(&format!("Content-ID: <response-call{index}>\r\n")),
            "{part}"
        );
        assert!(
            part.contains(&format!("\r\nHTTP/1.1 {status}\r\n")),
            "{part}"
        );
    }
    assert!(
        parts[1].ends_with("\r\n\r\n{\"name\":\"a/b\"}\r\n"),
        "{}",
        parts[1]
    );
    assert_eq!(gcs.names().await, ["a/b"]);
    let patched = ok(gcs.get("/storage/v1/b/buck/o/a%2Fb")).await;
    assert_eq!(patched["metadata"], json!({"k": "v"}));
}

#[tokio::test]
async fn bad_batches() {
    let gcs = Gcs::start().await;
    let untyped = gcs.post("/batch/storage/v1").body("x");
    assert_eq!(failure(untyped).await, failed(400, "invalid"));
    let many = vec!["GET /storage/v1/b/buck HTTP/1.1\r\n\r\n"; 101];
    assert_eq!(failure(batch(&gcs, &many)).await, failed(400, "invalid"));
    assert_eq!(
        failure(gcs.get("/batch/storage/v1")).await,
        failed(405, "methodNotAllowed")
    );
}

#[tokio::test]
async fn the_xml_api_reads() {
    let gcs = Gcs::start().await;
    let written = gcs.put("a%2Fb", "0123").await;
    for path in ["/buck/a/b", "/buck/a%2Fb"] {
        let response = send(gcs.get(path).header("range", "bytes=1-2")).await;
        assert_eq!(response.status().as_u16(), 206);
        let hashes = response.headers().get_all("x-goog-hash").iter();
        assert_eq!(hashes.count(), 2);
        assert_eq!(response.text().await.unwrap(), "12");
    }
    let head = send(gcs.request(Method::HEAD, "/buck/a/b")).await;
    assert_eq!(header(&head, "content-length").as_deref(), Some("4"));
    assert_eq!(
        json!(header(&head, "x-goog-generation").unwrap()),
        written["generation"]
    );
    let condition = gcs
        .get("/buck/a/b")
        .header("x-goog-if-generation-match", "1");
    let refused = send(condition).await;
    assert_eq!(refused.status().as_u16(), 412);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("<Code>PreconditionFailed</Code>")
    );
    let missing = send(gcs.get("/buck/<none>")).await;
    assert_eq!(missing.status().as_u16(), 404);
    let text = missing.text().await.unwrap();
    assert!(
        text.contains("<Code>NoSuchKey</Code>") && text.contains("buck/&lt;none&gt;"),
        "{text}"
    );
    // Where there is no bucket, there is nothing.
    assert_eq!(send(gcs.get("/nowhere/a")).await.status().as_u16(), 404);
}

#[tokio::test]
async fn what_is_stored_compressed() {
    let gcs = Gcs::start().await;
    let path = "/upload/storage/v1/b/buck/o?uploadType=media&name=z&contentEncoding=gzip";
    let compressed = gzip("plain text");
    let size = compressed.len().to_string();
    let object = ok(gcs.post(path).body(compressed.clone())).await;
    assert_eq!(
        (&object["contentEncoding"], &object["size"]),
        (&json!("gzip"), &json!(size))
    );
    for path in ["/storage/v1/b/buck/o/z?alt=media", "/buck/z"] {
        let plain = send(gcs.get(path).header("range", "bytes=0-3")).await;
        assert_eq!(plain.status().as_u16(), 200);
        assert_eq!(header(&plain, "content-encoding"), None);
        assert_eq!(
            header(&plain, "x-goog-stored-content-encoding").as_deref(),
            Some("gzip")
        );
        assert_eq!(
            header(&plain, "warning").as_deref(),
            Some("214 UploadServer gunzipped")
        );
        assert_eq!(plain.text().await.unwrap(), "plain text");
        let raw = send(gcs.get(path).header("accept-encoding", "gzip")).await;
        assert_eq!(header(&raw, "content-encoding").as_deref(), Some("gzip"));
        assert_eq!(raw.bytes().await.unwrap(), compressed);
    }
    let fixed = json!({"cacheControl": "no-transform"});
    ok(gcs
        .request(Method::PATCH, "/storage/v1/b/buck/o/z")
        .json(&fixed))
    .await;
    let raw = send(gcs.get("/storage/v1/b/buck/o/z?alt=media")).await;
    assert_eq!(raw.bytes().await.unwrap(), compressed);
}

#[tokio::test]
async fn a_bucket_need_not_come_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = ServerOptions::new(0, DataLocation::Folder(folder.path().to_owned()));
    options.auto_create_buckets = false;
    let gcs = Gcs::with(options).await;
    let missing = failed(404, "notFound");
    assert_eq!(failure(gcs.get("/storage/v1/b/buck")).await, missing);
    assert_eq!(failure(gcs.get("/storage/v1/b/buck/o")).await, missing);
    let upload = gcs
        .post("/upload/storage/v1/b/buck/o?uploadType=media&name=o")
        .body("x");
    assert_eq!(failure(upload).await, missing);
    ok(gcs.post("/storage/v1/b").json(&json!({"name": "buck"}))).await;
    gcs.put("o", "x").await;
}

#[tokio::test]
async fn objects_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(0, DataLocation::Folder(folder.path().to_owned()));
    let first = Gcs::with(options.clone()).await;
    let names = ["..%2F..%2Fx", "a%2Fb"];
    let mut written: Vec<Value> = Vec::new();
    for name in names {
        written.push(first.put(name, name).await);
    }
    first.server.shutdown().await;
    let second = Gcs::with(options).await;
    for (name, before) in names.iter().zip(written) {
        let after = ok(second.get(&format!("/storage/v1/b/buck/o/{name}"))).await;
        assert_eq!(
            (&after["generation"], &after["crc32c"]),
            (&before["generation"], &before["crc32c"])
        );
        assert_eq!(second.content(name).await, *name);
    }
}

#[tokio::test]
async fn an_upload_that_was_not_finished_does_not_outlive_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let options = ServerOptions::new(0, DataLocation::Folder(folder.path().to_owned()));
    let first = Gcs::with(options.clone()).await;
    let session = first.session("name=big").await;
    let begun = first
        .put_to(&session)
        .header("content-range", "bytes 0-3/8");
    let begun = send(begun.body("0123")).await;
    assert_eq!(begun.status().as_u16(), 308);
    let old = format!("http://{}", first.server.endpoint());
    first.server.shutdown().await;
    let second = Gcs::with(options).await;
    let session = session.replace(&old, &second.url(""));
    let resumed = second
        .put_to(&session)
        .header("content-range", "bytes 4-7/8");
    let resumed = send(resumed.body("4567")).await;
    // What makes every client begin anew.
    assert_eq!(resumed.status().as_u16(), 404);
    assert!(second.names().await.is_empty());
}

#[tokio::test]
async fn other_apis_read_the_same_objects() {
    let gcs = Gcs::start().await;
    gcs.put("job%2Fpipeline.pb", "proto").await;
    let buckets = gcs.server.buckets();
    let reader = buckets.read("gs://buck/job/pipeline.pb").await.unwrap();
    assert_eq!(reader.bytes().await.unwrap(), "proto");
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
