//! Objects over the wire: names, listings, reads, conditions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod gcs;

use gcs::{Gcs, failed, failure, header, ok, send};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn an_object_is_described_as_the_service_does() {
    let gcs = Gcs::start().await;
    let written = gcs.put("a%2Fb.txt", "hello").await;
    assert_eq!(written["kind"], "storage#object");
    assert_eq!(written["name"], "a/b.txt");
    assert_eq!(written["size"], "5");
    assert_eq!(written["crc32c"], "mnG7TA==");
    assert_eq!(written["md5Hash"], "XUFAKrxLKna5cZ2REBfFkg==");
    assert_eq!(written["metageneration"], "1");
    let generation = written["generation"].as_str().unwrap();
    assert_eq!(written["id"], format!("buck/a/b.txt/{generation}"));
    let link = gcs.url("/storage/v1/b/buck/o/a%2Fb.txt");
    assert_eq!(written["selfLink"], link);
    let read = ok(gcs.get("/storage/v1/b/buck/o/a%2Fb.txt")).await;
    assert_eq!(read, written);
    let media = written["mediaLink"].as_str().unwrap();
    let path = media.strip_prefix(&gcs.url("")).unwrap();
    let response = send(gcs.get(path)).await;
    assert_eq!(response.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn links_begin_as_the_client_addressed_the_server() {
    let gcs = Gcs::start().await;
    gcs.put("o", "").await;
    let request = gcs
        .get("/storage/v1/b/buck/o/o")
        .header("host", "emulator:1234");
    let object = ok(request).await;
    assert_eq!(
        object["selfLink"],
        "http://emulator:1234/storage/v1/b/buck/o/o"
    );
}

#[tokio::test]
async fn no_name_leaves_the_bucket() {
    let gcs = Gcs::start().await;
    let names = [
        "..%2F..%2Fx",
        "..%2F..%2F..%2Fetc%2Fpasswd",
        "a%2F..%2Fb",
        "%2Fa",
        "a%2F%2Fb",
        "a%2F",
        "%00%5C%3F%23%25",
        "%E2%82%AC",
    ];
    for name in names {
        gcs.put(name, name).await;
    }
    for name in names {
        assert_eq!(gcs.content(name).await, name);
    }
    let mut found = gcs.names().await;
    found.sort();
    let mut expected = [
        "../../x",
        "../../../etc/passwd",
        "a/../b",
        "/a",
        "a//b",
        "a/",
        "\0\\?#%",
        "€",
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn names_that_the_service_refuses_are_refused() {
    let gcs = Gcs::start().await;
    let long = "x".repeat(1025);
    for name in ["..", ".", "a%0Ab", &long] {
        let path = format!("/upload/storage/v1/b/buck/o?uploadType=media&name={name}");
        assert_eq!(
            failure(gcs.post(&path).body("x")).await,
            failed(400, "invalid"),
            "{name}"
        );
    }
    for bucket in ["..%2Fb", "UPPER", "x", "10.0.0.1"] {
        let path = format!("/storage/v1/b/{bucket}");
        assert_eq!(
            failure(gcs.get(&path)).await,
            failed(400, "invalid"),
            "{bucket}"
        );
    }
    assert_eq!(gcs.names().await, [""; 0]);
}

#[tokio::test]
async fn listings_in_pages() {
    let gcs = Gcs::start().await;
    for name in ["a", "d%2F1", "d%2F2", "e%2F1", "f"] {
        gcs.put(name, "").await;
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let path = format!("/storage/v1/b/buck/o?delimiter=/&maxResults=2&pageToken={token}");
        let page = ok(gcs.get(&path)).await;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        seen.extend(items.iter().map(|item| item["name"].clone()));
        seen.extend(page["prefixes"].as_array().cloned().unwrap_or_default());
        match page["nextPageToken"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    // On each page, objects are listed apart from prefixes.
    assert_eq!(seen, ["a", "d/", "f", "e/"]);
    let below = ok(gcs.get("/storage/v1/b/buck/o?prefix=d/")).await;
    assert_eq!(below["items"].as_array().unwrap().len(), 2);
    let bad = gcs.get("/storage/v1/b/buck/o?pageToken=zz");
    assert_eq!(failure(bad).await, failed(400, "invalid"));
    let bad = gcs.get("/storage/v1/b/buck/o?maxResults=many");
    assert_eq!(failure(bad).await, failed(400, "invalidParameter"));
}

#[tokio::test]
async fn parts_of_the_content() {
    let gcs = Gcs::start().await;
    gcs.put("o", "0123456789").await;
    for (range, status, content_range, content) in [
        ("bytes=2-4", 206, Some("bytes 2-4/10"), "234"),
        ("bytes=7-", 206, Some("bytes 7-9/10"), "789"),
        ("bytes=-2", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=8-100", 206, Some("bytes 8-9/10"), "89"),
        ("bytes=4-2", 200, None, "0123456789"),
        ("lines=1-2", 200, None, "0123456789"),
        (
            "bytes=10-",
            416,
            Some("bytes */10"),
            "Request range not satisfiable",
        ),
    ] {
        for path in [
            "/storage/v1/b/buck/o/o?alt=media",
            "/download/storage/v1/b/buck/o/o",
        ] {
            let response = send(gcs.get(path).header("range", range)).await;
            assert_eq!(response.status().as_u16(), status, "{range}");
            assert_eq!(header(&response, "content-range").as_deref(), content_range);
            assert_eq!(response.text().await.unwrap(), content, "{range}");
        }
    }
}

#[tokio::test]
async fn downloads_carry_what_clients_check() {
    let gcs = Gcs::start().await;
    let written = gcs.put("o", "hello").await;
    let response = send(gcs.get("/storage/v1/b/buck/o/o?alt=media")).await;
    let hashes: Vec<_> = response.headers().get_all("x-goog-hash").iter().collect();
    assert_eq!(hashes, ["crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg=="]);
    let generation = header(&response, "x-goog-generation").unwrap();
    assert_eq!(json!(generation), written["generation"]);
    assert_eq!(header(&response, "x-goog-metageneration").unwrap(), "1");
    assert_eq!(header(&response, "content-length").unwrap(), "5");
    assert_eq!(
        header(&response, "x-goog-stored-content-encoding").unwrap(),
        "identity"
    );
}

#[tokio::test]
async fn conditions_on_writes_reads_and_deletes() {
    let gcs = Gcs::start().await;
    let first = gcs.put("o", "one").await;
    let generation = first["generation"].as_str().unwrap();
    let upload = |query: &str| {
        let path = format!("/upload/storage/v1/b/buck/o?uploadType=media&name=o&{query}");
        gcs.post(&path).body("two")
    };
    let not_met = failed(412, "conditionNotMet");
    assert_eq!(failure(upload("ifGenerationMatch=0")).await, not_met);
    assert_eq!(failure(upload("ifMetagenerationMatch=7")).await, not_met);
    let same = format!("ifGenerationNotMatch={generation}");
    assert_eq!(failure(upload(&same)).await, not_met);
    assert_eq!(gcs.content("o").await, "one");
    ok(upload(&format!("ifGenerationMatch={generation}"))).await;
    assert_eq!(gcs.content("o").await, "two");

    let object = |query: &str| format!("/storage/v1/b/buck/o/o?{query}");
    let newer = ok(gcs.get(&object(""))).await;
    let generation = newer["generation"].as_str().unwrap();
    for media in ["", "&alt=media"] {
        let unchanged = object(&format!("ifGenerationNotMatch={generation}{media}"));
        let response = send(gcs.get(&unchanged)).await;
        assert_eq!(response.status().as_u16(), 304);
        assert_eq!(response.text().await.unwrap(), "");
    }
    let old = object("generation=1");
    assert_eq!(failure(gcs.get(&old)).await, failed(404, "notFound"));
    let delete = |query: &str| gcs.request(Method::DELETE, &object(query));
    assert_eq!(failure(delete("ifGenerationMatch=1")).await, not_met);
    let response = send(delete(&format!("ifGenerationMatch={generation}"))).await;
    assert_eq!(response.status().as_u16(), 204);
    assert_eq!(failure(delete("")).await, failed(404, "notFound"));
    let bad = gcs.get(&object("ifGenerationMatch=x"));
    assert_eq!(failure(bad).await, failed(400, "invalidParameter"));
}

#[tokio::test]
async fn missing_content_is_told_in_plain_words() {
    let gcs = Gcs::start().await;
    let response = send(gcs.get("/storage/v1/b/buck/o/none?alt=media")).await;
    assert_eq!(response.status().as_u16(), 404);
    assert_eq!(response.text().await.unwrap(), "No such object: buck/none");
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let gcs = Gcs::start().await;
    for path in [
        "/storage/v1/c",
        "/storage/v1/b/buck/p",
        "/upload/storage/v1/b/buck",
    ] {
        assert_eq!(
            failure(gcs.post(path)).await,
            failed(404, "notFound"),
            "{path}"
        );
    }
    let request = gcs.post("/storage/v1/b/buck/o");
    assert_eq!(failure(request).await, failed(405, "methodNotAllowed"));
}
