//! User state against naive models, and its corners one by one.

mod expiry;
mod model;
mod pages;

use std::sync::Arc;

use bytes::Bytes;
use dataflume_engine::store::{MemoryStore, Store};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{BundleId, StageId};
use dataflume_model::time::EventTime;
use dataflume_model::window::{Window, WindowKind, WindowingStrategy};
use dataflume_model::wire;
use dataflume_proto::fn_execution::{
    OrderedListRange, StateAppendRequest, StateClearRequest, StateGetRequest, StateKey,
    StateRequest, state_key, state_request, state_response,
};

use super::{BundleState, KeyedState, StateCoders};

const KEY_GROUPS: u32 = 4;
const LATENESS_MS: i64 = 5;

/// A stage's state and the store under it.
struct World {
    store: Arc<MemoryStore>,
    state: KeyedState,
    next_bundle: u64,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let windowing = WindowingStrategy {
            kind: WindowKind::Interval,
            allowed_lateness_ms: LATENESS_MS,
            ..WindowingStrategy::default()
        };
        let coders = StateCoders {
            multimaps: [("map".to_owned(), Coder::StringUtf8)].into(),
            ..StateCoders::default()
        };
        let key_coder = Coder::StringUtf8;
        let state = KeyedState::new(
            store.clone(),
            StageId(3),
            KEY_GROUPS,
            key_coder,
            &windowing,
            coders,
        );
        Self {
            store,
            state,
            next_bundle: 0,
        }
    }

    fn bundle(&mut self) -> BundleState {
        self.next_bundle += 1;
        self.state.bundle(BundleId(self.next_bundle - 1))
    }

    fn commit(&self, bundle: BundleState) {
        self.store.commit(bundle.into_batch().unwrap()).unwrap();
    }

    /// How many entries the store has.
    fn entries(&self) -> usize {
        let mut count = 0;
        self.store
            .scan(b"", b"", &mut |_, _| {
                count += 1;
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        count
    }
}

/// Encoded as SDKs encode it: the n-th window of 10 ms.
fn window(n: i64) -> Bytes {
    let window = Window::Interval {
        start: EventTime(n * 10),
        end: EventTime(n * 10 + 10),
    };
    let mut encoded = Vec::new();
    WindowKind::Interval.encode(&window, &mut encoded).unwrap();
    encoded.into()
}

/// As a nested string.
fn text(text: &str) -> Bytes {
    let mut encoded = Vec::new();
    wire::put_prefixed(text.as_bytes(), &mut encoded);
    encoded.into()
}

/// An entry of an ordered list.
fn entry(sort_key: i64, value: &str) -> Bytes {
    let mut encoded = Vec::new();
    wire::put_varint(sort_key as u64, &mut encoded);
    wire::put_prefixed(value.as_bytes(), &mut encoded);
    encoded.into()
}

/// The address of a cell, before it is known what of it is asked for.
#[derive(Debug, Clone)]
struct At {
    window: Bytes,
    key: Bytes,
}

fn at(window_number: i64, key: &str) -> At {
    At {
        window: window(window_number),
        key: text(key),
    }
}

impl At {
    fn bag(&self, state: &str) -> StateKey {
        typed(state_key::Type::BagUserState(state_key::BagUserState {
            transform_id: "t".to_owned(),
            user_state_id: state.to_owned(),
            window: self.window.clone(),
            key: self.key.clone(),
        }))
    }

    fn map(&self, map_key: &Bytes) -> StateKey {
        typed(state_key::Type::MultimapUserState(
            state_key::MultimapUserState {
                transform_id: "t".to_owned(),
                user_state_id: "map".to_owned(),
                window: self.window.clone(),
                key: self.key.clone(),
                map_key: map_key.clone(),
            },
        ))
    }

    fn map_keys(&self) -> StateKey {
        typed(state_key::Type::MultimapKeysUserState(
            state_key::MultimapKeysUserState {
                transform_id: "t".to_owned(),
                user_state_id: "map".to_owned(),
                window: self.window.clone(),
                key: self.key.clone(),
            },
        ))
    }

    fn map_entries(&self, state: &str) -> StateKey {
        typed(state_key::Type::MultimapEntriesUserState(
            state_key::MultimapEntriesUserState {
                transform_id: "t".to_owned(),
                user_state_id: state.to_owned(),
                window: self.window.clone(),
                key: self.key.clone(),
            },
        ))
    }

    fn list(&self, range: Option<(i64, i64)>) -> StateKey {
        typed(state_key::Type::OrderedListUserState(
            state_key::OrderedListUserState {
                transform_id: "t".to_owned(),
                user_state_id: "list".to_owned(),
                window: self.window.clone(),
                key: self.key.clone(),
                range: range.map(|(start, end)| OrderedListRange { start, end }),
            },
        ))
    }
}

fn typed(r#type: state_key::Type) -> StateKey {
    StateKey {
        r#type: Some(r#type),
    }
}

fn request(key: &StateKey, request: state_request::Request) -> StateRequest {
    StateRequest {
        state_key: Some(key.clone()),
        request: Some(request),
        ..StateRequest::default()
    }
}

fn append(bundle: &BundleState, key: &StateKey, data: impl Into<Bytes>) {
    let append = state_request::Request::Append(StateAppendRequest { data: data.into() });
    let response = bundle.handle(&request(key, append)).unwrap();
    assert!(matches!(response, state_response::Response::Append(_)));
}

fn clear(bundle: &BundleState, key: &StateKey) {
    let clear = state_request::Request::Clear(StateClearRequest {});
    let response = bundle.handle(&request(key, clear)).unwrap();
    assert!(matches!(response, state_response::Response::Clear(_)));
}

/// One page, and the token of the next.
fn page(bundle: &BundleState, key: &StateKey, token: &Bytes) -> Result<(Bytes, Bytes), String> {
    let get = StateGetRequest {
        continuation_token: token.clone(),
    };
    match bundle.handle(&request(key, state_request::Request::Get(get)))? {
        state_response::Response::Get(get) => Ok((get.data, get.continuation_token)),
        other => Err(format!("a get was answered with {other:?}")),
    }
}

/// All pages.
fn get(bundle: &BundleState, key: &StateKey) -> Vec<u8> {
    let (mut all, mut token) = (Vec::new(), Bytes::new());
    loop {
        let (data, next) = page(bundle, key, &token).unwrap();
        all.extend_from_slice(&data);
        if next.is_empty() {
            return all;
        }
        token = next;
    }
}
