//! The state machine of resumable uploads.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use bytes::Bytes;
use common::{Backend, backends, id};
use dataflume_storage::{
    Chunk, Crc32c, Error, ErrorCode, ExpectedContent, Preconditions, PutOptions, Result, UploadId,
    UploadStatus, Uploads,
};
use futures::stream;

async fn send(
    uploads: &Uploads,
    upload: UploadId,
    offset: u64,
    total: Option<u64>,
    content: &'static str,
) -> Result<UploadStatus> {
    let content = stream::iter([Ok::<_, Error>(Bytes::from_static(content.as_bytes()))]);
    let expected = ExpectedContent::default();
    uploads
        .append(
            upload,
            Chunk {
                offset,
                total,
                is_last: false,
                expected,
                content,
            },
        )
        .await
}

fn received(status: UploadStatus) -> u64 {
    match status {
        UploadStatus::Incomplete { received } => received,
        UploadStatus::Complete(object) => panic!("complete: {object:?}"),
    }
}

async fn begin(backend: &Backend) -> (Uploads, UploadId) {
    let uploads = Uploads::new(backend.store.clone());
    let upload = uploads
        .begin(&id("o"), PutOptions::default())
        .await
        .unwrap();
    (uploads, upload)
}

#[tokio::test]
async fn chunks_in_order_make_an_object() {
    for backend in backends().await {
        let (uploads, upload) = begin(&backend).await;
        assert_eq!(received(uploads.status(upload).await.unwrap()), 0);
        assert_eq!(
            received(send(&uploads, upload, 0, None, "01234").await.unwrap()),
            5
        );
        assert!(backend.stat("o").await.is_err(), "seen before its end");
        assert_eq!(
            received(send(&uploads, upload, 5, None, "567").await.unwrap()),
            8
        );
        let done = send(&uploads, upload, 8, Some(10), "89").await.unwrap();
        let object = backend.stat("o").await.unwrap();
        assert_eq!(done, UploadStatus::Complete(Box::new(object)));
        assert_eq!(backend.text("o").await, "0123456789");
        assert_eq!(uploads.status(upload).await.unwrap(), done);
        assert_eq!(
            send(&uploads, upload, 8, Some(10), "89").await.unwrap(),
            done,
            "sent again"
        );
        let text = upload.to_string();
        assert_eq!(text.parse::<UploadId>().unwrap(), upload);
    }
}

#[tokio::test]
async fn a_client_that_lost_its_connection_goes_on() {
    for backend in backends().await {
        let (uploads, upload) = begin(&backend).await;
        let content = stream::iter([Ok("0123".into()), Err(std::io::Error::other("reset"))]);
        let chunk = Chunk {
            offset: 0,
            total: Some(8),
            is_last: false,
            expected: ExpectedContent::default(),
            content,
        };
        let broken = uploads.append(upload, chunk).await.unwrap_err();
        assert!(matches!(broken, Error::Interrupted { received: 4, .. }));
        assert_eq!(received(uploads.status(upload).await.unwrap()), 4);
        send(&uploads, upload, 2, Some(8), "234567").await.unwrap();
        assert_eq!(
            backend.text("o").await,
            "01234567",
            "what overlaps is skipped"
        );
    }
}

#[tokio::test]
async fn chunks_that_do_not_fit() {
    for backend in backends().await {
        let (uploads, upload) = begin(&backend).await;
        send(&uploads, upload, 0, None, "0123").await.unwrap();
        for (offset, total, content) in [(5, None, "x"), (4, Some(5), "xy"), (4, Some(3), "")] {
            let refused = send(&uploads, upload, offset, total, content)
                .await
                .unwrap_err();
            assert_eq!(refused.code(), ErrorCode::OutOfRange, "{refused}");
            assert_eq!(received(uploads.status(upload).await.unwrap()), 4);
        }
        send(&uploads, upload, 4, Some(5), "4").await.unwrap();
        assert_eq!(backend.text("o").await, "01234");
    }
}

#[tokio::test]
async fn an_empty_object_and_a_late_total() {
    for backend in backends().await {
        let (uploads, upload) = begin(&backend).await;
        let done = send(&uploads, upload, 0, Some(0), "").await.unwrap();
        assert!(matches!(done, UploadStatus::Complete(object) if object.size == 0));
        let (uploads, upload) = begin(&backend).await;
        send(&uploads, upload, 0, None, "abc").await.unwrap();
        send(&uploads, upload, 3, Some(3), "").await.unwrap();
        assert_eq!(backend.text("o").await, "abc");
    }
}

#[tokio::test]
async fn a_cancelled_upload_is_gone() {
    for backend in backends().await {
        let (uploads, upload) = begin(&backend).await;
        let before = backend.files();
        let content = stream::iter([Ok::<_, Error>(Bytes::from(vec![7; 20 << 20]))]);
        let chunk = Chunk {
            offset: 0,
            total: None,
            is_last: false,
            expected: ExpectedContent::default(),
            content,
        };
        uploads.append(upload, chunk).await.unwrap();
        uploads.cancel(upload).await.unwrap();
        assert_eq!(backend.files(), before);
        for error in [
            uploads.status(upload).await.unwrap_err(),
            uploads.cancel(upload).await.unwrap_err(),
            send(&uploads, upload, 0, None, "x").await.unwrap_err(),
        ] {
            assert!(matches!(error, Error::UploadNotFound { .. }));
        }
        assert!("../../x".parse::<UploadId>().is_err());
    }
}

#[tokio::test]
async fn preconditions_and_checksums_decide_at_the_end() {
    for backend in backends().await {
        let uploads = Uploads::new(backend.store.clone());
        let options = PutOptions {
            preconditions: Preconditions::must_not_exist(),
            ..Default::default()
        };
        let upload = uploads.begin(&id("o"), options.clone()).await.unwrap();
        backend.put("o", "meanwhile").await;
        let late = send(&uploads, upload, 0, Some(1), "x").await.unwrap_err();
        assert_eq!(late.code(), ErrorCode::PreconditionFailed);
        assert_eq!(backend.text("o").await, "meanwhile");
        assert!(
            uploads.status(upload).await.is_err(),
            "a failed upload is over"
        );
        assert!(
            uploads.begin(&id("o"), options).await.is_err(),
            "known at the start"
        );

        let upload = uploads
            .begin(&id("o"), PutOptions::default())
            .await
            .unwrap();
        let expected = ExpectedContent {
            crc32c: Some(Crc32c(7)),
            ..Default::default()
        };
        let content = stream::iter([Ok::<_, Error>(Bytes::from_static(b"x"))]);
        let chunk = Chunk {
            offset: 0,
            total: Some(1),
            is_last: false,
            expected,
            content,
        };
        let wrong = uploads.append(upload, chunk).await.unwrap_err();
        assert_eq!(wrong.code(), ErrorCode::ContentMismatch);
        assert_eq!(backend.text("o").await, "meanwhile");
    }
}
