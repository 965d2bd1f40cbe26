//! Artifacts of every type end up as files in the bucket.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "artifacts/sdk.rs"]
mod sdk;

use axum::Router;
use axum::routing::get;
use dataflume_proto::pipeline::{
    ArtifactInformation, ArtifactStagingToRolePayload, ArtifactUrlPayload, EmbeddedFilePayload,
    MavenPayload, PyPiPayload,
};
use dataflume_proto::urn::{roles, types};
use dataflume_storage::{ObjectId, PutOptions, Sha256};
use prost::Message;
use sdk::{Sdk, World, artifact, file, pipeline, worker_reads};
use tonic::{Code, Status};

/// Stages one artifact; gives what its worker reads, and how it is described to the worker.
async fn staged(
    world: &World,
    artifact: ArtifactInformation,
) -> Result<(String, ArtifactInformation), Status> {
    let mut sdk = Sdk::with(&[("/home/me/x.jar", "of the SDK")]);
    let pipeline = pipeline(&[("one", vec![artifact])]);
    world.staging.forget("job");
    world.stage("job", &pipeline, &mut sdk).await?;
    let staged = world.staging.take("job").unwrap();
    let source = staged.source("one");
    let information = source.information()[0].clone();
    assert_eq!(information.type_urn, types::FILE);
    Ok((worker_reads(&source, &information).await?, information))
}

fn url(url: &str, sha256: &str) -> ArtifactInformation {
    let payload = ArtifactUrlPayload {
        url: url.to_owned(),
        sha256: sha256.to_owned(),
    };
    artifact(types::URL, &payload, "staged.txt")
}

fn staged_name(artifact: &ArtifactInformation) -> String {
    assert_eq!(artifact.role_urn, roles::STAGING_TO);
    let role = ArtifactStagingToRolePayload::decode(artifact.role_payload.clone());
    role.unwrap().staged_name
}

/// A web server with one jar and no redirects.
async fn web_server() -> String {
    let path = "/maven/org/example/tool/1.2/tool-1.2.jar";
    let site = Router::new().route(path, get(|| async { "a jar" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, site).await });
    format!("http://{address}")
}

#[tokio::test]
async fn embedded() {
    let world = World::memory().await;
    let payload = EmbeddedFilePayload {
        data: "inline".into(),
    };
    let (content, described) = staged(&world, artifact(types::EMBEDDED, &payload, "a.txt"))
        .await
        .unwrap();
    assert_eq!(
        (content.as_str(), staged_name(&described).as_str()),
        ("inline", "a.txt")
    );
}

#[tokio::test]
async fn urls_of_local_files() {
    let world = World::memory().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.txt");
    std::fs::write(&path, "on disk").unwrap();
    let location = url::Url::from_file_path(&path).unwrap();
    let (content, _) = staged(&world, url(location.as_str(), "")).await.unwrap();
    assert_eq!(content, "on disk");
    let missing = staged(&world, url("file:///no/such/file", ""))
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::FailedPrecondition);
    assert!(
        missing.message().contains("file:///no/such/file"),
        "{missing}"
    );
}

#[tokio::test]
async fn urls_on_the_web() {
    let world = World::memory().await;
    let site = web_server().await;
    let location = format!("{site}/maven/org/example/tool/1.2/tool-1.2.jar");
    let hash = Sha256::of(b"a jar").to_string();
    for claimed in ["", hash.as_str()] {
        let (content, _) = staged(&world, url(&location, claimed)).await.unwrap();
        assert_eq!(content, "a jar");
    }
    let wrong = Sha256::of(b"another jar").to_string();
    let refused = staged(&world, url(&location, &wrong)).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "{refused}");
    let missing = staged(&world, url(&format!("{site}/nope"), ""))
        .await
        .unwrap_err();
    assert!(missing.message().contains("404"), "{missing}");
    let unknown = staged(&world, url("ftp://host/x", "")).await.unwrap_err();
    assert!(unknown.message().contains("ftp"), "{unknown}");
}

#[tokio::test]
async fn urls_of_objects_in_buckets() {
    let world = World::memory().await;
    world.store.ensure_bucket("my-bucket").await.unwrap();
    let id = ObjectId::new("my-bucket", "lib/x.jar");
    world
        .store
        .put(&id, "in a bucket", PutOptions::default())
        .await
        .unwrap();
    let (content, _) = staged(&world, url(&id.to_string(), "")).await.unwrap();
    assert_eq!(content, "in a bucket");
    let missing = staged(&world, url("gs://my-bucket/nope", ""))
        .await
        .unwrap_err();
    assert!(
        missing.message().contains("gs://my-bucket/nope"),
        "{missing}"
    );
}

#[tokio::test]
async fn packages_of_pypi_become_requirements() {
    let world = World::memory().await;
    for (id, version, line) in [
        ("textstats", "1.2.0", "textstats==1.2.0\n"),
        ("text-stats[extra]", ">=1,<2", "text-stats[extra]>=1,<2\n"),
        ("textstats", "", "textstats\n"),
    ] {
        let payload = PyPiPayload {
            artifact_id: id.to_owned(),
            version: version.to_owned(),
        };
        let (content, described) = staged(&world, artifact(types::PYPI, &payload, "x"))
            .await
            .unwrap();
        assert_eq!(content, line);
        assert_eq!(described.role_urn, roles::PIP_REQUIREMENTS_FILE);
    }
    for (id, version) in [
        ("", "1"),
        ("--index-url=http://evil", ""),
        ("a", "1\n-r /etc/passwd"),
    ] {
        let payload = PyPiPayload {
            artifact_id: id.to_owned(),
            version: version.to_owned(),
        };
        let refused = staged(&world, artifact(types::PYPI, &payload, "x"))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{id:?} {version:?}");
    }
}

#[tokio::test]
async fn artifacts_of_maven_repositories() {
    let world = World::memory().await;
    let repository_url = format!("{}/maven/", web_server().await);
    for coordinates in ["org.example:tool:1.2", "org.example:tool:jar:1.2"] {
        let payload = MavenPayload {
            artifact: coordinates.to_owned(),
            repository_url: repository_url.clone(),
        };
        let without_role = ArtifactInformation {
            type_urn: types::MAVEN.to_owned(),
            type_payload: payload.encode_to_vec().into(),
            ..Default::default()
        };
        let (content, described) = staged(&world, without_role).await.unwrap();
        assert_eq!(
            (content.as_str(), staged_name(&described).as_str()),
            ("a jar", "tool-1.2.jar")
        );
    }
    for coordinates in ["", "a:b", "a:b:../../x", "a:b:c:d:e:f", "a::1"] {
        let payload = MavenPayload {
            artifact: coordinates.to_owned(),
            repository_url: repository_url.clone(),
        };
        let refused = staged(&world, artifact(types::MAVEN, &payload, "x"))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{coordinates:?}");
    }
}

#[tokio::test]
async fn an_sdk_may_resolve_a_type_to_a_file() {
    let world = World::memory().await;
    let deferred = artifact(types::DEFERRED, &(), "x.jar");
    let mut sdk = Sdk::with(&[("/home/me/x.jar", "of the SDK")]);
    sdk.resolves_to = Some(file("/home/me/x.jar", "x.jar"));
    world
        .stage("job", &pipeline(&[("one", vec![deferred])]), &mut sdk)
        .await
        .unwrap();
    let staged = world.staging.take("job").unwrap();
    let source = staged.source("one");
    assert_eq!(
        worker_reads(&source, &source.information()[0])
            .await
            .unwrap(),
        "of the SDK"
    );
}

#[tokio::test]
async fn a_file_without_a_role_keeps_its_name() {
    let world = World::memory().await;
    let without_role = ArtifactInformation {
        role_urn: String::new(),
        role_payload: Default::default(),
        ..file("/home/me/x.jar", "-")
    };
    let (_, described) = staged(&world, without_role).await.unwrap();
    assert_eq!(staged_name(&described), "x.jar");
    let binary = ArtifactInformation {
        role_urn: roles::GO_WORKER_BINARY.to_owned(),
        role_payload: Default::default(),
        ..file("/home/me/x.jar", "-")
    };
    let (_, described) = staged(&world, binary).await.unwrap();
    assert_eq!(described.role_urn, roles::GO_WORKER_BINARY);
}
