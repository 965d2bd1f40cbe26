//! An interrupted write is never seen and leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use bytes::Bytes;
use common::{BUCKET, backends, files, id, until};
use dataflume_storage::{Error, PutOptions, ReadOptions, Store, SweepReport};
use futures::stream;

/// More than a part, so that a part of the content has gone to the backend.
const MANY_BYTES: usize = 20 << 20;

#[tokio::test]
async fn a_broken_stream_leaves_the_old_object() {
    for backend in backends().await {
        backend.put("o", "old").await;
        let before = backend.files();
        for sent in [0, 10, MANY_BYTES] {
            let chunks = [
                Ok(Bytes::from(vec![7; sent])),
                Err(std::io::Error::other("connection reset")),
            ];
            let target = id("o");
            let broken =
                backend
                    .store
                    .put_stream(&target, stream::iter(chunks), PutOptions::default());
            let error = broken.await.unwrap_err();
            assert!(
                matches!(error, Error::Interrupted { received, .. } if received == sent as u64)
            );
            assert!(error.to_string().contains("connection reset"));
            assert_eq!(backend.files(), before, "after {sent} bytes");
            assert_eq!(backend.text("o").await, "old");
        }
    }
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    for backend in backends().await {
        let before = backend.files();
        for sent in [10, MANY_BYTES] {
            let mut writer = backend
                .store
                .writer(&id("o"), PutOptions::default())
                .await
                .unwrap();
            writer.write(vec![7; sent].into()).await.unwrap();
            drop(writer);
            until("files removed", || backend.files() == before).await;
            assert!(backend.stat("o").await.is_err());
        }
    }
}

#[tokio::test]
async fn a_finish_that_nobody_waits_for_takes_effect_or_not_but_leaves_no_blob() {
    for backend in backends().await {
        for polls in 0..6 {
            let name = format!("o{polls}");
            let mut writer = backend
                .store
                .writer(&id(&name), PutOptions::default())
                .await
                .unwrap();
            writer.write(vec![7; MANY_BYTES].into()).await.unwrap();
            let mut finish = Box::pin(writer.finish());
            for _ in 0..polls {
                if futures::poll!(&mut finish).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            drop(finish);
        }
        if backend.folder.is_some() {
            let blobs_match_records = || {
                let files = backend.files();
                let below =
                    |folder: &str| files.iter().filter(|path| path.starts_with(folder)).count();
                below("buckets/test-bucket/blobs") == below("buckets/test-bucket/objects")
                    && files
                        .iter()
                        .all(|path| !path.to_string_lossy().contains('#'))
            };
            until("as many blobs as records", blobs_match_records).await;
        }
        for name in backend.names().await {
            assert_eq!(backend.stat(&name).await.unwrap().size, MANY_BYTES as u64);
        }
    }
}

#[tokio::test]
async fn a_sweep_removes_what_a_crash_left_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = folder.path().join("buckets").join(BUCKET);
    {
        let crashed = Store::open_folder(folder.path()).unwrap();
        crashed.ensure_bucket(BUCKET).await.unwrap();
        crashed
            .put(&id("dir/kept"), "kept", PutOptions::default())
            .await
            .unwrap();
    }
    // What a killed process can leave: a complete blob, a half blob, a half record.
    std::fs::write(bucket.join("blobs/0123-4567"), "complete").unwrap();
    std::fs::write(bucket.join("blobs/0123-89ab#1"), "hal").unwrap();
    std::fs::write(bucket.join("objects/dir/x!#12"), "{").unwrap();
    let store = Store::open_folder(folder.path()).unwrap();
    let mut under_way = store
        .writer(&id("new"), PutOptions::default())
        .await
        .unwrap();
    under_way.write(vec![7; MANY_BYTES].into()).await.unwrap();
    let report = store.sweep().await.unwrap();
    assert_eq!(
        report,
        SweepReport {
            blobs: 1,
            partial_files: 2
        }
    );
    under_way.finish().await.unwrap();
    let kept = store
        .get(&id("dir/kept"), ReadOptions::default())
        .await
        .unwrap();
    assert_eq!(kept.bytes().await.unwrap(), "kept");
    assert_eq!(store.sweep().await.unwrap(), SweepReport::default());
    assert_eq!(
        files(folder.path()).len(),
        5,
        "the bucket, two records, two blobs"
    );
}
