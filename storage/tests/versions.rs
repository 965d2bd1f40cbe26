//! Noncurrent generations, on disk.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use dataflume_storage::{
    BucketOptions, ListRequest, ObjectId, Preconditions, PutOptions, ReadOptions, Store,
};
use serde_json::json;

async fn versioned(store: &Store) {
    let attributes = json!({"versioning": {"enabled": true}});
    let options = BucketOptions {
        attributes: attributes.as_object().unwrap().clone(),
    };
    store.create_bucket("kept", options).await.unwrap();
}

#[tokio::test]
async fn old_generations_survive_a_restart_and_its_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_folder(folder.path()).unwrap();
    versioned(&store).await;
    let ids = [ObjectId::new("kept", "../a"), ObjectId::new("kept", "a/b")];
    let mut old = Vec::new();
    for id in &ids {
        let first = store.put(id, "one", PutOptions::default()).await.unwrap();
        old.push(first.generation);
        store.put(id, "two", PutOptions::default()).await.unwrap();
    }
    store
        .delete(&ids[0], None, Preconditions::default())
        .await
        .unwrap();
    drop(store);

    let store = Store::open_folder(folder.path()).unwrap();
    assert_eq!(store.sweep().await.unwrap().blobs, 0);
    for (id, generation) in ids.iter().zip(&old) {
        let read = ReadOptions {
            generation: Some(*generation),
            ..ReadOptions::default()
        };
        let content = store.get(id, read).await.unwrap().bytes().await.unwrap();
        assert_eq!(content, "one");
    }
    let all = ListRequest {
        versions: true,
        ..ListRequest::default()
    };
    let listed = store.list("kept", &all).await.unwrap().objects;
    let deleted: Vec<_> = listed
        .iter()
        .map(|object| (object.id.name.as_str(), object.time_deleted.is_some()))
        .collect();
    let expected = [
        ("../a", true),
        ("../a", true),
        ("a/b", true),
        ("a/b", false),
    ];
    assert_eq!(deleted, expected);

    // Deleted one by one, nothing is left of them.
    for object in &listed {
        let generation = Some(object.generation);
        let any = Preconditions::default();
        store.delete(&object.id, generation, any).await.unwrap();
    }
    store
        .delete_bucket("kept", Preconditions::default())
        .await
        .unwrap();
}
