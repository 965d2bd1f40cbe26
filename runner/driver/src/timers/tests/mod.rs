//! Timers against a naive model, and their corners one by one.

mod corners;
mod model;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use dataflume_engine::store::{MemoryStore, Store, WriteBatch};
use dataflume_graph::plan::{TimeDomain, TimerFamily};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{KeyGroup, StageId};
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::timer::{Firing, Timer, TimerCodec};
use dataflume_model::window::{Window, WindowKind, WindowingStrategy};
use dataflume_model::wire;

use super::{BundleTimers, DueTimer, KeyedTimers};
use crate::data::hash::key_group;

const KEY_GROUPS: u32 = 2;
const LATENESS_MS: i64 = 5;
const EXPIRY_FAMILY: &str = "expiry";

fn codec() -> TimerCodec {
    TimerCodec::new(Coder::StringUtf8, WindowKind::Interval)
}

fn window(n: i64) -> Window {
    Window::Interval {
        start: EventTime(n * 10),
        end: EventTime(n * 10 + 10),
    }
}

fn encoded(window: &Window) -> Vec<u8> {
    let mut encoded = Vec::new();
    WindowKind::Interval.encode(window, &mut encoded).unwrap();
    encoded
}

fn text(text: &str) -> Bytes {
    let mut encoded = Vec::new();
    wire::put_prefixed(text.as_bytes(), &mut encoded);
    encoded.into()
}

fn group(key: &str) -> KeyGroup {
    key_group(&text(key), KEY_GROUPS)
}

/// A timer set for `fire`, which holds the watermark at `hold`.
pub(super) fn set(key: &str, tag: &str, window_number: i64, fire: i64, hold: i64) -> Bytes {
    record(
        key,
        tag,
        &[window(window_number)],
        Some((EventTime(fire), EventTime(hold))),
    )
}

fn clear(key: &str, tag: &str, window_number: i64) -> Bytes {
    record(key, tag, &[window(window_number)], None)
}

fn record(
    key: &str,
    tag: &str,
    windows: &[Window],
    firing: Option<(EventTime, EventTime)>,
) -> Bytes {
    let timer = Timer {
        key: text(key),
        tag: tag.to_owned(),
        windows: windows.to_vec(),
        firing: firing.map(|(fire_timestamp, hold_timestamp)| Firing {
            fire_timestamp,
            hold_timestamp,
            pane: PaneInfo::NO_FIRING,
        }),
    };
    let mut encoded = Vec::new();
    codec().encode(&timer, &mut encoded).unwrap();
    encoded.into()
}

/// A stage's timers and the store under them.
struct World {
    store: Arc<MemoryStore>,
    timers: KeyedTimers,
}

impl World {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::default());
        let windowing = WindowingStrategy {
            kind: WindowKind::Interval,
            allowed_lateness_ms: LATENESS_MS,
            ..WindowingStrategy::default()
        };
        let family = |domain| TimerFamily {
            domain,
            key_coder: Coder::StringUtf8,
        };
        let families: BTreeMap<_, _> = [
            ("event".to_owned(), family(TimeDomain::EventTime)),
            ("processing".to_owned(), family(TimeDomain::ProcessingTime)),
            (EXPIRY_FAMILY.to_owned(), family(TimeDomain::EventTime)),
        ]
        .into();
        let timers = KeyedTimers::new(
            store.clone(),
            StageId(1),
            KEY_GROUPS,
            &families,
            &windowing,
            Some(EXPIRY_FAMILY),
        );
        Self { store, timers }
    }

    fn commit(&self, bundle: &BundleTimers) {
        let mut batch = WriteBatch::default();
        bundle.write_into(&mut batch).unwrap();
        self.store.commit(batch).unwrap();
    }

    /// One bundle that fires what is due, and nothing else.
    fn fire(&self, watermark: EventTime, now: i64) -> Vec<DueTimer> {
        let groups: Vec<_> = (0..KEY_GROUPS).map(KeyGroup).collect();
        let due = self
            .timers
            .due(&groups, watermark, ProcessingTime(now))
            .unwrap();
        let bundle = self.timers.bundle();
        bundle.fired(&due);
        self.commit(&bundle);
        due
    }

    fn entries(&self) -> usize {
        let mut count = 0;
        self.store
            .scan(b"", b"", &mut |_, _| {
                count += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        count
    }
}
