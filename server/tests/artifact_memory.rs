//! A large artifact passes in bounded memory. Alone in its binary: it looks at the whole process.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "artifacts/sdk.rs"]
mod sdk;

use std::sync::LazyLock;

use bytes::Bytes;
use dataflume_harness::artifacts::ArtifactSource;
use dataflume_storage::Store;
use futures::TryStreamExt;
use sdk::{Sdk, World, file, pipeline};

const ARTIFACT_BYTES: usize = 100 << 20;
const BOUND_KIB: u64 = 60 << 10;

/// The SDK's copy, made before the measurement starts.
static CONTENT: LazyLock<Bytes> = LazyLock::new(|| vec![7; ARTIFACT_BYTES].into());

/// The most memory that the process ever had resident.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.unwrap().trim();
    line.trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_hundred_megabytes_pass_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Store::open_folder(folder.path()).unwrap()).await;
    let mut sdk = Sdk::default();
    sdk.files.insert("/big".to_owned(), CONTENT.clone());
    let before = peak_kib();
    let pipeline = pipeline(&[("one", vec![file("/big", "big")])]);
    world.stage("job", &pipeline, &mut sdk).await.unwrap();
    let source = world.staging.take("job").unwrap().source("one");
    let chunks = source.open(source.information()[0].clone()).await.unwrap();
    let read = chunks.try_fold(0, |sum, chunk| async move { Ok(sum + chunk.len()) });
    assert_eq!(read.await.unwrap(), ARTIFACT_BYTES);
    let grown = peak_kib() - before;
    assert!(grown < BOUND_KIB, "the process grew by {grown} KiB");
}
