//! Artifacts are staged through a real gRPC connection by an SDK that may misbehave.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "artifacts/sdk.rs"]
mod sdk;

use bytes::Bytes;
use dataflume::artifacts::ArtifactError;
use dataflume_proto::pipeline::ArtifactInformation;
use dataflume_proto::urn::{roles, types};
use dataflume_storage::{Sha256, Store};
use sdk::{Sdk, World, artifact, file, hashed, pipeline, worker_reads};
use tonic::Code;

#[tokio::test]
async fn an_environment_gets_its_files_from_the_bucket() {
    let world = World::memory().await;
    let mut sdk = Sdk::with(&[("/home/me/a.py", "print()"), ("/home/me/b.whl", "")]);
    let mut pipeline = pipeline(&[
        (
            "python",
            vec![
                file("/home/me/a.py", "lib/a.py"),
                file("/home/me/b.whl", "b.whl"),
            ],
        ),
        ("bare", vec![]),
    ]);
    world.stage("job-1", &pipeline, &mut sdk).await.unwrap();
    assert_eq!(sdk.asked, ["/home/me/a.py", "/home/me/b.whl"]);

    let staged = world.staging.take("job-1").unwrap();
    let dependencies = staged.dependencies("python");
    let names: Vec<_> = dependencies
        .iter()
        .map(|each| each.staged_name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["lib/a.py", "b.whl"]);
    assert_eq!(dependencies[0].content.sha256, Sha256::of(b"print()"));
    assert_eq!(staged.dependencies("bare"), []);

    staged.apply(&mut pipeline);
    let environments = pipeline.components.unwrap().environments;
    let declared = &environments["python"].dependencies;
    let source = staged.source("python");
    assert_eq!(declared, source.information());
    assert_eq!(
        worker_reads(&source, &declared[0]).await.unwrap(),
        "print()"
    );
    assert_eq!(worker_reads(&source, &declared[1]).await.unwrap(), "");
    assert!(environments["bare"].dependencies.is_empty());
}

#[tokio::test]
async fn a_worker_gets_its_environments_artifacts_and_no_others() {
    let world = World::memory().await;
    let mut sdk = Sdk::with(&[("/a", "of one"), ("/b", "of the other")]);
    let pipeline = pipeline(&[
        ("one", vec![file("/a", "a")]),
        ("other", vec![file("/b", "b")]),
    ]);
    world.stage("job", &pipeline, &mut sdk).await.unwrap();
    let staged = world.staging.take("job").unwrap();
    let of_other = staged.dependencies("other")[0].information();
    let source = staged.source("one");
    let local = file("/etc/passwd", "x");
    let embedded = ArtifactInformation {
        type_urn: types::EMBEDDED.to_owned(),
        ..local.clone()
    };
    let mut elsewhere = staged.dependencies("one")[0].information();
    let payload = dataflume_proto::pipeline::ArtifactFilePayload {
        path: "/etc/passwd".to_owned(),
        sha256: Sha256::of(b"of one").to_string(),
    };
    elsewhere.type_payload = prost::Message::encode_to_vec(&payload).into();
    for refused in [&of_other, &local, &embedded, &elsewhere] {
        let status = worker_reads(&source, refused).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{status}");
    }
    // Beam's boot program changes the role of what has no staged name.
    let mut renamed = staged.dependencies("one")[0].information();
    renamed.role_payload = Bytes::new();
    renamed.role_urn = roles::GO_WORKER_BINARY.to_owned();
    assert_eq!(worker_reads(&source, &renamed).await.unwrap(), "of one");
}

#[tokio::test]
async fn the_same_content_is_staged_once_and_asked_for_once() {
    let world = World::memory().await;
    let mut sdk = Sdk::with(&[("/a", "same"), ("/copy", "same"), ("/b", "other")]);
    let first = pipeline(&[
        ("one", vec![file("/a", "a"), file("/copy", "copy")]),
        (
            "two",
            vec![file("/a", "renamed"), hashed("/b", "b", "other")],
        ),
    ]);
    world.stage("job-1", &first, &mut sdk).await.unwrap();
    assert_eq!(
        sdk.asked,
        ["/a", "/copy", "/b"],
        "an artifact that two environments share"
    );
    assert_eq!(world.staged().await.len(), 2);

    sdk.asked.clear();
    let second = pipeline(&[(
        "one",
        vec![hashed("/elsewhere/b", "b", "other"), file("/a", "a")],
    )]);
    world.stage("job-2", &second, &mut sdk).await.unwrap();
    assert_eq!(sdk.asked, ["/a"], "what has a known hash is not sent again");
    assert_eq!(world.staged().await.len(), 2);
    let staged = world.staging.take("job-2").unwrap();
    let source = staged.source("one");
    assert_eq!(
        worker_reads(&source, &source.information()[0])
            .await
            .unwrap(),
        "other"
    );
}

#[tokio::test]
async fn a_wrong_hash_is_an_error_that_leaves_nothing() {
    let world = World::memory().await;
    let mut sdk = Sdk::with(&[("/a", "fine"), ("/b", "altered on its way")]);
    let pipeline = pipeline(&[(
        "one",
        vec![file("/a", "a"), hashed("/b", "b.whl", "original")],
    )]);
    let status = world.stage("job", &pipeline, &mut sdk).await.unwrap_err();
    assert_eq!(status.code(), Code::DataLoss);
    assert!(
        status.message().contains("b.whl") && status.message().contains("sha256"),
        "{status}"
    );
    assert!(world.staged().await.is_empty());
    assert!(matches!(
        world.staging.take("job"),
        Err(ArtifactError::NotStaged(_))
    ));

    sdk.files.insert("/b".to_owned(), "original".into());
    world.converse("job", &mut sdk).await.unwrap();
    assert_eq!(
        world.staging.take("job").unwrap().dependencies("one").len(),
        2
    );
    assert_eq!(world.staged().await.len(), 2);
}

#[tokio::test]
async fn a_stream_that_ends_early_leaves_nothing_and_may_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Store::open_folder(folder.path()).unwrap()).await;
    let mut sdk = Sdk::with(&[("/a", "staged before")]);
    sdk.files
        .insert("/big".to_owned(), vec![7; 20 << 20].into());
    sdk.breaks_after = Some(18 << 20);
    let pipeline = pipeline(&[("one", vec![file("/a", "a"), file("/big", "big")])]);
    let empty = files(&folder);
    let status = world.stage("job", &pipeline, &mut sdk).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().contains("\"big\""), "{status}");
    assert_eq!(files(&folder), empty);
    assert!(matches!(
        world.staging.take("job"),
        Err(ArtifactError::NotStaged(_))
    ));

    sdk.breaks_after = None;
    world.converse("job", &mut sdk).await.unwrap();
    world.converse("job", &mut Sdk::default()).await.unwrap();
    let staged = world.staging.take("job").unwrap();
    assert_eq!(staged.dependencies("one")[1].content.size, 20 << 20);
}

#[tokio::test]
async fn an_sdk_that_goes_away_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(Store::open_folder(folder.path()).unwrap()).await;
    let empty = files(&folder);
    let mut sdk = Sdk::default();
    sdk.files
        .insert("/big".to_owned(), vec![7; 200 << 20].into());
    let pipeline = pipeline(&[("one", vec![file("/big", "big")])]);
    world.staging.expect("job", &pipeline).unwrap();
    {
        let mut call = Box::pin(world.converse("job", &mut sdk));
        while files(&folder) == empty {
            assert!(futures::poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
    }
    let removed = async {
        while files(&folder) != empty {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), removed)
        .await
        .unwrap();
    assert!(world.staging.take("job").is_err());
    world.converse("job", &mut sdk).await.unwrap();
    world.staging.take("job").unwrap();
}

#[tokio::test]
async fn names_that_lead_out_of_the_workers_folder_are_refused() {
    let world = World::memory().await;
    for name in ["../../x", "/etc/cron.d/x", "a/../../x", "", "..\\x"] {
        let pipeline = pipeline(&[("one", vec![file("/a", name)])]);
        let refused = world.staging.expect("job", &pipeline).unwrap_err();
        assert!(
            matches!(refused, ArtifactError::InvalidName { .. }),
            "{name:?}: {refused}"
        );
        assert_eq!(tonic::Status::from(refused).code(), Code::InvalidArgument);
    }
    let mut sdk = Sdk::with(&[("/a", "content")]);
    sdk.resolves_to = Some(file("/a", "../../x"));
    let pipeline = pipeline(&[("one", vec![file("/a", "good")])]);
    let status = world.stage("job", &pipeline, &mut sdk).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(sdk.asked.is_empty());
    assert!(world.staged().await.is_empty());
}

#[tokio::test]
async fn of_two_artifacts_with_one_name_the_later_counts() {
    let world = World::memory().await;
    let mut sdk = Sdk::with(&[("/old", "old"), ("/new", "new"), ("/b", "b")]);
    let artifacts = vec![file("/old", "x"), file("/b", "b"), file("/new", "x")];
    world
        .stage("job", &pipeline(&[("one", artifacts)]), &mut sdk)
        .await
        .unwrap();
    let staged = world.staging.take("job").unwrap();
    let source = staged.source("one");
    let contents = [
        worker_reads(&source, &source.information()[0])
            .await
            .unwrap(),
        worker_reads(&source, &source.information()[1])
            .await
            .unwrap(),
    ];
    assert_eq!(
        (source.information().len(), contents),
        (2, ["b".to_owned(), "new".to_owned()])
    );
}

#[tokio::test]
async fn tokens() {
    let world = World::memory().await;
    let mut sdk = Sdk::with(&[("/a", "content")]);
    let status = world.converse("nobody's", &mut sdk).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(matches!(
        world.staging.take("nobody's"),
        Err(ArtifactError::UnknownToken(_))
    ));

    let bare = pipeline(&[("one", vec![])]);
    world.staging.expect("bare", &bare).unwrap();
    assert!(matches!(
        world.staging.expect("bare", &bare),
        Err(ArtifactError::TokenInUse(_))
    ));
    let none = world.staging.take("bare").unwrap();
    assert_eq!(none.dependencies("one"), []);
    assert!(matches!(
        world.staging.take("bare"),
        Err(ArtifactError::UnknownToken(_))
    ));

    let full = pipeline(&[("one", vec![file("/a", "a")])]);
    world.stage("forgotten", &full, &mut sdk).await.unwrap();
    world.staging.forget("forgotten");
    assert!(world.staging.take("forgotten").is_err());
    let removed = async {
        while !world.staged().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), removed)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_artifact_that_nobody_can_fetch_is_named() {
    let world = World::memory().await;
    let pipeline = pipeline(&[("one", vec![artifact(types::DEFERRED, &(), "late.jar")])]);
    let status = world
        .stage("job", &pipeline, &mut Sdk::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    for part in ["late.jar", types::DEFERRED] {
        assert!(status.message().contains(part), "{status}");
    }
}

#[tokio::test]
async fn one_message_may_be_larger_than_grpcs_default_limit() {
    let world = World::memory().await;
    let mut sdk = Sdk {
        chunk_bytes: Some(64 << 20),
        ..Sdk::default()
    };
    sdk.files
        .insert("/big".to_owned(), vec![7; 64 << 20].into());
    world
        .stage(
            "job",
            &pipeline(&[("one", vec![file("/big", "big")])]),
            &mut sdk,
        )
        .await
        .unwrap();
    let staged = world.staging.take("job").unwrap();
    assert_eq!(staged.dependencies("one")[0].content.size, 64 << 20);
}

fn files(folder: &tempfile::TempDir) -> Vec<std::path::PathBuf> {
    fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        // A file or folder may be gone by the time it is looked at.
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => walk(&entry.path(), found),
                Ok(_) => found.push(entry.path()),
                Err(_) => {}
            }
        }
    }
    let mut found = Vec::new();
    walk(folder.path(), &mut found);
    found.sort();
    found
}
