//! Content is staged once, whole, and under its own hash.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use bytes::Bytes;
use common::{backends, until};
use dataflume_storage::{Error, ListRequest, Preconditions, Sha256, Staging};
use futures::future::join_all;

const MANY_BYTES: usize = 20 << 20;

async fn staged(staging: &Staging) -> usize {
    let listed = staging
        .store()
        .list(staging.bucket(), &ListRequest::default())
        .await;
    listed.unwrap().objects.len()
}

async fn text(staging: &Staging, artifact: &dataflume_storage::StagedArtifact) -> Bytes {
    staging.read(artifact).await.unwrap().bytes().await.unwrap()
}

#[tokio::test]
async fn content_is_stored_once_across_sessions() {
    for backend in backends().await {
        let staging = Staging::open(backend.store.clone(), "staging")
            .await
            .unwrap();
        let (first, second) = (staging.session(), staging.session());
        let one = first.put("content", None).await.unwrap();
        let two = second.put("content", Some(one.sha256)).await.unwrap();
        assert_eq!(one, two);
        assert_eq!((one.size, one.sha256), (7, Sha256::of(b"content")));
        assert_eq!(
            one.object.to_string(),
            format!("gs://staging/artifacts/sha256/{}", one.sha256)
        );
        assert_eq!(second.reuse(one.sha256).await.unwrap(), Some(one.clone()));
        assert_eq!(second.reuse(Sha256::of(b"other")).await.unwrap(), None);
        assert_eq!(staged(&staging).await, 1);
        first.keep();
        second.discard().await;
        assert_eq!(text(&staging, &one).await, "content");
    }
}

#[tokio::test]
async fn a_wrong_hash_is_an_error_and_leaves_nothing() {
    for backend in backends().await {
        let staging = Staging::open(backend.store.clone(), "staging")
            .await
            .unwrap();
        let before = backend.files();
        for size in [3, MANY_BYTES] {
            let session = staging.session();
            let claimed = Sha256::of(b"what was announced");
            let refused = session.put(vec![7; size], Some(claimed)).await.unwrap_err();
            assert!(
                matches!(&refused, Error::ContentMismatch { what: "sha256", expected, .. }
                if *expected == claimed.to_string())
            );
            assert_eq!(backend.files(), before);
            assert_eq!(staged(&staging).await, 0);
            session.keep();
        }
    }
}

#[tokio::test]
async fn a_dropped_writer_leaves_nothing() {
    for backend in backends().await {
        let staging = Staging::open(backend.store.clone(), "staging")
            .await
            .unwrap();
        let before = backend.files();
        let session = staging.session();
        let mut writer = session.writer(None);
        writer.write(vec![7; MANY_BYTES].into()).await.unwrap();
        assert_eq!(writer.size(), MANY_BYTES as u64);
        drop(writer);
        until("files removed", || backend.files() == before).await;
        assert_eq!(staged(&staging).await, 0);
    }
}

#[tokio::test]
async fn an_abandoned_session_takes_back_what_it_alone_brought() {
    for backend in backends().await {
        let staging = Staging::open(backend.store.clone(), "staging")
            .await
            .unwrap();
        let kept = staging.session();
        let old = kept.put("old", None).await.unwrap();
        kept.keep();

        let (abandoned, other) = (staging.session(), staging.session());
        for content in ["old", "mine", "shared"] {
            abandoned.put(content, None).await.unwrap();
        }
        let shared = other.reuse(Sha256::of(b"shared")).await.unwrap().unwrap();
        abandoned.discard().await;
        assert_eq!(staged(&staging).await, 2);
        assert_eq!(text(&staging, &old).await, "old");
        assert_eq!(text(&staging, &shared).await, "shared");
        other.discard().await;
        assert_eq!(staged(&staging).await, 1);
    }
}

#[tokio::test]
async fn a_session_that_is_dropped_is_abandoned() {
    for backend in backends().await {
        let staging = Staging::open(backend.store.clone(), "staging")
            .await
            .unwrap();
        let session = staging.session();
        let artifact = session.put("content", None).await.unwrap();
        drop(session);
        let gone = async {
            while staging.find(artifact.sha256).await.unwrap().is_some() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), gone)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_content_at_the_same_time_from_many_jobs() {
    for backend in backends().await {
        let staging = Staging::open(backend.store.clone(), "staging")
            .await
            .unwrap();
        let jobs = (0..16).map(|job| {
            let staging = staging.clone();
            tokio::spawn(async move {
                let session = staging.session();
                let artifact = session.put("content", None).await.unwrap();
                if job % 2 == 0 {
                    session.keep();
                } else {
                    session.discard().await;
                }
                artifact
            })
        });
        let artifacts: Vec<_> = join_all(jobs)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert!(artifacts.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(staged(&staging).await, 1);
        assert_eq!(text(&staging, &artifacts[0]).await, "content");
    }
}

#[tokio::test]
async fn deleted_content_is_reported_and_can_be_staged_again() {
    for backend in backends().await {
        let staging = Staging::open(backend.store.clone(), "staging")
            .await
            .unwrap();
        let session = staging.session();
        let artifact = session.put("content", None).await.unwrap();
        let none = Preconditions::default();
        staging
            .store()
            .delete(&artifact.object, None, none)
            .await
            .unwrap();
        assert!(matches!(
            staging.read(&artifact).await,
            Err(Error::ObjectNotFound { .. })
        ));
        session.put("content", None).await.unwrap();
        assert_eq!(text(&staging, &artifact).await, "content");
    }
}

#[test]
fn digests_as_text() {
    let digest = Sha256::of(b"abc");
    let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest.to_string(), text);
    assert_eq!(text.parse::<Sha256>().unwrap(), digest);
    assert_eq!(text.to_uppercase().parse::<Sha256>().unwrap(), digest);
    for bad in ["", "ba78", &text[1..], &text.replace('b', "x"), "../../x"] {
        assert!(bad.parse::<Sha256>().is_err(), "{bad:?} was taken");
    }
}
