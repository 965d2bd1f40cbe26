//! The backends that every test runs on, and what tests ask of them.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use dataflume_storage::{
    ComposeSource, Error, ListPage, ListRequest, ObjectId, ObjectMetadata, Preconditions,
    PutOptions, ReadOptions, Store,
};
use tempfile::TempDir;

pub(crate) const BUCKET: &str = "test-bucket";

/// A location that further backends can be tested at, for instance `s3://bucket/prefix`.
const EXTRA_LOCATION: &str = "DATAFLUME_TEST_STORAGE";

/// A store with an empty bucket, and the folder it rests in, if any.
pub(crate) struct Backend {
    pub(crate) store: Store,
    pub(crate) folder: Option<TempDir>,
}

/// Memory, a local folder, and the location that the environment names.
pub(crate) async fn backends() -> Vec<Backend> {
    let folder = tempfile::tempdir().unwrap();
    let mut backends = vec![
        Backend {
            store: Store::memory(),
            folder: None,
        },
        Backend {
            store: Store::open(folder.path().to_str().unwrap()).unwrap(),
            folder: Some(folder),
        },
    ];
    if let Ok(location) = std::env::var(EXTRA_LOCATION) {
        let unique = tempfile::tempdir().unwrap();
        let unique = unique.path().file_name().unwrap().to_string_lossy();
        let location = format!("{location}/{}", unique.trim_start_matches('.'));
        backends.push(Backend {
            store: Store::open(&location).unwrap(),
            folder: None,
        });
    }
    for backend in &backends {
        backend
            .store
            .create_bucket(BUCKET, Default::default())
            .await
            .unwrap();
    }
    backends
}

pub(crate) fn id(name: &str) -> ObjectId {
    ObjectId::new(BUCKET, name)
}

pub(crate) fn part(name: &str) -> ComposeSource {
    ComposeSource {
        name: name.to_owned(),
        generation: None,
        preconditions: Preconditions::default(),
    }
}

impl Backend {
    pub(crate) async fn put(&self, name: &str, content: &str) -> ObjectMetadata {
        self.put_if(name, content, Preconditions::default())
            .await
            .unwrap()
    }

    pub(crate) async fn put_if(
        &self,
        name: &str,
        content: &str,
        preconditions: Preconditions,
    ) -> Result<ObjectMetadata, Error> {
        let options = PutOptions {
            preconditions,
            ..PutOptions::default()
        };
        let content = Bytes::copy_from_slice(content.as_bytes());
        self.store.put(&id(name), content, options).await
    }

    pub(crate) async fn text(&self, name: &str) -> String {
        self.read(name, ReadOptions::default()).await.unwrap()
    }

    pub(crate) async fn read(&self, name: &str, options: ReadOptions) -> Result<String, Error> {
        let content = self.store.get(&id(name), options).await?.bytes().await?;
        Ok(String::from_utf8(content.to_vec()).unwrap())
    }

    pub(crate) async fn stat(&self, name: &str) -> Result<ObjectMetadata, Error> {
        self.store.stat(&id(name), ReadOptions::default()).await
    }

    pub(crate) async fn list(&self, request: &ListRequest) -> ListPage {
        self.store.list(BUCKET, request).await.unwrap()
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        names(&self.list(&ListRequest::default()).await)
    }

    /// Every file below the folder, relative to it; nothing for backends that have none.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.folder
            .as_ref()
            .map(|folder| files(folder.path()))
            .unwrap_or_default()
    }
}

pub(crate) fn names(page: &ListPage) -> Vec<String> {
    page.objects
        .iter()
        .map(|object| object.id.name.clone())
        .collect()
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name();
    entries
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(folder).unwrap().to_owned())
        .collect()
}

/// Waits until what a dropped writer left is removed in the background.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("not in time: {what}"));
}
