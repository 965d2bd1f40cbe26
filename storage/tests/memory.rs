//! Content passes through in bounded memory. Alone in its binary: it looks at the whole process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![cfg(target_os = "linux")]

mod common;

use bytes::Bytes;
use common::{BUCKET, id};
use dataflume_storage::{Error, PutOptions, ReadOptions, Staging, Store};
use futures::{StreamExt, TryStreamExt, stream};

const CHUNK_BYTES: usize = 1 << 20;
const CHUNKS: usize = 300;
const BOUND_KIB: u64 = 100 << 10;

/// The most memory that the process ever had resident.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn three_hundred_megabytes_pass_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_folder(folder.path()).unwrap();
    store.ensure_bucket(BUCKET).await.unwrap();
    let before = peak_kib();

    let chunks =
        (0..CHUNKS).map(|index| Ok::<_, Error>(Bytes::from(vec![index as u8; CHUNK_BYTES])));
    let written = store
        .put_stream(&id("o"), stream::iter(chunks), PutOptions::default())
        .await
        .unwrap();
    assert_eq!(written.size, (CHUNKS * CHUNK_BYTES) as u64);

    let staging = Staging::open(store.clone(), "staging").await.unwrap();
    let session = staging.session();
    let mut writer = session.writer(None);
    let reader = store.get(&id("o"), ReadOptions::default()).await.unwrap();
    let mut content = reader.into_stream();
    while let Some(chunk) = content.try_next().await.unwrap() {
        writer.write(chunk).await.unwrap();
    }
    let staged = writer.finish().await.unwrap();
    let read = staging.read(&staged).await.unwrap().into_stream();
    let length = read
        .fold(0, |sum, chunk| async move { sum + chunk.unwrap().len() })
        .await;
    assert_eq!(length, CHUNKS * CHUNK_BYTES);

    let grown = peak_kib() - before;
    assert!(grown < BOUND_KIB, "the process grew by {grown} KiB");
}
