//! Writers at the same time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{BUCKET, Backend, backends, id};
use dataflume_storage::{
    CopyOptions, ErrorCode, ListRequest, Preconditions, PutOptions, ReadOptions,
};
use futures::future::join_all;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_must_be_first_one_is() {
    for backend in backends().await {
        let attempts = (0..20).map(|index: u32| {
            let store = backend.store.clone();
            tokio::spawn(async move {
                let options = PutOptions {
                    preconditions: Preconditions::must_not_exist(),
                    ..Default::default()
                };
                store.put(&id("o"), index.to_string(), options).await
            })
        });
        let results: Vec<_> = join_all(attempts)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let winners: Vec<_> = results
            .iter()
            .filter_map(|result| result.as_ref().ok())
            .collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(&backend.stat("o").await.unwrap(), winners[0]);
        for result in &results {
            if let Err(error) = result {
                assert_eq!(error.code(), ErrorCode::PreconditionFailed, "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_counter_kept_by_generation_match_loses_no_increment() {
    const TASKS: usize = 8;
    const EACH: usize = 5;
    for backend in backends().await {
        backend.put("counter", "0").await;
        let tasks = (0..TASKS).map(|_| {
            let store = backend.store.clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    loop {
                        let reader = store
                            .get(&id("counter"), ReadOptions::default())
                            .await
                            .unwrap();
                        let generation = reader.metadata().generation;
                        let text = reader.bytes().await.unwrap();
                        let count: usize = std::str::from_utf8(&text).unwrap().parse().unwrap();
                        let options = PutOptions {
                            preconditions: Preconditions {
                                if_generation_match: Some(generation),
                                ..Default::default()
                            },
                            ..Default::default()
                        };
                        let next = (count + 1).to_string();
                        if store.put(&id("counter"), next, options).await.is_ok() {
                            break;
                        }
                    }
                }
            })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
        assert_eq!(backend.text("counter").await, (TASKS * EACH).to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_one_generation_or_the_other() {
    const WRITES: u8 = 40;
    for backend in backends().await {
        backend.put("o", &"0".repeat(3000)).await;
        let writing = {
            let store = backend.store.clone();
            tokio::spawn(async move {
                for write in 0..WRITES {
                    let content = vec![b'a' + write % 26; 1000 + usize::from(write) * 100];
                    store
                        .put(&id("o"), content, PutOptions::default())
                        .await
                        .unwrap();
                }
            })
        };
        let mut last = 0;
        while !writing.is_finished() {
            let reader = backend
                .store
                .get(&id("o"), ReadOptions::default())
                .await
                .unwrap();
            let object = reader.metadata().clone();
            let content = reader.bytes().await.unwrap();
            assert_eq!(object.size, content.len() as u64);
            assert!(content.iter().all(|byte| *byte == content[0]));
            assert_eq!(object.crc32c.0, crc32c::crc32c(&content));
            assert!(object.generation >= last);
            last = object.generation;
        }
        writing.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_disturbs_no_writer() {
    for backend in backends().await {
        let writers = (0..8).map(|task: u32| {
            let store = backend.store.clone();
            tokio::spawn(async move {
                for round in 0..10 {
                    let name = format!("{task}/{}", round % 3);
                    store
                        .put(&id(&name), name.clone(), PutOptions::default())
                        .await
                        .unwrap();
                }
            })
        });
        let writers = tokio::spawn(join_all(writers.collect::<Vec<_>>()));
        while !writers.is_finished() {
            assert_eq!(backend.store.sweep().await.unwrap(), Default::default());
        }
        for writer in writers.await.unwrap() {
            writer.unwrap();
        }
        let names = current_names(&backend).await;
        assert_eq!(names.len(), 24);
        for name in names {
            assert_eq!(backend.text(&name).await, name);
        }
        assert!(backend.store.bucket(BUCKET).await.is_ok());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_object_is_moved_once_whoever_wants_it() {
    for backend in backends().await {
        backend.put("source", "moved").await;
        let moves = (0..8).map(|index| {
            let (store, source, destination) = (
                backend.store.clone(),
                id("source"),
                id(&format!("destination-{index}")),
            );
            tokio::spawn(async move {
                store
                    .rename(&source, &destination, CopyOptions::default())
                    .await
            })
        });
        let outcomes = join_all(moves).await;
        let moved: Vec<_> = outcomes
            .into_iter()
            .filter_map(|moved| moved.unwrap().ok())
            .collect();
        assert_eq!(moved.len(), 1);
        let names = current_names(&backend).await;
        assert_eq!(names, [moved[0].id.name.clone()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moves_against_each_other_end_and_lose_nothing() {
    for backend in backends().await {
        backend.put("a", "one").await;
        for _ in 0..20 {
            let rename = |from: &'static str, to: &'static str| {
                let store = backend.store.clone();
                tokio::spawn(async move {
                    store
                        .rename(&id(from), &id(to), CopyOptions::default())
                        .await
                })
            };
            let (there, back) = tokio::join!(rename("a", "b"), rename("b", "a"));
            // Either may come first, and the other one finds the object or does not.
            let moved = [there.unwrap(), back.unwrap()]
                .into_iter()
                .flatten()
                .count();
            assert!(moved > 0);
            assert_eq!(current_names(&backend).await.len(), 1);
            if current_names(&backend).await == ["b"] {
                rename("b", "a").await.unwrap().unwrap();
            }
            assert_eq!(backend.text("a").await, "one");
        }
    }
}

async fn current_names(backend: &Backend) -> Vec<String> {
    let page = backend.store.list(BUCKET, &ListRequest::default()).await;
    let objects = page.unwrap().objects.into_iter();
    objects.map(|object| object.id.name).collect()
}
