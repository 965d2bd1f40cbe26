//! Objects and buckets behave as Cloud Storage's, on every backend.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::collections::BTreeMap;

use common::{BUCKET, backends, id, names, part};
use dataflume_storage::{
    AttributesPatch, ByteRange, ContentAttributes, CopyOptions, Crc32c, Error, ErrorCode,
    ExpectedContent, ListRequest, Md5, ObjectId, Preconditions, PutOptions, ReadOptions, Store,
};
use futures::{StreamExt, stream};

#[tokio::test]
async fn an_object_is_read_as_it_was_written() {
    for backend in backends().await {
        for content in ["", "x", "123456789"] {
            let written = backend.put("a/b c", content).await;
            assert_eq!(written.size, content.len() as u64);
            assert_eq!(backend.stat("a/b c").await.unwrap(), written);
            assert_eq!(backend.text("a/b c").await, content);
        }
        let written = backend.stat("a/b c").await.unwrap();
        assert_eq!(written.crc32c, Crc32c(0xe306_9283));
        assert_eq!(
            written.md5.unwrap().to_string(),
            "25f9e794323b453885f5181f1b624d0b"
        );
    }
}

#[tokio::test]
async fn every_write_is_a_new_generation_and_leaves_one_blob() {
    for backend in backends().await {
        let first = backend.put("o", "one").await;
        let second = backend.put("o", "two").await;
        assert!(second.generation > first.generation);
        assert_eq!((first.metageneration, second.metageneration), (1, 1));
        assert_eq!(backend.text("o").await, "two");
        if backend.folder.is_some() {
            let blobs = backend
                .files()
                .into_iter()
                .filter(|path| path.starts_with("buckets/test-bucket/blobs"));
            assert_eq!(blobs.count(), 1, "{:?}", backend.files());
        }
        let old = ReadOptions {
            generation: Some(first.generation),
            ..Default::default()
        };
        let gone = backend.read("o", old).await.unwrap_err();
        assert!(matches!(gone, Error::ObjectNotFound { .. }), "{gone}");
        backend
            .store
            .delete(&id("o"), None, Preconditions::default())
            .await
            .unwrap();
        let third = backend.put("o", "three").await;
        assert!(third.generation > second.generation, "also after deletion");
    }
}

#[tokio::test]
async fn preconditions_decide_what_a_write_does() {
    let failed =
        |result: Result<_, Error>| result.unwrap_err().code() == ErrorCode::PreconditionFailed;
    let generation = |value| Preconditions {
        if_generation_match: Some(value),
        ..Default::default()
    };
    for backend in backends().await {
        assert!(failed(backend.put_if("o", "x", generation(5)).await));
        assert!(backend.names().await.is_empty());
        let first = backend
            .put_if("o", "1", Preconditions::must_not_exist())
            .await
            .unwrap();
        assert!(failed(
            backend
                .put_if("o", "2", Preconditions::must_not_exist())
                .await
        ));
        let second = backend
            .put_if("o", "2", generation(first.generation))
            .await
            .unwrap();
        assert!(failed(
            backend.put_if("o", "3", generation(first.generation)).await
        ));
        assert_eq!(backend.text("o").await, "2");

        let delete = backend
            .store
            .delete(&id("o"), None, generation(first.generation))
            .await;
        assert_eq!(delete.unwrap_err().code(), ErrorCode::PreconditionFailed);
        let patch = AttributesPatch {
            content_type: Some(Some("text/plain".into())),
            ..Default::default()
        };
        let meta = |value| Preconditions {
            if_metageneration_match: Some(value),
            ..Default::default()
        };
        let patched = backend
            .store
            .patch(&id("o"), patch.clone(), None, meta(1))
            .await
            .unwrap();
        assert_eq!(
            (patched.metageneration, patched.generation),
            (2, second.generation)
        );
        assert!(failed(
            backend.store.patch(&id("o"), patch, None, meta(1)).await
        ));
        let unchanged = ReadOptions {
            preconditions: Preconditions {
                if_generation_not_match: Some(second.generation),
                ..Default::default()
            },
            ..Default::default()
        };
        assert!(
            backend
                .read("o", unchanged)
                .await
                .unwrap_err()
                .is_not_modified()
        );
        backend
            .store
            .delete(&id("o"), Some(second.generation), meta(2))
            .await
            .unwrap();
        assert!(backend.names().await.is_empty());
    }
}

#[tokio::test]
async fn content_that_is_not_what_was_announced_is_refused() {
    let wrong = [
        (
            "size",
            ExpectedContent {
                size: Some(4),
                ..Default::default()
            },
        ),
        (
            "crc32c",
            ExpectedContent {
                crc32c: Some(Crc32c(1)),
                ..Default::default()
            },
        ),
        (
            "md5",
            ExpectedContent {
                md5: Some(Md5([0; 16])),
                ..Default::default()
            },
        ),
    ];
    for backend in backends().await {
        let files = backend.files();
        for (what, expected) in wrong {
            let options = PutOptions {
                expected,
                ..Default::default()
            };
            let refused = backend
                .store
                .put(&id("o"), "abc", options)
                .await
                .unwrap_err();
            assert!(matches!(refused, Error::ContentMismatch { what: found, .. } if found == what));
        }
        assert_eq!(backend.files(), files, "something was left");
        assert!(backend.names().await.is_empty());
    }
}

#[tokio::test]
async fn ranges() {
    for backend in backends().await {
        backend.put("o", "0123456789").await;
        let read = async |range| {
            backend
                .read(
                    "o",
                    ReadOptions {
                        range,
                        ..Default::default()
                    },
                )
                .await
        };
        assert_eq!(read(ByteRange::From(7)).await.unwrap(), "789");
        assert_eq!(
            read(ByteRange::Inclusive { first: 2, last: 4 })
                .await
                .unwrap(),
            "234"
        );
        assert_eq!(read(ByteRange::Suffix(3)).await.unwrap(), "789");
        let beyond = read(ByteRange::From(10)).await.unwrap_err();
        assert!(matches!(beyond, Error::RangeNotSatisfiable { size: 10 }));
    }
}

#[tokio::test]
async fn attributes_are_kept_patched_and_replaced() {
    for backend in backends().await {
        let attributes = ContentAttributes {
            content_type: Some("text/plain".into()),
            cache_control: Some("no-store".into()),
            custom: BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]),
            ..Default::default()
        };
        let options = PutOptions {
            attributes: attributes.clone(),
            ..Default::default()
        };
        let written = backend.store.put(&id("o"), "x", options).await.unwrap();
        assert_eq!(written.attributes, attributes);
        let patch = AttributesPatch {
            cache_control: Some(None),
            custom: BTreeMap::from([("a".into(), None), ("c".into(), Some("3".into()))]),
            ..Default::default()
        };
        let none = Preconditions::default();
        let patched = backend
            .store
            .patch(&id("o"), patch, None, none)
            .await
            .unwrap()
            .attributes;
        assert_eq!(patched.content_type.as_deref(), Some("text/plain"));
        assert_eq!(patched.cache_control, None);
        assert_eq!(
            patched.custom,
            BTreeMap::from([("b".into(), "2".into()), ("c".into(), "3".into())])
        );
        let replace = AttributesPatch::replace(ContentAttributes::default());
        let replaced = backend
            .store
            .patch(&id("o"), replace, None, none)
            .await
            .unwrap();
        assert_eq!(replaced.attributes, ContentAttributes::default());
        assert_eq!(backend.text("o").await, "x");
    }
}

#[tokio::test]
async fn copies_stand_alone() {
    for backend in backends().await {
        backend
            .store
            .create_bucket("other-bucket", Default::default())
            .await
            .unwrap();
        let source = backend.put("o", "content").await;
        let there = ObjectId::new("other-bucket", "copy");
        let copied = backend
            .store
            .copy(&id("o"), &there, CopyOptions::default())
            .await
            .unwrap();
        assert_eq!(
            (copied.crc32c, copied.md5, copied.size),
            (source.crc32c, source.md5, source.size)
        );
        let onto_itself = backend
            .store
            .copy(&id("o"), &id("o"), CopyOptions::default())
            .await
            .unwrap();
        assert!(onto_itself.generation > source.generation);
        let none = Preconditions::default();
        backend.store.delete(&id("o"), None, none).await.unwrap();
        let content = backend
            .store
            .get(&there, Default::default())
            .await
            .unwrap()
            .bytes()
            .await;
        assert_eq!(content.unwrap(), "content");
        let must_not_exist = CopyOptions {
            preconditions: Preconditions::must_not_exist(),
            ..Default::default()
        };
        let refused = backend
            .store
            .copy(&there, &there, must_not_exist)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PreconditionFailed);
        let missing = backend
            .store
            .copy(&id("o"), &there, CopyOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(missing, Error::ObjectNotFound { .. }));
    }
}

#[tokio::test]
async fn a_composed_object_has_its_parts_contents() {
    let (all, other) = (id("all"), id("x"));
    for backend in backends().await {
        for (name, content) in [("a", "one "), ("b", "two "), ("c", "three")] {
            backend.put(name, content).await;
        }
        let sources = vec![part("a"), part("b"), part("c")];
        let composed = backend
            .store
            .compose(sources, &all, PutOptions::default())
            .await
            .unwrap();
        assert_eq!((composed.md5, composed.component_count), (None, Some(3)));
        assert_eq!(backend.text("all").await, "one two three");
        let whole = backend.put("whole", "one two three").await;
        assert_eq!(composed.crc32c, whole.crc32c);
        let appended =
            backend
                .store
                .compose(vec![part("all"), part("a")], &all, PutOptions::default());
        assert_eq!(appended.await.unwrap().component_count, Some(4));
        assert_eq!(backend.text("all").await, "one two threeone ");

        let before = backend.files();
        let missing =
            backend
                .store
                .compose(vec![part("a"), part("nope")], &other, PutOptions::default());
        assert!(
            matches!(missing.await.unwrap_err(), Error::ObjectNotFound { name, .. } if name == "nope")
        );
        for sources in [vec![], vec![part("a"); 33]] {
            let refused = backend
                .store
                .compose(sources, &other, PutOptions::default())
                .await;
            assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidArgument);
        }
        assert_eq!(backend.files(), before, "something was left");
    }
}

#[tokio::test]
async fn listings_by_prefix_delimiter_and_page() {
    let all = [
        "a", "a/b", "a/b/c", "a/d", "a//e", "A", "b", "dir/", "dir/x", "z/../y", "é",
    ];
    for backend in backends().await {
        for name in all {
            backend.put(name, name).await;
        }
        let mut sorted: Vec<_> = all.map(ToOwned::to_owned).to_vec();
        sorted.sort();
        assert_eq!(backend.names().await, sorted);

        let request = |prefix: &str, delimiter: Option<&str>| ListRequest {
            prefix: prefix.to_owned(),
            delimiter: delimiter.map(ToOwned::to_owned),
            ..Default::default()
        };
        for (prefix, delimiter, objects, prefixes) in [
            ("a/", None, vec!["a//e", "a/b", "a/b/c", "a/d"], vec![]),
            ("a/b", None, vec!["a/b", "a/b/c"], vec![]),
            (
                "",
                Some("/"),
                vec!["A", "a", "b", "é"],
                vec!["a/", "dir/", "z/"],
            ),
            ("a/", Some("/"), vec!["a/b", "a/d"], vec!["a//", "a/b/"]),
            ("dir/", Some("/"), vec!["dir/", "dir/x"], vec![]),
            (
                "",
                Some("b"),
                vec!["A", "a", "a//e", "a/d", "dir/", "dir/x", "z/../y", "é"],
                vec!["a/b", "b"],
            ),
            ("nope", Some("/"), vec![], vec![]),
        ] {
            let page = backend.list(&request(prefix, delimiter)).await;
            assert_eq!(
                names(&page),
                objects,
                "objects of {prefix:?} by {delimiter:?}"
            );
            assert_eq!(
                page.prefixes, prefixes,
                "prefixes of {prefix:?} by {delimiter:?}"
            );
        }

        let offsets = ListRequest {
            start_offset: Some("a/b".into()),
            end_offset: Some("b".into()),
            ..Default::default()
        };
        assert_eq!(
            names(&backend.list(&offsets).await),
            ["a/b", "a/b/c", "a/d"]
        );
        let trailing = ListRequest {
            include_trailing_delimiter: true,
            ..request("", Some("/"))
        };
        assert!(names(&backend.list(&trailing).await).contains(&"dir/".to_owned()));
    }
}

#[tokio::test]
async fn pages_cover_the_listing_once() {
    for backend in backends().await {
        for name in ["a", "b/", "b/1", "b/2", "c", "d/1", "e"] {
            backend.put(name, name).await;
        }
        for size in 1..=6 {
            let mut request = ListRequest {
                delimiter: Some("/".into()),
                include_trailing_delimiter: true,
                max_results: Some(size),
                ..Default::default()
            };
            let (mut objects, mut prefixes, mut pages) = (Vec::new(), Vec::new(), 0);
            loop {
                let page = backend.list(&request).await;
                assert!(page.objects.len() + page.prefixes.len() <= size);
                objects.extend(names(&page));
                prefixes.extend(page.prefixes);
                pages += 1;
                request.page_token = page.next_page_token;
                if request.page_token.is_none() {
                    break;
                }
            }
            assert_eq!(objects, ["a", "b/", "c", "e"]);
            assert_eq!(prefixes, ["b/", "d/"]);
            assert_eq!(pages, 6_usize.div_ceil(size));
        }
    }
}

#[tokio::test]
async fn buckets() {
    for backend in backends().await {
        let store = &backend.store;
        let exists = store
            .create_bucket(BUCKET, Default::default())
            .await
            .unwrap_err();
        assert_eq!(exists.code(), ErrorCode::AlreadyExists);
        assert_eq!(store.ensure_bucket(BUCKET).await.unwrap().metageneration, 1);
        let labels = serde_json::json!({"labels": {"a": "b"}});
        let labels = labels.as_object().unwrap().clone();
        let patched = store
            .patch_bucket(BUCKET, labels.clone(), Preconditions::default())
            .await
            .unwrap();
        assert_eq!((patched.metageneration, &patched.attributes), (2, &labels));
        store.ensure_bucket("another").await.unwrap();
        let all: Vec<_> = store
            .buckets()
            .await
            .unwrap()
            .into_iter()
            .map(|b| b.name)
            .collect();
        assert_eq!(all, ["another", BUCKET]);

        backend.put("o", "x").await;
        let none = Preconditions::default();
        let occupied = store.delete_bucket(BUCKET, none).await.unwrap_err();
        assert!(matches!(occupied, Error::BucketNotEmpty { .. }));
        store.delete(&id("o"), None, none).await.unwrap();
        let writer = store
            .writer(&id("late"), PutOptions::default())
            .await
            .unwrap();
        store.delete_bucket(BUCKET, none).await.unwrap();
        let late = writer.finish().await.unwrap_err();
        assert!(matches!(late, Error::BucketNotFound { .. }), "{late}");
        assert!(matches!(
            backend.stat("o").await.unwrap_err(),
            Error::BucketNotFound { .. }
        ));
        assert!(matches!(
            store.bucket(BUCKET).await.unwrap_err(),
            Error::BucketNotFound { .. }
        ));
        let left: Vec<_> = store
            .buckets()
            .await
            .unwrap()
            .into_iter()
            .map(|b| b.name)
            .collect();
        assert_eq!(left, ["another"]);
        assert!(
            backend
                .files()
                .iter()
                .all(|path| !path.starts_with("buckets/test-bucket"))
        );
    }
}

#[tokio::test]
async fn names_never_leave_the_root() {
    for backend in backends().await {
        for name in [
            "../../x",
            "/etc/passwd",
            "a/../../../x",
            "..\\x",
            "//x",
            "x/.",
            "x/..",
            "~",
            "a\0b",
        ] {
            backend.put(name, name).await;
            assert_eq!(backend.text(name).await, name);
        }
        assert_eq!(backend.names().await.len(), 9);
        for path in backend.files() {
            assert!(path.starts_with("buckets/test-bucket"), "{path:?}");
        }
        for bucket in ["..", "../x", "a/b", "", "."] {
            let refused = backend
                .store
                .create_bucket(bucket, Default::default())
                .await
                .unwrap_err();
            assert_eq!(refused.code(), ErrorCode::InvalidName);
            let to = ObjectId::new(bucket, "x");
            assert!(
                backend
                    .store
                    .put(&to, "x", PutOptions::default())
                    .await
                    .is_err()
            );
            assert!(
                backend
                    .store
                    .stat(&to, ReadOptions::default())
                    .await
                    .is_err()
            );
            assert!(
                backend
                    .store
                    .delete(&to, None, Preconditions::default())
                    .await
                    .is_err()
            );
        }
    }
}

#[tokio::test]
async fn a_folder_keeps_its_objects_across_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_directory_path(folder.path()).unwrap();
    let first = Store::open(url.as_str()).unwrap();
    first.ensure_bucket(BUCKET).await.unwrap();
    let written = first
        .put(&id("o"), "kept", PutOptions::default())
        .await
        .unwrap();
    drop(first);
    let second = Store::open_folder(folder.path()).unwrap();
    assert_eq!(second.sweep().await.unwrap(), Default::default());
    assert_eq!(
        second.stat(&id("o"), ReadOptions::default()).await.unwrap(),
        written
    );
    let rewritten = second
        .put(&id("o"), "new", PutOptions::default())
        .await
        .unwrap();
    assert!(rewritten.generation > written.generation);
}

#[tokio::test]
async fn a_damaged_blob_is_an_error_and_no_short_read() {
    let backends = backends().await;
    let backend = backends
        .iter()
        .find(|backend| backend.folder.is_some())
        .unwrap();
    backend.put("o", "0123456789").await;
    let blob = backend
        .files()
        .into_iter()
        .find(|path| path.starts_with("buckets/test-bucket/blobs"));
    let blob = backend.folder.as_ref().unwrap().path().join(blob.unwrap());
    std::fs::write(&blob, "01234").unwrap();
    let content: Vec<_> = match backend.store.get(&id("o"), ReadOptions::default()).await {
        Ok(reader) => reader.into_stream().collect().await,
        Err(error) => vec![Err(error)],
    };
    assert!(content.iter().any(Result::is_err), "{content:?}");
}

#[tokio::test]
async fn a_reader_keeps_its_generation() {
    for backend in backends().await {
        backend.put("o", "old").await;
        let reader = backend
            .store
            .get(&id("o"), ReadOptions::default())
            .await
            .unwrap();
        backend.put("o", "new").await;
        backend
            .store
            .delete(&id("o"), None, Preconditions::default())
            .await
            .unwrap();
        assert_eq!(reader.bytes().await.unwrap(), "old");
    }
}

#[tokio::test]
async fn a_stream_is_stored_whole() {
    for backend in backends().await {
        let chunks = (0..100_u8).map(|byte| Ok::<_, Error>(vec![byte; 200_000].into()));
        let written = backend
            .store
            .put_stream(&id("o"), stream::iter(chunks), PutOptions::default())
            .await
            .unwrap();
        assert_eq!(written.size, 20_000_000);
        let reader = backend
            .store
            .get(&id("o"), ReadOptions::default())
            .await
            .unwrap();
        let content = reader.bytes().await.unwrap();
        assert!((0..20_000_000).all(|at| usize::from(content[at]) == at / 200_000));
    }
}
