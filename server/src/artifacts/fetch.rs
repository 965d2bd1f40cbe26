//! Artifacts that the runner fetches itself: by URL, from a bucket, from a Maven repository.

use std::sync::OnceLock;

use bytes::Bytes;
use dataflume_proto::pipeline::{MavenPayload, PyPiPayload};
use dataflume_proto::urn::types;
use dataflume_storage::{ObjectId, ReadOptions, StagedArtifact, Staging, StagingWriter};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio_util::io::ReaderStream;
use url::Url;

use super::error::ArtifactError;
use crate::causes::with_causes;

const MAVEN_CENTRAL: &str = "https://repo.maven.apache.org/maven2";

/// Local files are read in pieces of this size.
const FILE_CHUNK_BYTES: usize = 1 << 20;

type Content = BoxStream<'static, Result<Bytes, String>>;

/// Fetches content by URL: `file`, `http`, `https`, and `gs` for what is in the emulator's buckets.
pub(super) struct Fetcher<'a> {
    staging: &'a Staging,
}

impl<'a> Fetcher<'a> {
    pub(super) fn new(staging: &'a Staging) -> Self {
        Self { staging }
    }

    /// Fetches into `writer`. The outer result is of the fetch, the inner one of the bucket.
    pub(super) async fn fetch(
        &self,
        url: &str,
        mut writer: StagingWriter,
    ) -> Result<dataflume_storage::Result<StagedArtifact>, ArtifactError> {
        let failed = |reason: String| ArtifactError::Fetch {
            url: url.to_owned(),
            reason,
        };
        let mut content = self.open(url).await.map_err(failed)?;
        loop {
            match content.try_next().await {
                Ok(Some(chunk)) => {
                    if let Err(error) = writer.write(chunk).await {
                        return Ok(Err(error));
                    }
                }
                Ok(None) => return Ok(writer.finish().await),
                Err(reason) => {
                    writer.abort().await;
                    return Err(failed(reason));
                }
            }
        }
    }

    async fn open(&self, url: &str) -> Result<Content, String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        match parsed.scheme() {
            "file" => local(&parsed).await,
            "http" | "https" => remote(parsed).await,
            "gs" => self.object(url).await,
            scheme => Err(format!(
                "the scheme {scheme:?} is none of file, http, https and gs"
            )),
        }
    }

    async fn object(&self, url: &str) -> Result<Content, String> {
        let id = ObjectId::from_gs_url(url).ok_or("it names no object")?;
        let found = self.staging.store().get(&id, ReadOptions::default()).await;
        let reader = found.map_err(|error| error.to_string())?;
        let chunks = reader.into_stream().map_err(|error| error.to_string());
        Ok(chunks.boxed())
    }
}

async fn local(url: &Url) -> Result<Content, String> {
    let path = url.to_file_path().map_err(|()| "it names no local path")?;
    let file = tokio::fs::File::open(&path)
        .await
        .map_err(|error| error.to_string())?;
    let chunks = ReaderStream::with_capacity(file, FILE_CHUNK_BYTES);
    Ok(chunks.map_err(|error| error.to_string()).boxed())
}

async fn remote(url: Url) -> Result<Content, String> {
    let answer = http_client()?.get(url).send().await;
    let answer = answer.and_then(reqwest::Response::error_for_status);
    let answer = answer.map_err(|error| with_causes(&error))?;
    Ok(answer
        .bytes_stream()
        .map_err(|error| with_causes(&error))
        .boxed())
}

fn http_client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: OnceLock<Result<reqwest::Client, String>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        // An error means that the process has chosen a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().build();
        client.map_err(|error| with_causes(&error))
    });
    client.as_ref().map_err(Clone::clone)
}

/// A requirements file of one line.
pub(super) fn pypi_requirement(package: &PyPiPayload) -> Result<String, ArtifactError> {
    let (id, version) = (package.artifact_id.trim(), package.version.trim());
    let legal = |text: &str, others: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    // A line of a requirements file can be an option, too: only a name may become one here.
    if id.is_empty()
        || !legal(id, "._-[],")
        || id.starts_with('-')
        || !legal(version, ".+!-_*<>=~, ")
    {
        return Err(ArtifactError::InvalidPayload {
            urn: types::PYPI.to_owned(),
            reason: format!("{id:?} {version:?} is no package and version"),
        });
    }
    Ok(match version.chars().next() {
        None => format!("{id}\n"),
        Some(first) if first.is_ascii_alphanumeric() => format!("{id}=={version}\n"),
        Some(_) => format!("{id}{version}\n"),
    })
}

/// The coordinates of an artifact in a Maven repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MavenArtifact {
    repository: String,
    group: String,
    artifact: String,
    extension: String,
    classifier: Option<String>,
    version: String,
}

impl MavenArtifact {
    /// Reads `group:artifact:version`, `group:artifact:extension:version` or
    /// `group:artifact:extension:classifier:version`.
    pub(super) fn parse(payload: &MavenPayload) -> Result<Self, ArtifactError> {
        let parts: Vec<&str> = payload.artifact.split(':').collect();
        let (group, artifact, extension, classifier, version) = match parts.as_slice() {
            [group, artifact, version] => (group, artifact, "jar", None, version),
            [group, artifact, extension, version] => (group, artifact, *extension, None, version),
            [group, artifact, extension, classifier, version] => (
                group,
                artifact,
                *extension,
                Some((*classifier).to_owned()),
                version,
            ),
            _ => return Err(Self::invalid(payload)),
        };
        let legal = |part: &&str| {
            let characters = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
            !part.is_empty() && !part.contains("..") && part.chars().all(characters)
        };
        if !parts.iter().all(legal) {
            return Err(Self::invalid(payload));
        }
        let repository = match payload.repository_url.trim_end_matches('/') {
            "" => MAVEN_CENTRAL,
            given => given,
        };
        Ok(Self {
            repository: repository.to_owned(),
            group: (*group).to_owned(),
            artifact: (*artifact).to_owned(),
            extension: extension.to_owned(),
            classifier,
            version: (*version).to_owned(),
        })
    }

    fn invalid(payload: &MavenPayload) -> ArtifactError {
        ArtifactError::InvalidPayload {
            urn: types::MAVEN.to_owned(),
            reason: format!("{:?} are no Maven coordinates", payload.artifact),
        }
    }

    pub(super) fn file_name(&self) -> String {
        let classifier = self.classifier.iter().map(|text| format!("-{text}"));
        format!(
            "{}-{}{}.{}",
            self.artifact,
            self.version,
            classifier.collect::<String>(),
            self.extension
        )
    }

    pub(super) fn url(&self) -> String {
        format!(
            "{}/{}/{}/{}/{}",
            self.repository,
            self.group.replace('.', "/"),
            self.artifact,
            self.version,
            self.file_name()
        )
    }
}
