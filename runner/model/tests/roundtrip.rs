//! What is encoded is decoded to the same, and nothing that is fed in makes a decoder panic.

use bytes::Bytes;
use dataflume_model::coder::{Coder, Row};
use dataflume_model::pane::{PaneInfo, PaneTiming};
use dataflume_model::time::EventTime;
use dataflume_model::timer::{Firing, Timer, TimerCodec};
use dataflume_model::window::{Window, WindowKind};
use dataflume_model::windowed::{Summary, WindowedCodec};
use proptest::prelude::*;

fn timestamp() -> impl Strategy<Value = EventTime> {
    prop_oneof![
        Just(EventTime::MIN),
        Just(EventTime::MAX),
        Just(EventTime::END_OF_GLOBAL_WINDOW),
        (EventTime::MIN.0..=EventTime::MAX.0).prop_map(EventTime),
        (-1000..1000_i64).prop_map(EventTime),
    ]
}

fn pane() -> impl Strategy<Value = PaneInfo> {
    let timing = prop_oneof![
        Just(PaneTiming::Early),
        Just(PaneTiming::OnTime),
        Just(PaneTiming::Late)
    ];
    let fired = (any::<bool>(), timing, 0..300_i64, 0..300_i64).prop_map(
        |(is_last, timing, index, nonspeculative)| PaneInfo {
            is_first: index == 0,
            is_last,
            timing,
            index,
            nonspeculative_index: match timing {
                PaneTiming::Early => -1,
                _ => nonspeculative.min(index),
            },
        },
    );
    prop_oneof![
        Just(PaneInfo::NO_FIRING),
        Just(PaneInfo::ON_TIME_AND_ONLY),
        fired
    ]
}

fn interval() -> impl Strategy<Value = Window> {
    (timestamp(), 0..100_000_i64).prop_map(|(end, size)| Window::Interval {
        start: EventTime(end.0 - size),
        end,
    })
}

fn custom() -> impl Strategy<Value = Window> {
    (timestamp(), "[a-z]{0,20}").prop_map(|(max_timestamp, name)| {
        let mut encoded = max_timestamp.encode().to_vec();
        encoded.push(name.len() as u8);
        encoded.extend_from_slice(name.as_bytes());
        Window::Custom {
            max_timestamp,
            encoded: encoded.into(),
        }
    })
}

fn windows() -> impl Strategy<Value = (WindowKind, Vec<Window>)> {
    let custom_kind = WindowKind::Custom(Coder::CustomWindow(Box::new(Coder::StringUtf8)));
    prop_oneof![
        Just((WindowKind::Global, vec![Window::Global])),
        prop::collection::vec(interval(), 0..4).prop_map(|w| (WindowKind::Interval, w)),
        prop::collection::vec(custom(), 1..3).prop_map(move |w| (custom_kind.clone(), w)),
    ]
}

type Plain = (EventTime, PaneInfo, Vec<u8>, Vec<u8>);

fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let mut nested = Vec::new();
    Coder::Bytes
        .nest(bytes, &mut nested)
        .expect("bytes always nest");
    nested
}

proptest! {
    #[test]
    fn timestamps_sort_as_their_encodings(a in timestamp(), b in timestamp()) {
        prop_assert_eq!(EventTime::decode(a.encode()), a);
        prop_assert_eq!(a.cmp(&b), a.encode().cmp(&b.encode()));
    }

    #[test]
    fn panes(pane in pane()) {
        let mut encoded = Vec::new();
        pane.encode(&mut encoded);
        let mut input = encoded.as_slice();
        prop_assert_eq!(PaneInfo::decode(&mut input), Ok(pane));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn chunks_of_windowed_values(
        (kind, windows) in windows(),
        elements in prop::collection::vec(
            (timestamp(), pane(), prop::collection::vec(any::<u8>(), 0..200), prop::collection::vec(any::<u8>(), 0..9)),
            0..20,
        ),
    ) {
        let codec = WindowedCodec::new(Coder::kv(Coder::Bytes, Coder::Bytes), kind);
        let mut chunk = Vec::new();
        for (timestamp, pane, key, value) in &elements {
            codec.encode_header(*timestamp, &windows, pane, &mut chunk)?;
            chunk.extend(prefixed(key));
            chunk.extend(prefixed(value));
        }
        let walked: Vec<Plain> = codec
            .iter(&chunk)
            .map(|element| {
                let element = element?;
                prop_assert_eq!(element.window_count() as usize, windows.len());
                let parsed = element.windows().collect::<Result<Vec<_>, _>>()?;
                prop_assert_eq!(&parsed, &windows);
                let cut: Vec<&[u8]> = element.each_window_bytes().collect::<Result<_, _>>()?;
                prop_assert_eq!(cut.concat(), element.windows_bytes());
                prop_assert_eq!(&chunk[element.range()], element.bytes());
                prop_assert_eq!(&chunk[element.value_range()], element.value());
                prop_assert_eq!(&chunk[element.windows_range()], element.windows_bytes());
                prop_assert!(codec.coder().check(element.bytes()).is_ok());
                let (key, value) = (element.key().to_vec(), element.value_of_key().to_vec());
                Ok((element.timestamp, element.pane()?, key, value))
            })
            .collect::<Result<_, TestCaseError>>()?;
        let expected: Vec<Plain> =
            elements.iter().map(|(t, p, k, v)| (*t, *p, prefixed(k), prefixed(v))).collect();
        prop_assert_eq!(walked, expected);
        let summary = Summary {
            count: elements.len() as u64,
            min_timestamp: elements.iter().map(|e| e.0).min().map_or(EventTime::MAX, |first| {
                let ends = windows.iter().filter(|window| **window != Window::Global);
                ends.map(Window::max_timestamp).fold(first, EventTime::min)
            }),
        };
        prop_assert_eq!(codec.summarise(&chunk), Ok(summary));
    }

    #[test]
    fn chunks_of_timers(
        (kind, windows) in windows(),
        timers in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..20), ".{0,5}", prop::option::of((timestamp(), timestamp(), pane()))),
            0..10,
        ),
    ) {
        let codec = TimerCodec::new(Coder::Bytes, kind);
        let timers: Vec<Timer> = timers
            .into_iter()
            .map(|(key, tag, firing)| Timer {
                key: Bytes::from(prefixed(&key)),
                tag,
                windows: windows.clone(),
                firing: firing.map(|(fire_timestamp, hold_timestamp, pane)| Firing { fire_timestamp, hold_timestamp, pane }),
            })
            .collect();
        let mut chunk = Vec::new();
        for timer in &timers {
            let start = chunk.len();
            codec.encode(timer, &mut chunk)?;
            prop_assert!(codec.coder().check(&chunk[start..]).is_ok());
        }
        let decoded: Vec<Timer> = codec.iter(&chunk).collect::<Result<_, _>>()?;
        prop_assert_eq!(decoded, timers);
    }

    #[test]
    fn arbitrary_bytes_are_an_error_at_worst(coder in coder(), input in prop::collection::vec(any::<u8>(), 0..100)) {
        let mut rest = input.as_slice();
        if coder.skip(&mut rest).is_ok() {
            prop_assert!(input.ends_with(rest));
        }
        let mut nested = Vec::new();
        let _ = coder.nest(&input, &mut nested);
        for kind in [WindowKind::Global, WindowKind::Interval, WindowKind::Custom(Coder::CustomWindow(Box::new(Coder::Bytes)))] {
            let codec = WindowedCodec::new(coder.clone(), kind.clone());
            let mut errors = 0;
            for element in codec.iter(&input) {
                match element {
                    Ok(element) => drop(element.windows().collect::<Vec<_>>()),
                    Err(_) => errors += 1,
                }
            }
            prop_assert_eq!(errors == 1, codec.summarise(&input).is_err());
            let _ = TimerCodec::new(coder.clone(), kind).iter(&input).collect::<Vec<_>>();
        }
    }
}

fn coder() -> impl Strategy<Value = Coder> {
    let leaf = prop_oneof![
        Just(Coder::Bytes),
        Just(Coder::StringUtf8),
        Just(Coder::Bool),
        Just(Coder::Varint),
        Just(Coder::Double),
        Just(Coder::Decimal),
        Just(Coder::FixedWidth(2)),
        Just(Coder::GlobalWindow),
        Just(Coder::IntervalWindow),
        Just(Coder::Opaque {
            urn: "unknown".into()
        }),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Coder::Iterable),
            boxed.clone().prop_map(Coder::StateBackedIterable),
            boxed.clone().prop_map(Coder::LengthPrefix),
            boxed.clone().prop_map(Coder::Nullable),
            boxed.clone().prop_map(Coder::ShardedKey),
            boxed.clone().prop_map(Coder::CustomWindow),
            (boxed.clone(), boxed.clone()).prop_map(|(k, v)| Coder::Kv(k, v)),
            (boxed.clone(), boxed.clone()).prop_map(|(k, v)| Coder::Map(k, v)),
            (boxed.clone(), boxed.clone()).prop_map(|(key, window)| Coder::Timer { key, window }),
            (boxed.clone(), boxed)
                .prop_map(|(value, window)| Coder::WindowedValue { value, window }),
            prop::collection::vec(inner, 0..3).prop_map(|fields| Coder::Row(Row::in_order(fields))),
        ]
    })
}

/// A count of two thousand million values that take no bytes must not be walked one by one.
#[test]
fn values_without_bytes_are_not_counted_out() {
    let coder = Coder::iterable(Coder::kv(Coder::GlobalWindow, Coder::GlobalWindow));
    assert_eq!(coder.check(&i32::MAX.to_be_bytes()), Ok(()));
}

#[test]
fn a_coder_too_deep_is_refused() {
    let mut coder = Coder::Bool;
    for _ in 0..1000 {
        coder = Coder::Nullable(Box::new(coder));
    }
    assert!(coder.check(&[1; 1001]).is_err());
}
