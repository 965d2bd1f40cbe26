//! Uploads over the wire: all three kinds, both dialects of the resumable one, and what goes wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod gcs;

use gcs::{Gcs, failed, failure, header, ok, send};
use reqwest::{Body, RequestBuilder};
use serde_json::json;

const UPLOAD: &str = "/upload/storage/v1/b/buck/o";

fn multipart(gcs: &Gcs, resource: &str, content: &str) -> RequestBuilder {
    let body = format!(
        "--==\r\nContent-Type: application/json\r\n\r\n{resource}\r\n\
         --==\r\nContent-Type: text/x-two\r\n\r\n{content}\r\n--==--\r\n"
    );
    gcs.post(&format!("{UPLOAD}?uploadType=multipart"))
        .header("content-type", "multipart/related; boundary=\"==\"")
        .body(body)
}

#[tokio::test]
async fn a_simple_upload() {
    let gcs = Gcs::start().await;
    let request = gcs.post(&format!("{UPLOAD}?uploadType=media&name=o"));
    let object = ok(request.header("content-type", "text/x-one").body("content")).await;
    assert_eq!(object["contentType"], "text/x-one");
    assert_eq!(gcs.content("o").await, "content");
    let nameless = gcs.post(&format!("{UPLOAD}?uploadType=media")).body("x");
    assert_eq!(failure(nameless).await, failed(400, "required"));
    let unknown = gcs
        .post(&format!("{UPLOAD}?uploadType=telegraph&name=o"))
        .body("x");
    assert_eq!(failure(unknown).await, failed(400, "invalidParameter"));
}

#[tokio::test]
async fn a_multipart_upload() {
    let gcs = Gcs::start().await;
    let resource = json!({"name": "dir/o", "metadata": {"k": "v"}, "cacheControl": "no-store", "crc32c": "mnG7TA=="});
    let object = ok(multipart(&gcs, &resource.to_string(), "hello")).await;
    assert_eq!(object["contentType"], "text/x-two");
    assert_eq!(object["metadata"], json!({"k": "v"}));
    assert_eq!(object["cacheControl"], "no-store");
    assert_eq!(gcs.content("dir%2Fo").await, "hello");
}

#[tokio::test]
async fn a_multipart_upload_in_chunks() {
    let gcs = Gcs::start().await;
    let text =
        "--==\nContent-Type: application/json\n\n{\"name\": \"o\"}\n--==\n\nline\r\nline\n\n--==--";
    let pieces: Vec<_> = text
        .as_bytes()
        .chunks(5)
        .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
        .collect();
    let request = gcs
        .post(&format!("{UPLOAD}?uploadType=multipart"))
        .header("content-type", "multipart/related; boundary===")
        .body(Body::wrap_stream(futures::stream::iter(pieces)));
    ok(request).await;
    assert_eq!(gcs.content("o").await, "line\r\nline\n");
}

#[tokio::test]
async fn bad_multipart_uploads_change_nothing() {
    let gcs = Gcs::start().await;
    let name = json!({"name": "o"}).to_string();
    let wrong_sum = json!({"name": "o", "crc32c": "AAAAAA=="}).to_string();
    let wrong_md5 = json!({"name": "o", "md5Hash": "AAAAAAAAAAAAAAAAAAAAAA=="}).to_string();
    for (request, reason) in [
        (multipart(&gcs, "{", "x"), "parseError"),
        (multipart(&gcs, "[]", "x"), "parseError"),
        (multipart(&gcs, "{}", "x"), "required"),
        (
            multipart(&gcs, "{\"name\": \"o\", \"metadata\": 5}", "x"),
            "invalid",
        ),
        (multipart(&gcs, &wrong_sum, "x"), "invalid"),
        (multipart(&gcs, &wrong_md5, "x"), "invalid"),
        (
            multipart(&gcs, &name, "x").header("x-goog-hash", "crc32c=AAAAAA=="),
            "invalid",
        ),
        (
            multipart(&gcs, &name, "x").header("x-goog-hash", "crc32c=nonsense"),
            "invalid",
        ),
        (
            multipart(&gcs, &name, "x").body("--==\r\n\r\n{\"name\": \"o\"}\r\n--==--"),
            "invalid",
        ),
        (
            multipart(&gcs, &name, "x")
                .body("--==\r\n\r\n{\"name\": \"o\"}\r\n--==\r\n\r\ncut off"),
            "invalid",
        ),
        (
            multipart(&gcs, &name, "x").body("nothing of the kind"),
            "parseError",
        ),
    ] {
        assert_eq!(failure(request).await, failed(400, reason));
    }
    let big = format!("{{\"name\": \"{}\"}}", "x".repeat(5 << 20));
    assert_eq!(
        failure(multipart(&gcs, &big, "x")).await,
        failed(413, "uploadTooLarge")
    );
    let untyped = gcs
        .post(&format!("{UPLOAD}?uploadType=multipart"))
        .body("x");
    assert_eq!(failure(untyped).await, failed(400, "invalid"));
    assert_eq!(gcs.names().await, [""; 0]);
}

#[tokio::test]
async fn compressed_bodies_are_decompressed() {
    let gcs = Gcs::start().await;
    let request = gcs
        .post(&format!("{UPLOAD}?uploadType=media&name=o"))
        .header("content-encoding", "gzip")
        .body(gzip("compressed on its way"));
    let object = ok(request).await;
    assert_eq!(object["contentEncoding"], json!(null));
    assert_eq!(gcs.content("o").await, "compressed on its way");
    let session = gcs
        .post(&format!("{UPLOAD}?uploadType=resumable"))
        .header("content-encoding", "gzip")
        .body(gzip("{\"name\": \"p\"}"));
    let response = send(session).await;
    let location = header(&response, "location").unwrap();
    ok(gcs.put_to(&location).body("x")).await;
    assert_eq!(gcs.content("p").await, "x");
    let broken = gcs
        .post(&format!("{UPLOAD}?uploadType=media&name=q"))
        .header("content-encoding", "gzip")
        .body("not gzip");
    assert_eq!(failure(broken).await, failed(400, "invalid"));
    let unknown = gcs
        .post(&format!("{UPLOAD}?uploadType=media&name=q"))
        .header("content-encoding", "br")
        .body("x");
    assert_eq!(failure(unknown).await, failed(415, "unsupportedMediaType"));
}

/// The service keeps so much of a chunk, or a multiple of it.
const GRANULE: usize = 256 << 10;

fn letters(letter: &str, count: usize) -> String {
    letter.repeat(count)
}

#[tokio::test]
async fn a_resumable_upload_in_chunks() {
    let gcs = Gcs::start().await;
    let (a, b) = (letters("a", GRANULE), letters("b", GRANULE));
    for modern in [false, true] {
        let session = gcs.session("name=o&ifGenerationMatch=0").await;
        let chunk = |range: &str, content: String| {
            let request = gcs.put_to(&session).header("content-range", range);
            let request = if modern {
                request
            } else {
                request.header("x-guploader-no-308", "yes")
            };
            request.body(content)
        };
        for (range, content, received) in [
            ("bytes */*", String::new(), None),
            ("bytes 0-3/*", "aaaa".to_owned(), None),
            ("bytes 0-262143/*", a.clone(), Some("bytes=0-262143")),
            ("bytes */*", String::new(), Some("bytes=0-262143")),
            // Sent again, as after a lost answer, and more than the service keeps.
            (
                "bytes 262142-524297/*",
                format!("aa{b}0123456789"),
                Some("bytes=0-524287"),
            ),
        ] {
            let response = send(chunk(range, content)).await;
            let status = if modern { 308 } else { 200 };
            assert_eq!(response.status().as_u16(), status, "{range}");
            let override_ = header(&response, "x-http-status-code-override");
            assert_eq!(override_.as_deref(), (!modern).then_some("308"));
            assert_eq!(header(&response, "range").as_deref(), received, "{range}");
            assert_eq!(response.text().await.unwrap(), "");
        }
        let last = "0123456789".to_owned();
        let response = send(chunk("bytes 524288-524297/524298", last)).await;
        assert_eq!(header(&response, "x-http-status-code-override"), None);
        let object: serde_json::Value = response.json().await.unwrap();
        assert_eq!(object["size"], "524298");
        assert!(gcs.content("o").await == format!("{a}{b}0123456789"));
        // Finished, it stays so: whatever is sent, the answer is the object, and nothing changes.
        for (range, content) in [
            ("bytes */524298", ""),
            ("bytes */*", ""),
            ("bytes 0-9/10", "abcdefghij"),
        ] {
            assert_eq!(ok(chunk(range, content.to_owned())).await, object);
        }
        assert!(gcs.content("o").await == format!("{a}{b}0123456789"));
        send(gcs.request(reqwest::Method::DELETE, "/storage/v1/b/buck/o/o")).await;
    }
}

#[tokio::test]
async fn chunks_may_be_posted() {
    let gcs = Gcs::start().await;
    let session = gcs.session("name=o").await;
    let path = session.strip_prefix(&gcs.url("")).unwrap();
    let a = letters("a", GRANULE);
    let first = gcs.post(path).header("content-range", "bytes 0-262143/*");
    assert_eq!(send(first.body(a.clone())).await.status().as_u16(), 308);
    let last = gcs
        .post(path)
        .header("content-range", "bytes 262144-262145/262146");
    ok(last.body("cd")).await;
    assert!(gcs.content("o").await == a + "cd");
}

#[tokio::test]
async fn a_session_in_one_request() {
    let gcs = Gcs::start().await;
    let session = gcs.session("name=o").await;
    ok(gcs.put_to(&session).body("all of it")).await;
    assert_eq!(gcs.content("o").await, "all of it");
    let session = gcs.session("name=empty").await;
    ok(gcs.put_to(&session).header("content-range", "bytes */0")).await;
    assert_eq!(gcs.content("empty").await, "");
    let session = gcs.session("name=streamed").await;
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>("no "), Ok("length")]);
    ok(gcs.put_to(&session).body(Body::wrap_stream(pieces))).await;
    assert_eq!(gcs.content("streamed").await, "no length");
}

#[tokio::test]
async fn bad_chunks_leave_the_session_as_it_was() {
    let gcs = Gcs::start().await;
    let session = gcs.session("name=o").await;
    let chunk = |range: &str, content: &str| {
        let request = gcs.put_to(&session).header("content-range", range);
        request.body(content.to_owned())
    };
    send(chunk("bytes 0-262143/262146", &letters("a", GRANULE))).await;
    for (range, content, status, reason) in [
        ("bytes 262145-262145/262146", "d", 503, "backendError"),
        ("bytes 262144-262145/262147", "cd", 503, "backendError"),
        ("bytes 262144-262149/262146", "cd", 400, "invalid"),
        ("bytes 262144-262145/262146", "cde", 400, "invalid"),
        ("bytes 262144-262145/262146", "c", 400, "invalid"),
        ("nonsense", "cd", 400, "invalid"),
    ] {
        let found = failure(chunk(range, content)).await;
        assert_eq!(found, failed(status, reason), "{range}");
    }
    let response = send(chunk("bytes */262146", "")).await;
    assert_eq!(
        header(&response, "range").as_deref(),
        Some("bytes=0-262143")
    );
    let wrong = chunk("bytes 262144-262145/262146", "cd").header("x-goog-hash", "crc32c=AAAAAA==");
    assert_eq!(failure(wrong).await, failed(400, "invalid"));
    assert_eq!(gcs.names().await, [""; 0]);
}

#[tokio::test]
async fn sessions_can_be_cancelled() {
    let gcs = Gcs::start().await;
    let session = gcs.session("name=o").await;
    assert_eq!(
        failure(gcs.delete_at(&session)).await,
        failed(499, "cancelled")
    );
    let chunk = gcs.put_to(&session).body("x");
    assert_eq!(failure(chunk).await, failed(404, "notFound"));
    let unknown = gcs.post(&format!("{UPLOAD}?upload_id=../../x"));
    assert_eq!(failure(unknown).await, failed(404, "notFound"));
    assert_eq!(gcs.names().await, [""; 0]);
}

#[tokio::test]
async fn conditions_count_when_the_upload_ends() {
    let gcs = Gcs::start().await;
    let session = gcs.session("name=o&ifGenerationMatch=0").await;
    gcs.put("o", "in between").await;
    let chunk = gcs.put_to(&session).body("too late");
    assert_eq!(failure(chunk).await, failed(412, "conditionNotMet"));
    assert_eq!(gcs.content("o").await, "in between");
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
