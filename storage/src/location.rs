//! Which backend a location names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::error::{Error, Result};

/// Variables of the environment that carry credentials and options of cloud backends.
const CLOUD_VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// A backend, and the folder it keeps if it is a local one.
pub(crate) struct Location {
    pub(crate) backend: Arc<dyn ObjectStore>,
    pub(crate) folder: Option<PathBuf>,
}

impl Location {
    pub(crate) fn memory() -> Self {
        Self {
            backend: Arc::new(InMemory::new()),
            folder: None,
        }
    }

    /// A folder, made if it does not exist.
    pub(crate) fn folder(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).map_err(Error::backend)?;
        Ok(Self {
            backend: Arc::new(LocalFileSystem::new_with_prefix(path)?),
            folder: Some(path.to_owned()),
        })
    }

    /// A path, or a URL with one of the schemes `file`, `memory`, `gs`, `s3`, `az` and `abfs`.
    pub(crate) fn parse(location: &str) -> Result<Self> {
        let invalid = |reason: String| Error::InvalidLocation {
            location: location.to_owned(),
            reason,
        };
        if location.is_empty() {
            return Err(invalid("it is empty".to_owned()));
        }
        if !location.contains("://") && location != "memory:" {
            return Self::folder(Path::new(location));
        }
        let url = Url::parse(location).map_err(|error| invalid(error.to_string()))?;
        match url.scheme() {
            "file" => {
                let path = url
                    .to_file_path()
                    .map_err(|()| invalid("it names no local path".to_owned()))?;
                Self::folder(&path)
            }
            "memory" | "gs" | "s3" | "s3a" | "az" | "adl" | "azure" | "abfs" | "abfss" => {
                Self::cloud(&url).map_err(|error| invalid(error.to_string()))
            }
            scheme => Err(invalid(format!(
                "the scheme {scheme:?} is none of file, memory, gs, s3, az, abfs"
            ))),
        }
    }

    fn cloud(url: &Url) -> object_store::Result<Self> {
        // The HTTP client is built without a provider of its own. An error means that the process
        // has chosen one already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = std::env::vars().filter(|(name, _)| {
            CLOUD_VARIABLES
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        let (backend, prefix) = object_store::parse_url_opts(url, options)?;
        Ok(Self {
            backend: if prefix.as_ref().is_empty() {
                Arc::from(backend)
            } else {
                Arc::new(PrefixStore::new(backend, prefix))
            },
            folder: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(location: &str) -> Result<String> {
        Location::parse(location).map(|location| location.backend.to_string())
    }

    #[test]
    fn a_location_chooses_its_backend() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/for it");
        let url = Url::from_directory_path(&path).unwrap();
        for (location, backend) in [
            (path.to_str().unwrap(), "LocalFileSystem"),
            (url.as_str(), "LocalFileSystem"),
            ("memory:", "InMemory"),
            ("memory:///", "InMemory"),
            ("gs://bucket/some/prefix", "(some/prefix)"),
            ("gs://bucket", "GoogleCloudStorage(bucket)"),
            ("s3://bucket", "AmazonS3(bucket)"),
            (
                "abfss://container@account.dfs.core.windows.net",
                "container: container",
            ),
        ] {
            let found = opened(location).unwrap();
            assert!(found.contains(backend), "{location}: {found}");
        }
        assert!(path.is_dir());
    }

    #[test]
    fn what_is_no_location_is_explained() {
        for (location, reason) in [
            ("", "empty"),
            ("ftp://host/x", "none of file"),
            ("file://host/x", "no local path"),
            ("gs://", ""),
        ] {
            let error = opened(location).unwrap_err();
            let explained = matches!(&error, Error::InvalidLocation { reason: found, .. } if found.contains(reason));
            assert!(explained, "{location:?}: {error}");
        }
    }
}
