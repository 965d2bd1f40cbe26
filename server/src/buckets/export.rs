//! Writing buckets to a folder.

use std::io;
use std::path::{Path, PathBuf};

use dataflume_storage::{Error, ListRequest, ObjectMetadata, ReadOptions};
use futures::StreamExt;
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::Buckets;

/// The longest name of a file that systems take.
const MAX_FILE_NAME_BYTES: usize = 255;

/// Why buckets could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A file or folder can't be written.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A bucket or an object can't be read.
    #[error("{name}: {source}")]
    Storage {
        /// Which.
        name: String,
        /// What the storage said.
        source: Error,
    },
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// Objects that are files now.
    pub objects: usize,
    /// Objects that can't be files, and why.
    pub left_out: Vec<(String, &'static str)>,
}

impl Buckets {
    /// Writes each bucket but `except` as a folder in `folder`, and each object as a file below it, in
    /// the form that [`Buckets::seed`] reads. Files that are there already are replaced; others stay.
    /// No link below the folder is followed.
    ///
    /// # Errors
    /// At the first thing that can't be read or written.
    pub async fn export(&self, folder: &Path, except: &str) -> Result<Exported, ExportError> {
        let failed = |name: &str, source| ExportError::Storage {
            name: name.to_owned(),
            source,
        };
        let mut exported = Exported::default();
        let buckets = self.store.buckets().await;
        for bucket in buckets.map_err(|source| failed("buckets", source))? {
            if bucket.name == except {
                continue;
            }
            let root = folder.join(&bucket.name);
            fs::create_dir_all(&root)
                .await
                .map_err(|source| wrong(&root, source))?;
            let mut request = ListRequest::default();
            loop {
                let page = self.store.list(&bucket.name, &request).await;
                let page = page.map_err(|source| failed(&bucket.name, source))?;
                for object in &page.objects {
                    match self.export_object(&root, object).await? {
                        None => exported.objects += 1,
                        Some(reason) => {
                            let name = format!("gs://{}/{}", bucket.name, object.id.name);
                            exported.left_out.push((name, reason));
                        }
                    }
                }
                match page.next_page_token {
                    Some(token) => request.page_token = Some(token),
                    None => break,
                }
            }
        }
        Ok(exported)
    }

    /// Gives the reason if the object can't be a file.
    async fn export_object(
        &self,
        root: &Path,
        object: &ObjectMetadata,
    ) -> Result<Option<&'static str>, ExportError> {
        let Some((folders, file)) = path_of(&object.id.name) else {
            return Ok(Some("its name is no path of a file"));
        };
        let mut folder = root.to_owned();
        for part in folders {
            folder.push(part);
            if !make_folder(&folder).await? {
                return Ok(Some(
                    "where its folder would be is another object or a link",
                ));
            }
        }
        if file.is_empty() {
            // How clients mark an empty folder.
            let empty = object.size == 0;
            return Ok((!empty).then_some("it has content and the name of a folder"));
        }
        let path = folder.join(file);
        let there = fs::symlink_metadata(&path).await;
        if there.is_ok_and(|there| !there.is_file()) {
            return Ok(Some("where it would be is a folder or a link"));
        }
        self.write_file(&path, object).await?;
        Ok(None)
    }

    async fn write_file(&self, path: &Path, object: &ObjectMetadata) -> Result<(), ExportError> {
        let failed = |source| ExportError::Storage {
            name: object.id.name.clone(),
            source,
        };
        let reader = self.store.get(&object.id, ReadOptions::default()).await;
        let mut content = reader.map_err(failed)?.into_stream();
        let mut file = fs::File::create(path)
            .await
            .map_err(|source| wrong(path, source))?;
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(failed)?;
            file.write_all(&piece)
                .await
                .map_err(|source| wrong(path, source))?;
        }
        file.flush().await.map_err(|source| wrong(path, source))
    }
}

fn wrong(path: &Path, source: io::Error) -> ExportError {
    ExportError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The folders of an object's name and the name of its file, which is empty for a name that ends with
/// a slash; `None` for what leads elsewhere or can't be a path.
fn path_of(name: &str) -> Option<(Vec<&str>, &str)> {
    let mut parts: Vec<&str> = name.split('/').collect();
    let file = parts.pop()?;
    let is_plain = |part: &str| {
        !["", ".", ".."].contains(&part)
            && part.len() <= MAX_FILE_NAME_BYTES
            && !part.contains(['\0', '\\'])
    };
    let folders_are_plain = parts.iter().all(|part| is_plain(part));
    (folders_are_plain && (is_plain(file) || (file.is_empty() && !parts.is_empty())))
        .then_some((parts, file))
}

/// Makes the folder if it is not there; false if something else is.
async fn make_folder(path: &Path) -> Result<bool, ExportError> {
    match fs::create_dir(path).await {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = fs::symlink_metadata(path).await;
            Ok(there.map_err(|source| wrong(path, source))?.is_dir())
        }
        Err(error) => Err(wrong(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use dataflume_storage::{ObjectId, PutOptions, Store};

    use super::*;

    async fn buckets(objects: &[(&str, &'static str)]) -> Buckets {
        let buckets = Buckets::new(Store::memory(), true);
        for (name, content) in objects {
            let id = ObjectId::from_gs_url(name).unwrap();
            buckets.use_bucket(&id.bucket).await.unwrap();
            let put = buckets.store().put(&id, *content, PutOptions::default());
            put.await.unwrap();
        }
        buckets
    }

    #[tokio::test]
    async fn what_is_exported_can_be_seeded() {
        let folder = tempfile::tempdir().unwrap();
        let full = buckets(&[
            ("gs://first/a.txt", "one"),
            ("gs://first/deep/er/b", "two"),
            ("gs://first/empty/", ""),
            ("gs://second/c", "three"),
            ("gs://staging/d", "not wanted"),
        ])
        .await;
        let exported = full.export(folder.path(), "staging").await.unwrap();
        assert_eq!((exported.objects, exported.left_out.len()), (4, 0));
        assert!(folder.path().join("first/empty").is_dir());
        assert!(!folder.path().join("staging").exists());
        let again = Buckets::new(Store::memory(), false);
        assert_eq!(again.seed(folder.path()).await.unwrap(), 3);
        let content = again.read("gs://first/deep/er/b").await.unwrap();
        assert_eq!(content.bytes().await.unwrap(), "two");
        // A second time, files are replaced.
        full.export(folder.path(), "staging").await.unwrap();
    }

    #[tokio::test]
    async fn nothing_is_written_outside() {
        let folder = tempfile::tempdir().unwrap();
        let (root, elsewhere) = (folder.path().join("out"), folder.path().join("elsewhere"));
        std::fs::create_dir_all(root.join("bucket")).unwrap();
        std::fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, root.join("bucket/link")).unwrap();
        std::os::unix::fs::symlink(elsewhere.join("x"), root.join("bucket/file")).unwrap();
        let names = [
            "gs://bucket/../../x",
            "gs://bucket//x",
            "gs://bucket/./x",
            "gs://bucket/link/x",
            "gs://bucket/file",
        ];
        let full = buckets(&names.map(|name| (name, "bad"))).await;
        let exported = full.export(&root, "").await.unwrap();
        assert_eq!(exported.objects, 0);
        let mut left_out: Vec<_> = exported
            .left_out
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        left_out.sort_unstable();
        let mut expected = names.to_vec();
        expected.sort_unstable();
        assert_eq!(left_out, expected);
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[tokio::test]
    async fn an_object_that_others_are_below_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let full = buckets(&[("gs://bucket/a", "file"), ("gs://bucket/a/b", "below")]).await;
        let exported = full.export(folder.path(), "").await.unwrap();
        assert_eq!(exported.objects, 1);
        assert_eq!(exported.left_out[0].0, "gs://bucket/a/b");
    }
}
