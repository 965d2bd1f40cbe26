//! The encoding of names as paths.

use std::path::{Component, Path};

use dataflume_storage::layout::{decode, encode};
use dataflume_storage::names::validate_object;
use proptest::prelude::*;

fn names() -> impl Strategy<Value = String> {
    let hostile = "[a-cA-C./+!%#~ \\\\\u{0}é\u{301}-]{1,40}";
    let long = "[a-z/.]{180,1024}";
    prop_oneof![hostile, long, any::<String>(), "(\\.\\./){0,5}[a-z.]{1,5}"]
        .prop_filter("a legal name", |name| validate_object(name).is_ok())
}

proptest! {
    #[test]
    fn a_name_can_be_read_back(name in names()) {
        prop_assert_eq!(decode(&encode(&name)), Some(name));
    }

    #[test]
    fn a_key_stays_below_its_folder(name in names()) {
        let key = encode(&name);
        for component in Path::new(&key).components() {
            prop_assert!(matches!(component, Component::Normal(_)), "{key:?}");
        }
        for component in key.split('/') {
            prop_assert!(!component.is_empty() && component.len() < 240 && !component.starts_with('.'));
        }
        prop_assert!(key.is_ascii() && key == key.to_ascii_lowercase() && !key.contains('#'));
        let path = object_store::path::Path::parse(&key).unwrap();
        prop_assert_eq!(path.as_ref(), key);
    }

    #[test]
    fn no_key_is_a_folder_of_another(a in names(), b in names()) {
        let (key_a, key_b) = (encode(&a), encode(&b));
        prop_assert_eq!(a == b, key_a == key_b);
        let folder = format!("{key_a}/");
        prop_assert!(!key_b.starts_with(&folder), "{key_a:?} is a folder of {key_b:?}");
    }

    #[test]
    fn whatever_is_decoded_encodes_to_the_same(key in "[a-c+!0-9/.-]{1,30}") {
        if let Some(name) = decode(&key) {
            prop_assert_eq!(encode(&name), key);
        }
    }
}
