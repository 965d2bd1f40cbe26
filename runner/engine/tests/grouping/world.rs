//! A grouping with one key group, a store, a watermark and a clock, driven step by step.
//!
//! After every step it checks what must always hold: no pane's timestamp is behind the output
//! watermark, unless it is late, and the output watermark does not go back.

use std::fmt::{self, Write};
use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_engine::KeyGroupSummary;
use dataflume_engine::grouping::{
    Grouper, GroupingEffects, GroupingError, GroupingOptions, GroupingWork, WindowMerger,
};
use dataflume_engine::store::{MemoryStore, Store};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{KeyGroup, StageId};
use dataflume_model::pane::{PaneInfo, PaneTiming};
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::window::{MergeStatus, Window, WindowFn, WindowKind, WindowingStrategy};
use dataflume_model::windowed::WindowedCodec;
use dataflume_model::wire;

pub(crate) const GROUP: KeyGroup = KeyGroup(7);
pub(crate) const STAGE: StageId = StageId(3);

/// A pane that was emitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pane {
    pub(crate) key: String,
    pub(crate) window: Window,
    pub(crate) timestamp: EventTime,
    pub(crate) info: PaneInfo,
    pub(crate) values: Vec<i64>,
}

pub(crate) struct World {
    pub(crate) strategy: WindowingStrategy,
    grouper: Grouper,
    input: WindowedCodec,
    pub(crate) store: MemoryStore,
    pub(crate) watermark: EventTime,
    pub(crate) now: ProcessingTime,
    pub(crate) summary: KeyGroupSummary,
    output_watermark: EventTime,
    pub(crate) dropped_late: u64,
    pub(crate) dropped_closed: u64,
}

impl World {
    pub(crate) fn new(strategy: WindowingStrategy, options: GroupingOptions) -> Self {
        let kind = strategy.kind.clone();
        let input = WindowedCodec::new(Coder::kv(Coder::StringUtf8, Coder::Varint), kind);
        let grouper = Grouper::new(STAGE, strategy.clone(), input.clone(), options)
            .expect("the strategy is supported");
        Self {
            strategy,
            grouper,
            input,
            store: MemoryStore::default(),
            watermark: EventTime::MIN,
            now: ProcessingTime(0),
            summary: KeyGroupSummary {
                key_group: GROUP,
                next_event_timer: None,
                next_processing_timer: None,
                hold: None,
            },
            output_watermark: EventTime::MIN,
            dropped_late: 0,
            dropped_closed: 0,
        }
    }

    /// What whoever reads the panes sees of the watermark.
    fn publish(&mut self) {
        let output = self
            .summary
            .hold
            .map_or(self.watermark, |hold| hold.min(self.watermark));
        assert!(
            output >= self.output_watermark,
            "{output} is behind {}",
            self.output_watermark
        );
        self.output_watermark = output;
    }

    /// One bundle of elements of key `k`, whose values are their timestamps.
    pub(crate) fn elements(&mut self, timestamps: &[i64]) -> Vec<Pane> {
        let elements: Vec<_> = timestamps.iter().map(|t| ("k", *t, *t)).collect();
        self.bundle(&elements)
    }

    /// One bundle of elements: key, timestamp, value.
    pub(crate) fn bundle(&mut self, elements: &[(&str, i64, i64)]) -> Vec<Pane> {
        let mut chunk = Vec::new();
        for (key, timestamp, value) in elements {
            let timestamp = EventTime(*timestamp);
            let windows = self
                .strategy
                .window_fn
                .assign(timestamp)
                .expect("a known function");
            let pane = PaneInfo::NO_FIRING;
            self.input
                .encode_header(timestamp, &windows, &pane, &mut chunk)
                .expect("its windows");
            wire::put_prefixed(key.as_bytes(), &mut chunk);
            wire::put_varint(*value as u64, &mut chunk);
        }
        let mut panes = self.run(vec![(GROUP, vec![chunk.into()])], vec![]);
        panes.extend(self.fire_due());
        panes
    }

    pub(crate) fn advance_watermark(&mut self, to: EventTime) -> Vec<Pane> {
        self.watermark = to;
        self.publish();
        self.fire_due()
    }

    pub(crate) fn advance_clock(&mut self, by_ms: i64) -> Vec<Pane> {
        self.now = self.now.plus_ms(by_ms);
        self.fire_due()
    }

    /// As the engine does: fires timers while any is due.
    fn fire_due(&mut self) -> Vec<Pane> {
        let mut panes = Vec::new();
        for _ in 0..100 {
            let event = self
                .summary
                .next_event_timer
                .is_some_and(|time| time < self.watermark || self.watermark == EventTime::MAX);
            let processing = self
                .summary
                .next_processing_timer
                .is_some_and(|time| time <= self.now);
            if !event && !processing {
                return panes;
            }
            panes.extend(self.run(vec![], vec![GROUP]));
        }
        panic!("timers stay due: {:?}", self.summary);
    }

    pub(crate) fn try_run(
        &self,
        elements: Vec<(KeyGroup, Vec<Bytes>)>,
        timers: Vec<KeyGroup>,
    ) -> Result<GroupingEffects, GroupingError> {
        let work = GroupingWork {
            elements,
            timers,
            input_watermark: self.watermark,
            processing_time: self.now,
        };
        self.grouper.run(&self.store, &work)
    }

    /// One bundle of elements in windows of their own, merged by someone: key, value, window.
    pub(crate) fn bundle_in(
        &mut self,
        elements: &[(&str, i64, Window)],
        merger: &dyn WindowMerger,
    ) -> Vec<Pane> {
        let effects = self.try_bundle_in(elements, merger);
        let mut panes = self.commit(effects.expect("the grouping runs"));
        panes.extend(self.fire_due());
        panes
    }

    pub(crate) fn try_bundle_in(
        &self,
        elements: &[(&str, i64, Window)],
        merger: &dyn WindowMerger,
    ) -> Result<GroupingEffects, GroupingError> {
        let mut chunk = Vec::new();
        for (key, value, window) in elements {
            let (timestamp, window) = (window.max_timestamp(), std::slice::from_ref(window));
            self.input
                .encode_header(timestamp, window, &PaneInfo::NO_FIRING, &mut chunk)
                .expect("its window");
            wire::put_prefixed(key.as_bytes(), &mut chunk);
            wire::put_varint(*value as u64, &mut chunk);
        }
        let work = GroupingWork {
            elements: vec![(GROUP, vec![chunk.into()])],
            timers: vec![],
            input_watermark: self.watermark,
            processing_time: self.now,
        };
        self.grouper.run_with(&self.store, &work, merger)
    }

    fn run(&mut self, elements: Vec<(KeyGroup, Vec<Bytes>)>, timers: Vec<KeyGroup>) -> Vec<Pane> {
        let effects = self.try_run(elements, timers).expect("the grouping runs");
        self.commit(effects)
    }

    fn commit(&mut self, effects: GroupingEffects) -> Vec<Pane> {
        let panes = self.decode(&effects.output);
        assert_eq!(panes.len() as u64, effects.output_elements);
        for pane in &panes {
            assert!(pane.timestamp <= pane.window.max_timestamp(), "{pane}");
            let late = pane.info.timing == PaneTiming::Late;
            let output = self.output_watermark;
            assert!(
                late || pane.timestamp >= output,
                "behind the output watermark {output}: {pane}"
            );
        }
        self.store.commit(effects.batch).expect("a store in memory");
        assert_eq!(effects.key_groups.len(), 1);
        self.summary = effects.key_groups[0].clone();
        self.publish();
        self.dropped_late += effects.dropped_late;
        self.dropped_closed += effects.dropped_closed;
        panes
    }

    fn decode(&self, chunks: &[Bytes]) -> Vec<Pane> {
        let value = Coder::kv(Coder::StringUtf8, Coder::iterable(Coder::Varint));
        let codec = WindowedCodec::new(value, self.input.window.clone());
        let mut panes = Vec::new();
        for chunk in chunks {
            for element in codec.iter(chunk) {
                let element = element.expect("an element");
                let windows: Vec<Window> = element
                    .windows()
                    .collect::<Result<_, _>>()
                    .expect("windows");
                let [window] = windows.try_into().expect("one window");
                let key = wire::prefixed(&mut element.key()).expect("a key").to_vec();
                let mut rest = &element.value_of_key()[4..];
                let mut values = Vec::new();
                while !rest.is_empty() {
                    values.push(wire::varint(&mut rest).expect("a value") as i64);
                }
                panes.push(Pane {
                    key: String::from_utf8(key).expect("a text"),
                    window,
                    timestamp: element.timestamp,
                    info: element.pane().expect("a pane"),
                    values,
                });
            }
        }
        panes
    }

    /// The keys in the store.
    pub(crate) fn stored(&self) -> usize {
        let mut count = 0;
        let visited = self.store.scan(b"", b"", &mut |_, _| {
            count += 1;
            ControlFlow::Continue(())
        });
        visited.expect("a store in memory");
        count
    }
}

/// Such as `[0, 10) early 0/-1 @9 first: 1 2`.
impl fmt::Display for Pane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key != "k" {
            write!(f, "{}: ", self.key)?;
        }
        match &self.window {
            Window::Interval { start, end } => write!(f, "[{}, {})", start.0, end.0)?,
            other => write!(f, "{other}")?,
        }
        let info = &self.info;
        let timing = match info.timing {
            PaneTiming::Early => "early",
            PaneTiming::OnTime => "on time",
            PaneTiming::Late => "late",
            PaneTiming::Unknown => "unknown",
        };
        write!(
            f,
            " {timing} {}/{} @",
            info.index, info.nonspeculative_index
        )?;
        match self.timestamp {
            EventTime::END_OF_GLOBAL_WINDOW => f.write_str("end")?,
            EventTime(ms) => write!(f, "{ms}")?,
        }
        f.write_str(if info.is_first { " first" } else { "" })?;
        f.write_str(if info.is_last { " last" } else { "" })?;
        f.write_str(":")?;
        self.values
            .iter()
            .try_for_each(|value| write!(f, " {value}"))
    }
}

/// Runs a script and gives its trace: each step, then the panes that it made.
///
/// A step is `+ 1 2 3` (a bundle of elements with these timestamps), `watermark 10`, `clock 5` (so many
/// milliseconds later) or `end` (the watermark's last step, after which nothing may be left).
pub(crate) fn trace(world: &mut World, script: &str) -> String {
    let mut text = String::new();
    for step in script
        .split(';')
        .map(str::trim)
        .filter(|step| !step.is_empty())
    {
        let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
        let numbers: Vec<i64> = rest
            .split_whitespace()
            .map(|n| n.parse().expect("a number"))
            .collect();
        let panes = match word {
            "+" => world.elements(&numbers),
            "watermark" => world.advance_watermark(EventTime(numbers[0])),
            "clock" => world.advance_clock(numbers[0]),
            "end" => world.advance_watermark(EventTime::MAX),
            other => panic!("unknown step {other}"),
        };
        writeln!(text, "{step}").expect("a string");
        for pane in panes {
            writeln!(text, "    {pane}").expect("a string");
        }
        if word == "end" {
            assert_eq!(world.stored(), 0, "something is left in the store");
            let summary = &world.summary;
            let left = (
                summary.next_event_timer,
                summary.next_processing_timer,
                summary.hold,
            );
            assert_eq!(left, (None, None, None));
        }
    }
    if world.dropped_late + world.dropped_closed > 0 {
        let (late, closed) = (world.dropped_late, world.dropped_closed);
        writeln!(text, "dropped: {late} late, {closed} closed").expect("a string");
    }
    text
}

pub(crate) fn fixed(size_ms: i64) -> WindowingStrategy {
    WindowingStrategy {
        window_fn: WindowFn::Fixed {
            size_ms,
            offset_ms: 0,
        },
        kind: WindowKind::Interval,
        ..WindowingStrategy::default()
    }
}

pub(crate) fn sessions(gap_ms: i64) -> WindowingStrategy {
    WindowingStrategy {
        window_fn: WindowFn::Sessions { gap_ms },
        merge_status: MergeStatus::NeedsMerge,
        kind: WindowKind::Interval,
        ..WindowingStrategy::default()
    }
}
