//! Filling buckets from a folder.

use std::io;
use std::path::{Path, PathBuf};

use dataflume_storage::{Error, ObjectId, Preconditions, PutOptions};
use tokio::fs::{self, File};
use tokio_util::io::ReaderStream;

use super::Buckets;

/// Files are read in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;

/// Why buckets could not be filled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// A file or folder can't be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A name that can't be that of a bucket or an object.
    #[error("{path}: its name is not UTF-8")]
    Name {
        /// Whose.
        path: PathBuf,
    },
    /// The bucket or the object can't be made.
    #[error("{path}: {source}")]
    Storage {
        /// Out of what.
        path: PathBuf,
        /// What the storage said.
        source: Error,
    },
}

impl Buckets {
    /// Makes a bucket of each folder in `folder`, with an object for each file below it. What exists
    /// already stays as it is, so that a server that starts again finds what it had. Links are not
    /// followed. Gives the number of objects that were made.
    ///
    /// # Errors
    /// At the first thing that can't be read or made.
    pub async fn seed(&self, folder: &Path) -> Result<usize, SeedError> {
        let mut made = 0;
        for (path, is_folder) in entries(folder).await? {
            if is_folder {
                made += self.seed_bucket(&path).await?;
            }
        }
        Ok(made)
    }

    async fn seed_bucket(&self, folder: &Path) -> Result<usize, SeedError> {
        let bucket = name(folder)?;
        let failed = |source| SeedError::Storage {
            path: folder.to_owned(),
            source,
        };
        self.store.ensure_bucket(&bucket).await.map_err(failed)?;
        let mut made = 0;
        let mut folders = vec![(folder.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for (path, is_folder) in entries(&folder).await? {
                let object = format!("{prefix}{}", name(&path)?);
                if is_folder {
                    folders.push((path, object + "/"));
                } else if self
                    .seed_object(&path, ObjectId::new(&bucket, object))
                    .await?
                {
                    made += 1;
                }
            }
        }
        Ok(made)
    }

    /// False if the object exists already.
    async fn seed_object(&self, path: &Path, id: ObjectId) -> Result<bool, SeedError> {
        let file = File::open(path).await.map_err(|source| SeedError::Io {
            path: path.to_owned(),
            source,
        })?;
        let options = PutOptions {
            preconditions: Preconditions::must_not_exist(),
            ..PutOptions::default()
        };
        let content = ReaderStream::with_capacity(file, PIECE_BYTES);
        match self.store.put_stream(&id, content, options).await {
            Ok(_) => Ok(true),
            Err(Error::PreconditionFailed { .. }) => Ok(false),
            Err(source) => Err(SeedError::Storage {
                path: path.to_owned(),
                source,
            }),
        }
    }
}

/// The files and folders in a folder, and which of them are folders.
async fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>, SeedError> {
    let failed = |source| SeedError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    let mut entries = fs::read_dir(folder).await.map_err(failed)?;
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let kind = entry.file_type().await.map_err(failed)?;
        if kind.is_dir() || kind.is_file() {
            found.push((entry.path(), kind.is_dir()));
        }
    }
    found.sort();
    Ok(found)
}

fn name(path: &Path) -> Result<String, SeedError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let wrong = || SeedError::Name {
        path: path.to_owned(),
    };
    name.map(str::to_owned).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use dataflume_storage::Store;

    use super::*;

    #[tokio::test]
    async fn folders_become_buckets() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("first/a.txt", "one");
        write("first/deep/er/b", "two");
        write("second/c", "three");
        write("no-bucket", "a file among the folders");
        let buckets = Buckets::new(Store::memory(), false);
        assert_eq!(buckets.seed(folder.path()).await.unwrap(), 3);
        let read = async |location: &str| {
            let content = buckets.read(location).await.unwrap().bytes().await;
            String::from_utf8(content.unwrap().to_vec()).unwrap()
        };
        assert_eq!(read("gs://first/deep/er/b").await, "two");
        write("second/c", "changed");
        write("second/d", "new");
        assert_eq!(buckets.seed(folder.path()).await.unwrap(), 1);
        assert_eq!(read("gs://second/c").await, "three");
        assert_eq!(read("gs://second/d").await, "new");
    }

    #[tokio::test]
    async fn what_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("NotABucket")).unwrap();
        let buckets = Buckets::new(Store::memory(), true);
        let error = buckets.seed(folder.path()).await.unwrap_err().to_string();
        assert!(error.contains("NotABucket"), "{error}");
        let missing = folder.path().join("missing");
        assert!(buckets.seed(&missing).await.is_err());
    }
}
