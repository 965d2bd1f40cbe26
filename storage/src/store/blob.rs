//! Writing immutable bytes in bounded memory.

use std::sync::Arc;

use bytes::Bytes;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::warn;

use super::Inner;
use crate::error::{Error, Result};
use crate::hash::Hasher;
use crate::layout;
use crate::metadata::{Crc32c, Md5};

/// Content is sent on in parts of this size; less than this goes in one piece.
/// Cloud backends ask for 5 MiB at least.
const PART_BYTES: usize = 8 << 20;

/// Parts on their way to the backend, besides the one that fills.
const PARTS_IN_FLIGHT: usize = 2;

/// Bytes that become a blob of a bucket, which no one sees before a record refers to it.
///
/// Dropping a writer, or cancelling any of its futures and dropping it then, leaves nothing behind.
pub(crate) struct BlobWriter {
    inner: Arc<Inner>,
    bucket: String,
    id: String,
    hasher: Hasher,
    filling: Vec<Bytes>,
    filling_bytes: usize,
    upload: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<object_store::Result<()>>,
    /// A part did not get there: what was taken has a hole.
    broken: bool,
}

/// A complete blob that no record refers to yet: removed unless it is kept.
pub(crate) struct UnusedBlob {
    inner: Arc<Inner>,
    bucket: String,
    id: Option<String>,
}

/// What a writer knows of the bytes that it wrote.
pub(crate) struct Written {
    pub(crate) blob: UnusedBlob,
    pub(crate) size: u64,
    pub(crate) crc32c: Crc32c,
    pub(crate) md5: Md5,
}

impl BlobWriter {
    pub(crate) fn new(inner: Arc<Inner>, bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            id: inner.new_blob_id(),
            inner,
            hasher: Hasher::default(),
            filling: Vec::new(),
            filling_bytes: 0,
            upload: None,
            parts: JoinSet::new(),
            broken: false,
        }
    }

    /// Bytes taken so far.
    pub(crate) fn size(&self) -> u64 {
        self.hasher.size()
    }

    /// Takes `data`, or nothing of it if this fails or is cancelled.
    pub(crate) async fn write(&mut self, data: Bytes) -> Result<()> {
        if self.filling_bytes + data.len() >= PART_BYTES {
            self.start_upload().await?;
            self.wait_for_parts(PARTS_IN_FLIGHT - 1).await?;
        }
        // No await from here on: a cancelled caller can tell what was taken from `size`.
        self.hasher.update(&data);
        self.fill(data);
        Ok(())
    }

    async fn start_upload(&mut self) -> Result<()> {
        if self.upload.is_none() {
            let path = layout::blob(&self.bucket, &self.id);
            self.upload = Some(self.inner.backend.put_multipart(&path).await?);
        }
        Ok(())
    }

    fn fill(&mut self, mut data: Bytes) {
        while self.filling_bytes + data.len() >= PART_BYTES {
            let rest = data.split_off(PART_BYTES - self.filling_bytes);
            self.push(data);
            self.send_part();
            data = rest;
        }
        self.push(data);
    }

    fn push(&mut self, data: Bytes) {
        self.filling_bytes += data.len();
        if !data.is_empty() {
            self.filling.push(data);
        }
    }

    fn send_part(&mut self) {
        if let Some(upload) = &mut self.upload {
            let part = upload.put_part(PutPayload::from_iter(self.filling.drain(..)));
            self.filling_bytes = 0;
            self.parts.spawn(part);
        }
    }

    async fn wait_for_parts(&mut self, allowed: usize) -> Result<()> {
        if self.broken {
            return Err(Error::backend("a part of the content was not stored"));
        }
        while self.parts.len() > allowed {
            let sent = match self.parts.join_next().await {
                Some(Ok(sent)) => sent.map_err(Error::from),
                Some(Err(lost)) => Err(Error::backend(lost)),
                None => break,
            };
            self.broken = sent.is_err();
            sent?;
        }
        Ok(())
    }

    /// Completes the blob.
    pub(crate) async fn finish(mut self) -> Result<Written> {
        if self.upload.is_some() {
            if self.filling_bytes > 0 {
                self.send_part();
            }
            self.wait_for_parts(0).await?;
        }
        // From here on the blob may exist: whoever drops this future has it removed.
        let blob = UnusedBlob {
            inner: Arc::clone(&self.inner),
            bucket: self.bucket.clone(),
            id: Some(self.id.clone()),
        };
        match &mut self.upload {
            Some(upload) => {
                upload.complete().await?;
                self.upload = None;
            }
            None => {
                let path = layout::blob(&self.bucket, &self.id);
                let content = PutPayload::from_iter(self.filling.drain(..));
                self.inner.backend.put(&path, content).await?;
            }
        }
        let (size, crc32c, md5) = std::mem::take(&mut self.hasher).finish();
        Ok(Written {
            blob,
            size,
            crc32c,
            md5,
        })
    }

    /// Ends the writer and removes what it sent.
    pub(crate) async fn abort(mut self) {
        if let Some(upload) = self.upload.take() {
            abort_upload(upload, std::mem::take(&mut self.parts)).await;
        }
    }
}

async fn abort_upload(
    mut upload: Box<dyn MultipartUpload>,
    mut parts: JoinSet<object_store::Result<()>>,
) {
    parts.shutdown().await;
    if let Err(error) = upload.abort().await {
        warn!(%error, "an interrupted upload could not be removed");
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.upload.take(), Handle::try_current()) {
            runtime.spawn(abort_upload(upload, std::mem::take(&mut self.parts)));
        }
    }
}

impl UnusedBlob {
    /// Takes charge of the blob `id`, which may not exist yet.
    pub(crate) fn new(inner: &Arc<Inner>, bucket: &str, id: String) -> Self {
        Self {
            inner: Arc::clone(inner),
            bucket: bucket.to_owned(),
            id: Some(id),
        }
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(crate) fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }

    /// A record refers to the blob now.
    pub(crate) fn keep(mut self) {
        self.id = None;
    }

    pub(crate) async fn remove(mut self) {
        if let Some(id) = self.id.take() {
            self.inner.remove_blob(&self.bucket, &id).await;
        }
    }
}

impl Drop for UnusedBlob {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), Handle::try_current()) {
            let inner = Arc::clone(&self.inner);
            let bucket = std::mem::take(&mut self.bucket);
            runtime.spawn(async move { inner.remove_blob(&bucket, &id).await });
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use object_store::{PutResult, UploadPart};

    use super::*;
    use crate::Store;

    /// Its second part does not get there.
    #[derive(Debug, Default)]
    struct Leaky(u32);

    #[async_trait::async_trait]
    impl MultipartUpload for Leaky {
        fn put_part(&mut self, _: PutPayload) -> UploadPart {
            self.0 += 1;
            let sent = match self.0 {
                2 => Err(object_store::Error::NotImplemented {
                    operation: "the second part".to_owned(),
                    implementer: "a test".to_owned(),
                }),
                _ => Ok(()),
            };
            async move { sent }.boxed()
        }

        async fn complete(&mut self) -> object_store::Result<PutResult> {
            panic!("a part is missing")
        }

        async fn abort(&mut self) -> object_store::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_part_that_was_lost_is_not_forgotten() {
        let mut writer = BlobWriter::new(Store::memory().inner, "bucket");
        writer.upload = Some(Box::new(Leaky::default()));
        let part = Bytes::from(vec![0; PART_BYTES]);
        let mut failures = 0;
        for _ in 0..5 {
            failures += u32::from(writer.write(part.clone()).await.is_err());
        }
        assert!(failures > 1, "{failures}");
        assert!(writer.finish().await.is_err());
    }
}
