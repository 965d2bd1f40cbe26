//! Long answers, tokens, refusals, and how state is stored.

use super::super::page::PAGE_BYTES;
use super::*;

/// Reads page by page.
fn pages(bundle: &BundleState, key: &StateKey) -> Vec<Bytes> {
    let (mut pages, mut token) = (Vec::new(), Bytes::new());
    loop {
        let (data, next) = page(bundle, key, &token).unwrap();
        pages.push(data);
        if next.is_empty() {
            return pages;
        }
        token = next;
    }
}

#[test]
fn pages_never_cut_an_append_in_two() {
    let mut world = World::new();
    let bag = at(0, "k").bag("bag");
    let (third, whole, huge) = (PAGE_BYTES / 3, PAGE_BYTES, PAGE_BYTES + 1);
    for (stored, added) in [
        (vec![], vec![third; 7]),
        (vec![third; 7], vec![]),
        (vec![huge, third], vec![whole, third, third]),
    ] {
        let first = world.bundle();
        clear(&first, &bag);
        stored
            .iter()
            .for_each(|length| append(&first, &bag, vec![1; *length]));
        world.commit(first);
        let second = world.bundle();
        added
            .iter()
            .for_each(|length| append(&second, &bag, vec![2; *length]));
        let lengths: Vec<usize> = pages(&second, &bag).iter().map(Bytes::len).collect();
        let expected = match (stored.len(), added.len()) {
            (2, 3) => vec![huge, third, whole, 2 * third],
            _ => vec![3 * third, 3 * third, third],
        };
        assert_eq!(lengths, expected);
    }
}

#[test]
fn many_small_appends_are_one_entry_and_later_ones_leave_it_alone() {
    let mut world = World::new();
    let bag = at(0, "k").bag("bag");
    for round in 1..4usize {
        let bundle = world.bundle();
        (0..1000).for_each(|_| append(&bundle, &bag, vec![7]));
        let batch = bundle.into_batch().unwrap();
        let values: Vec<usize> = batch
            .writes
            .values()
            .flatten()
            .map(Bytes::len)
            .filter(|l| *l > 0)
            .collect();
        assert_eq!(values, [1000], "only what is new is written");
        world.store.commit(batch).unwrap();
        // The window's entry, and one per bundle.
        assert_eq!(world.entries(), 1 + round);
    }
    let bundle = world.bundle();
    assert_eq!(get(&bundle, &bag).len(), 3000);
    clear(&bundle, &bag);
    append(&bundle, &bag, vec![1, 2]);
    world.commit(bundle);
    assert_eq!(
        world.entries(),
        2,
        "a value that is set anew leaves nothing behind"
    );
    assert_eq!(get(&world.bundle(), &bag), [1, 2]);
}

#[test]
fn keys_entries_and_lists_are_paged_too() {
    let mut world = World::new();
    let at = at(0, "k");
    let bundle = world.bundle();
    let long = "x".repeat(PAGE_BYTES / 2);
    for n in 0..3 {
        append(&bundle, &at.map(&text(&format!("{n}{long}"))), text("v"));
        append(&bundle, &at.list(None), entry(n, &long));
    }
    world.commit(bundle);
    let bundle = world.bundle();
    append(&bundle, &at.map(&text(&format!("1{long}"))), text("w"));
    append(&bundle, &at.list(None), entry(1, &long));
    assert_eq!(pages(&bundle, &at.map_keys()).len(), 3);
    assert_eq!(pages(&bundle, &at.map_entries("map")).len(), 3);
    let lists = pages(&bundle, &at.list(None));
    assert_eq!(lists.len(), 4);
    assert_eq!(
        lists.concat(),
        [0, 1, 1, 2].map(|n| entry(n, &long)).concat()
    );
}

#[test]
fn values_without_bytes_make_a_key_exist() {
    let mut world = World::new();
    let at = at(0, "k");
    let bundle = world.bundle();
    append(&bundle, &at.map(&text("set")), Bytes::new());
    assert_eq!(get(&bundle, &at.map_keys()), text("set"));
    world.commit(bundle);
    assert_eq!(get(&world.bundle(), &at.map_keys()), text("set"));
}

#[test]
fn entries_are_keys_with_counted_values() {
    let mut world = World::new();
    let at = at(0, "k");
    let bundle = world.bundle();
    append(&bundle, &at.map(&text("a")), text("1"));
    append(&bundle, &at.map(&text("b")), text("2"));
    world.commit(bundle);
    let bundle = world.bundle();
    append(&bundle, &at.map(&text("a")), [text("3"), text("")].concat());
    let entries = [
        &text("a")[..],
        &[0, 0, 0, 3],
        &text("1"),
        &text("3"),
        &text(""),
        &text("b"),
        &[0, 0, 0, 1],
        &text("2"),
    ]
    .concat();
    assert_eq!(get(&bundle, &at.map_entries("map")), entries);
    clear(&bundle, &at.map_entries("map"));
    assert_eq!(get(&bundle, &at.map_keys()), [0; 0]);
    let refused = page(&bundle, &at.map_entries("other"), &Bytes::new()).unwrap_err();
    assert!(refused.contains("value coder is not known"), "{refused}");
}

#[test]
fn a_token_does_not_outlive_a_clear() {
    let mut world = World::new();
    let at = at(0, "k");
    let untouched = at.map(&text("long"));
    for key in [at.bag("bag"), untouched] {
        let first = world.bundle();
        (0..2).for_each(|_| append(&first, &key, vec![1; PAGE_BYTES]));
        world.commit(first);
        let bundle = world.bundle();
        let (_, token) = page(&bundle, &key, &Bytes::new()).unwrap();
        assert!(!token.is_empty());
        append(&bundle, &key, vec![2]);
        assert_eq!(page(&bundle, &key, &token).unwrap().0.len(), PAGE_BYTES);
        match key.r#type {
            Some(state_key::Type::BagUserState(_)) => clear(&bundle, &key),
            _ => clear(&bundle, &at.map_keys()),
        }
        let error = page(&bundle, &key, &token).unwrap_err();
        assert!(error.contains("cleared since"), "{error}");
        assert!(page(&bundle, &key, &Bytes::from_static(b"x")).is_err());
    }
}

#[test]
fn what_is_no_user_state_is_refused() {
    let mut world = World::new();
    let bundle = world.bundle();
    let side_input = typed(state_key::Type::IterableSideInput(
        state_key::IterableSideInput::default(),
    ));
    let error = page(&bundle, &side_input, &Bytes::new()).unwrap_err();
    assert!(error.contains("not user state"), "{error}");
    assert!(bundle.handle(&StateRequest::default()).is_err());
    let nothing = StateRequest {
        state_key: Some(at(0, "k").bag("bag")),
        ..StateRequest::default()
    };
    assert!(bundle.handle(&nothing).is_err());
    let keys = at(0, "k").map_keys();
    let append = state_request::Request::Append(StateAppendRequest { data: text("v") });
    assert!(bundle.handle(&request(&keys, append)).is_err());
    let list = at(0, "k").list(None);
    let torn = state_request::Request::Append(StateAppendRequest {
        data: entry(1, "v").slice(..2),
    });
    assert!(bundle.handle(&request(&list, torn)).is_err());
    assert_eq!(
        get(&bundle, &list),
        [0; 0],
        "nothing of a torn append counts"
    );
    let bad_window = At {
        window: Bytes::from_static(b"?"),
        key: text("k"),
    }
    .bag("bag");
    let append = state_request::Request::Append(StateAppendRequest { data: text("v") });
    assert!(bundle.handle(&request(&bad_window, append)).is_err());
}

#[test]
fn a_key_without_its_length_is_the_same_key() {
    let mut world = World::new();
    let bundle = world.bundle();
    append(&bundle, &at(0, "key").bag("bag"), text("v"));
    let bare = At {
        window: window(0),
        key: Bytes::from_static(b"key"),
    };
    assert_eq!(get(&bundle, &bare.bag("bag")), text("v"));
}

#[test]
fn states_stages_and_keys_are_kept_apart() {
    let mut world = World::new();
    let bundle = world.bundle();
    append(&bundle, &at(0, "k").bag("a"), text("v"));
    world.commit(bundle);
    let other_stage = KeyedState {
        stage: StageId(4),
        ..world.state.clone()
    };
    for (bundle, key) in [
        (world.bundle(), at(0, "k").bag("b")),
        (world.bundle(), at(1, "k").bag("a")),
        (world.bundle(), at(0, "l").bag("a")),
        (other_stage.bundle(BundleId(9)), at(0, "k").bag("a")),
    ] {
        assert_eq!(get(&bundle, &key), [0; 0]);
    }
}

#[test]
fn several_threads_may_ask_at_once() {
    let mut world = World::new();
    let bundle = world.bundle();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let bundle = &bundle;
            scope.spawn(move || {
                let bag = at(0, &thread.to_string()).bag("bag");
                (0..100).for_each(|n| append(bundle, &bag, vec![n]));
            });
        }
    });
    for thread in 0..4 {
        let bag = get(&bundle, &at(0, &thread.to_string()).bag("bag"));
        assert_eq!(bag, (0..100).collect::<Vec<u8>>());
    }
}

#[test]
fn values_of_ordered_lists_may_be_bare() {
    let world = World::new();
    let state = KeyedState {
        coders: Arc::new(StateCoders {
            ordered_lists: [("list".to_owned(), Coder::Varint)].into(),
            ..StateCoders::default()
        }),
        ..world.state.clone()
    };
    let bundle = state.bundle(BundleId(0));
    let list = at(0, "k").list(None);
    append(&bundle, &list, vec![2, 20, 1, 200, 1]);
    assert_eq!(get(&bundle, &list), [1, 200, 1, 2, 20]);
    assert_eq!(get(&bundle, &at(0, "k").list(Some((2, 3)))), [2, 20]);
}
