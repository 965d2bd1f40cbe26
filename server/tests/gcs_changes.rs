//! Changing, copying, composing and versions over the wire.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod gcs;

use gcs::{Gcs, failed, failure, ok, send};
use reqwest::Method;
use serde_json::{Value, json};

const O: &str = "/storage/v1/b/buck/o";

fn generation(object: &Value) -> &str {
    object["generation"].as_str().unwrap()
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let gcs = Gcs::start().await;
    let before = gcs.put("o", "x").await;
    let patch = |query: &str, body: Value| {
        let path = format!("{O}/o?{query}");
        gcs.request(Method::PATCH, &path).json(&body)
    };
    let set = json!({"cacheControl": "no-store", "metadata": {"a": "1", "b": "2"}, "temporaryHold": true, "name": "ignored"});
    let after = ok(patch("", set)).await;
    assert_eq!(generation(&after), generation(&before));
    assert_eq!(after["metageneration"], "2");
    assert_eq!(after["name"], "o");
    assert_eq!(after["temporaryHold"], true);
    let removed = json!({"cacheControl": null, "metadata": {"a": null, "c": "3"}});
    let after = ok(patch("ifMetagenerationMatch=2", removed)).await;
    assert_eq!(after["cacheControl"], Value::Null);
    assert_eq!(after["metadata"], json!({"b": "2", "c": "3"}));
    let again = patch("ifMetagenerationMatch=2", json!({}));
    assert_eq!(failure(again).await, failed(412, "conditionNotMet"));
    let bad = patch("", json!({"metadata": {"k": {}}}));
    assert_eq!(failure(bad).await, failed(400, "invalid"));
    // Some clients can't send the method.
    let posted = gcs
        .post(&format!("{O}/o"))
        .header("x-http-method-override", "PATCH");
    let after = ok(posted.json(&json!({"contentLanguage": "eo"}))).await;
    assert_eq!(after["contentLanguage"], "eo");
}

#[tokio::test]
async fn an_update_replaces_all() {
    let gcs = Gcs::start().await;
    gcs.put("o", "x").await;
    let set = json!({"metadata": {"a": "1"}, "contentType": "a/b"});
    ok(gcs.request(Method::PATCH, &format!("{O}/o")).json(&set)).await;
    let update = gcs.request(Method::PUT, &format!("{O}/o"));
    let after = ok(update.json(&json!({"contentType": "c/d"}))).await;
    assert_eq!(
        (&after["contentType"], &after["metadata"]),
        (&json!("c/d"), &Value::Null)
    );
}

#[tokio::test]
async fn copies() {
    let gcs = Gcs::start().await;
    let source = gcs.put("dir%2Fa", "content").await;
    ok(gcs
        .request(Method::PATCH, &format!("{O}/dir%2Fa"))
        .json(&json!({"metadata": {"k": "v"}})))
    .await;
    let copy = |query: &str| gcs.post(&format!("{O}/dir%2Fa/copyTo/b/other/o/x%2Fy?{query}"));
    let copied = ok(copy("ifGenerationMatch=0")).await;
    assert_eq!(
        (&copied["bucket"], &copied["name"]),
        (&json!("other"), &json!("x/y"))
    );
    assert_eq!(copied["metadata"], json!({"k": "v"}));
    assert_eq!(copied["md5Hash"], source["md5Hash"]);
    let described = ok(copy("").json(&json!({"metadata": {"l": "w"}}))).await;
    assert_eq!(described["metadata"], json!({"l": "w"}));
    assert_eq!(described["contentType"], source["contentType"]);
    let not_met = failed(412, "conditionNotMet");
    assert_eq!(failure(copy("ifGenerationMatch=0")).await, not_met);
    assert_eq!(failure(copy("ifSourceGenerationMatch=1")).await, not_met);
    assert_eq!(
        failure(copy("ifSourceMetagenerationNotMatch=2")).await,
        not_met
    );
    assert_eq!(
        failure(copy("sourceGeneration=1")).await,
        failed(404, "notFound")
    );
    let missing = gcs.post(&format!("{O}/none/copyTo/b/buck/o/z"));
    assert_eq!(failure(missing).await, failed(404, "notFound"));
}

#[tokio::test]
async fn moves() {
    let gcs = Gcs::start().await;
    gcs.put("a", "content").await;
    let moved = ok(gcs.post(&format!("{O}/a/moveTo/o/b"))).await;
    assert_eq!(moved["name"], "b");
    assert_eq!(gcs.names().await, ["b"]);
    let itself = gcs.post(&format!("{O}/b/moveTo/o/b"));
    assert_eq!(failure(itself).await, failed(400, "invalid"));
    assert_eq!(gcs.content("b").await, "content");
}

#[tokio::test]
async fn rewrites_in_steps() {
    let gcs = Gcs::start().await;
    let content = "0123456789abcdef".repeat(160 << 10);
    gcs.put("a", &content).await;
    let rewrite = |query: &str| gcs.post(&format!("{O}/a/rewriteTo/b/buck/o/b?{query}"));
    let whole = ok(rewrite("")).await;
    assert_eq!(
        (&whole["done"], &whole["kind"]),
        (&json!(true), &json!("storage#rewriteResponse"))
    );
    assert_eq!(whole["totalBytesRewritten"], "2621440");
    ok(gcs
        .request(Method::PATCH, &format!("{O}/b"))
        .json(&json!({"metadata": {"old": "yes"}})))
    .await;

    let limit = "maxBytesRewrittenPerCall=1048576";
    let mut step = ok(rewrite(limit)).await;
    let mut written = vec![step["totalBytesRewritten"].clone()];
    while step["done"] == false {
        // Nobody sees it before it is complete.
        let seen = ok(gcs.get(&format!("{O}/b"))).await;
        assert_eq!(seen["metadata"], json!({"old": "yes"}));
        let token = step["rewriteToken"].as_str().unwrap();
        step = ok(rewrite(&format!("{limit}&rewriteToken={token}"))).await;
        written.push(step["totalBytesRewritten"].clone());
    }
    assert_eq!(written, ["1048576", "2097152", "2621440"]);
    assert_eq!(step["resource"]["metadata"], Value::Null);
    assert!(gcs.content("b").await == content);

    let unknown = rewrite("rewriteToken=nonsense");
    assert_eq!(failure(unknown).await, failed(400, "invalid"));
    let little = rewrite("maxBytesRewrittenPerCall=10");
    assert_eq!(failure(little).await, failed(400, "invalidParameter"));
    let step = ok(rewrite(limit)).await;
    let token = step["rewriteToken"].as_str().unwrap();
    let elsewhere = gcs.post(&format!("{O}/a/rewriteTo/b/buck/o/c?rewriteToken={token}"));
    assert_eq!(failure(elsewhere).await, failed(400, "invalid"));
    gcs.put("a", "changed").await;
    assert_eq!(
        failure(rewrite(&format!("rewriteToken={token}"))).await,
        failed(404, "notFound")
    );
}

#[tokio::test]
async fn composed_objects() {
    let gcs = Gcs::start().await;
    let first = gcs.put("a", "one ").await;
    gcs.put("b", "two").await;
    let compose = |sources: Value| {
        let body = json!({"sourceObjects": sources, "destination": {"contentType": "a/b", "metadata": {"k": "v"}}});
        gcs.post(&format!("{O}/c/compose?ifGenerationMatch=0"))
            .json(&body)
    };
    let wrong = json!([{"name": "a", "objectPreconditions": {"ifGenerationMatch": "1"}}]);
    assert_eq!(
        failure(compose(wrong)).await,
        failed(412, "conditionNotMet")
    );
    let old = json!([{"name": "a", "generation": "1"}]);
    assert_eq!(failure(compose(old)).await, failed(404, "notFound"));
    for bad in [json!([]), json!(vec![json!({"name": "a"}); 33])] {
        assert_eq!(failure(compose(bad)).await, failed(400, "invalid"));
    }
    assert_eq!(failure(compose(json!("a"))).await, failed(400, "required"));
    assert_eq!(failure(compose(json!([{}]))).await, failed(400, "required"));
    let sources = json!([{"name": "a", "generation": first["generation"]}, {"name": "b"}]);
    let made = ok(compose(sources)).await;
    assert_eq!(
        (&made["componentCount"], &made["md5Hash"]),
        (&json!(2), &Value::Null)
    );
    assert_eq!(
        (&made["contentType"], &made["metadata"]),
        (&json!("a/b"), &json!({"k": "v"}))
    );
    assert_eq!(gcs.content("c").await, "one two");
    // Something is appended, and what was known of the object is sent back: it says nothing about the new one.
    let (mut known, added) = (made.clone(), json!([{"name": "c"}, {"name": "b"}]));
    let append = |destination: &Value| {
        let body = json!({"sourceObjects": added, "destination": destination});
        gcs.post(&format!("{O}/c/compose")).json(&body)
    };
    let crc32c = &made["crc32c"];
    let wrong = append(&json!({"crc32c": crc32c}));
    assert_eq!(failure(wrong).await, failed(400, "invalid"));
    ok(append(&known)).await;
    assert_eq!(gcs.content("c").await, "one twotwo");
    known["customTime"] = json!("yesterday");
    assert_eq!(failure(append(&known)).await, failed(400, "invalid"));
}

#[tokio::test]
async fn versions_are_kept_where_the_bucket_says_so() {
    let gcs = Gcs::start().await;
    let bucket = gcs.request(Method::PATCH, "/storage/v1/b/buck");
    send(gcs.get("/storage/v1/b/buck")).await;
    ok(bucket.json(&json!({"versioning": {"enabled": true}}))).await;
    let one = gcs.put("o", "one").await;
    let two = gcs.put("o", "two").await;
    send(gcs.request(Method::DELETE, &format!("{O}/o"))).await;
    assert_eq!(gcs.names().await, [""; 0]);
    assert_eq!(
        failure(gcs.get(&format!("{O}/o"))).await,
        failed(404, "notFound")
    );
    let three = gcs.put("o", "three").await;
    let listed = ok(gcs.get(&format!("{O}?versions=true"))).await;
    let listed: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(generation)
        .collect();
    assert_eq!(
        listed,
        [generation(&one), generation(&two), generation(&three)]
    );
    // The same in pages.
    let first = ok(gcs.get(&format!("{O}?versions=true&maxResults=2"))).await;
    let token = first["nextPageToken"].as_str().unwrap();
    let last = ok(gcs.get(&format!("{O}?versions=true&maxResults=2&pageToken={token}"))).await;
    assert_eq!(generation(&last["items"][0]), generation(&three));
    assert_eq!(
        (
            first["items"].as_array().unwrap().len(),
            last["items"].as_array().unwrap().len()
        ),
        (2, 1)
    );

    let old = format!("generation={}", generation(&one));
    let response = send(gcs.get(&format!("{O}/o?{old}&alt=media"))).await;
    assert_eq!(response.text().await.unwrap(), "one");
    let shown = ok(gcs.get(&format!("{O}/o?{old}"))).await;
    assert!(shown["timeDeleted"].is_string(), "{shown}");
    ok(gcs.post(&format!(
        "{O}/o/copyTo/b/buck/o/back?sourceGeneration={}",
        generation(&one)
    )))
    .await;
    assert_eq!(gcs.content("back").await, "one");
    // Deleted by its generation, it is gone.
    let gone = send(gcs.request(Method::DELETE, &format!("{O}/o?{old}"))).await;
    assert_eq!(gone.status().as_u16(), 204);
    assert_eq!(
        failure(gcs.get(&format!("{O}/o?{old}"))).await,
        failed(404, "notFound")
    );
    assert_eq!(gcs.content("o").await, "three");
    for name in ["o", "back"] {
        send(gcs.request(Method::DELETE, &format!("{O}/{name}"))).await;
    }
    let delete = gcs.request(Method::DELETE, "/storage/v1/b/buck");
    assert_eq!(failure(delete).await, failed(409, "conflict"));
}

#[tokio::test]
async fn buckets() {
    let gcs = Gcs::start().await;
    let made =
        json!({"name": "made", "location": "europe-west1", "labels": {"k": "v"}, "id": "ignored"});
    let bucket = ok(gcs.post("/storage/v1/b?project=p").json(&made)).await;
    assert_eq!(
        (&bucket["location"], &bucket["locationType"]),
        (&json!("EUROPE-WEST1"), &json!("region"))
    );
    assert_eq!(
        (&bucket["id"], &bucket["labels"]),
        (&json!("made"), &json!({"k": "v"}))
    );
    assert_eq!(ok(gcs.get("/storage/v1/b/made")).await, bucket);
    let again = gcs.post("/storage/v1/b?project=p").json(&made);
    assert_eq!(failure(again).await, failed(409, "conflict"));
    let patch = gcs.request(Method::PATCH, "/storage/v1/b/made?ifMetagenerationMatch=1");
    let patched = ok(patch.json(&json!({"labels": null, "storageClass": "NEARLINE"}))).await;
    assert_eq!(
        (&patched["labels"], &patched["storageClass"]),
        (&Value::Null, &json!("NEARLINE"))
    );
    assert_eq!(
        (&patched["metageneration"], &patched["location"]),
        (&json!("2"), &json!("EUROPE-WEST1"))
    );
    let update = gcs.request(Method::PUT, "/storage/v1/b/made");
    let updated = ok(update.json(&json!({"labels": {"a": "b"}}))).await;
    assert_eq!(
        (&updated["storageClass"], &updated["location"]),
        (&json!("STANDARD"), &json!("EUROPE-WEST1"))
    );
    let listed = ok(gcs.get("/storage/v1/b?project=p&prefix=ma")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let page = ok(gcs.get("/storage/v1/b?project=p&maxResults=1")).await;
    let token = page["nextPageToken"].as_str().unwrap();
    let next = ok(gcs.get(&format!(
        "/storage/v1/b?project=p&maxResults=1&pageToken={token}"
    )))
    .await;
    assert_ne!(page["items"], next["items"]);
    for (body, reason) in [
        ("{", "parseError"),
        ("{}", "required"),
        ("{\"name\": \"A\"}", "invalid"),
    ] {
        let request = gcs.post("/storage/v1/b?project=p").body(body);
        assert_eq!(failure(request).await, failed(400, reason));
    }
    let delete = || gcs.request(Method::DELETE, "/storage/v1/b/made");
    assert_eq!(send(delete()).await.status().as_u16(), 204);
    // A bucket that a client deleted does not come back by being asked for.
    assert_eq!(
        failure(gcs.get("/storage/v1/b/made")).await,
        failed(404, "notFound")
    );
    assert_eq!(failure(delete()).await, failed(404, "notFound"));
}

#[tokio::test]
async fn what_surrounds_a_bucket() {
    let gcs = Gcs::start().await;
    gcs.put("o", "x").await;
    let asked = "permissions=storage.objects.get&permissions=storage.objects.list";
    let granted = ok(gcs.get(&format!("/storage/v1/b/buck/iam/testPermissions?{asked}"))).await;
    assert_eq!(granted["permissions"].as_array().unwrap().len(), 2);
    let policy = json!({"version": 3, "bindings": [{"role": "r", "members": ["allUsers"]}]});
    ok(gcs
        .request(Method::PUT, "/storage/v1/b/buck/iam")
        .json(&policy))
    .await;
    let read = ok(gcs.get("/storage/v1/b/buck/iam")).await;
    assert_eq!(read["bindings"], policy["bindings"]);
    assert_eq!(
        ok(gcs.get("/storage/v1/b/buck")).await["$iamPolicy"],
        Value::Null
    );
    for path in [
        "/storage/v1/b/buck/acl",
        "/storage/v1/b/buck/o/o/acl",
        "/storage/v1/b/buck/defaultObjectAcl/allUsers",
    ] {
        assert_eq!(
            failure(gcs.get(path)).await,
            failed(400, "invalid"),
            "{path}"
        );
    }
    let notify = gcs
        .post("/storage/v1/b/buck/notificationConfigs")
        .body("{}");
    assert_eq!(failure(notify).await, failed(501, "notImplemented"));
    let unknown = gcs.get("/storage/v1/b/buck/crystalBall");
    assert_eq!(failure(unknown).await, failed(404, "notFound"));
    let elsewhere = gcs.get("/storage/v1/b/buck/anywhereCaches");
    assert_eq!(failure(elsewhere).await, failed(501, "notImplemented"));
    let folders = "/storage/v1/b/buck/managedFolders";
    let none = ok(gcs.get(folders)).await;
    assert_eq!(none, json!({"kind": "storage#managedFolders"}));
    let one = gcs.get(&format!("{folders}/a%2F"));
    assert_eq!(failure(one).await, failed(404, "notFound"));
    let made = gcs.post(folders).json(&json!({"name": "a/"}));
    assert_eq!(failure(made).await, failed(501, "notImplemented"));
    let account = ok(gcs.get("/storage/v1/projects/p/serviceAccount")).await;
    assert!(account["email_address"].is_string());
}

#[tokio::test]
async fn as_much_as_is_asked_for() {
    let gcs = Gcs::start().await;
    gcs.put("o", "x").await;
    let name = ok(gcs.get(&format!("{O}/o?fields=name,size"))).await;
    assert_eq!(name, json!({"name": "o", "size": "1"}));
    let page = ok(gcs.get(&format!("{O}?fields=items(name),nextPageToken"))).await;
    assert_eq!(page, json!({"items": [{"name": "o"}]}));
    let bad = gcs.get(&format!("{O}/o?fields=name("));
    assert_eq!(failure(bad).await, failed(400, "invalidParameter"));
    for name in ["a%2Fx.txt", "a%2Fb%2Fy.txt", "z.csv"] {
        gcs.put(name, "").await;
    }
    let found = ok(gcs.get(&format!("{O}?matchGlob=**.txt&fields=items(name)"))).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 2);
    let found = ok(gcs.get(&format!("{O}?matchGlob=a/*.txt&fields=items(name)"))).await;
    assert_eq!(found["items"], json!([{"name": "a/x.txt"}]));
}
