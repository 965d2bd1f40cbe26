//! The fake harness: executes bundles in its own time, badly at times, and remembers everything.

use std::collections::{BTreeMap, BTreeSet};

use dataflume_engine::{
    Bundle, DataHandle, DataId, Effects, Executor, KeyGroupSummary, PendingData, Work,
};
use dataflume_graph::plan::{Plan, Stage, StageKind};
use dataflume_model::ids::{KeyGroup, PCollectionId, StageId};
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_proto::pipeline::test_stream_payload::event::Event;

use crate::rng::{Rng, hash};

const KEY_GROUPS: u64 = 4;

/// An element, or what is left of it at a splittable stage: the steps from `from` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Element {
    pub(crate) uid: u64,
    pub(crate) timestamp: EventTime,
    pub(crate) from: u64,
    /// Set once it was truncated: no step from here on.
    pub(crate) until: Option<u64>,
}

/// A timer that will emit an element's children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timer {
    pub(crate) event: bool,
    pub(crate) at: i64,
    pub(crate) element: Element,
}

/// What one bundle would do, should it be committed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Staged {
    pub(crate) effects: Effects,
    pub(crate) new_data: BTreeMap<DataId, Vec<Element>>,
    /// (element, step) pairs that this bundle processed.
    pub(crate) processed: Vec<(u64, u64)>,
    /// Times of elements that a stage with sorted input processed, by key group.
    pub(crate) sorted: Vec<(KeyGroup, EventTime)>,
    pub(crate) outputs: Vec<(PCollectionId, Element)>,
    pub(crate) timers_set: Vec<(KeyGroup, Timer)>,
    pub(crate) timers_fired: Vec<(KeyGroup, Timer)>,
}

/// Everything outside of the engine.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    pub(crate) data: BTreeMap<DataId, Vec<Element>>,
    pub(crate) timers: BTreeMap<(StageId, KeyGroup), BTreeSet<Timer>>,
    next_data: u64,
}

impl World {
    pub(crate) fn new(plan: Plan, rng: Rng) -> Self {
        Self {
            plan,
            rng,
            data: BTreeMap::new(),
            timers: BTreeMap::new(),
            next_data: 0,
        }
    }

    /// Runs a bundle on what is committed so far.
    pub(crate) fn execute(&mut self, bundle: &Bundle) -> Staged {
        let stage = self.plan.stage(bundle.stage).clone();
        let mut staged = Staged::default();
        let mut groups = BTreeSet::new();
        match &bundle.work {
            Work::Impulse => {
                let element = Element {
                    uid: hash(&[1, stage.id.0.into()]),
                    timestamp: EventTime::MIN,
                    from: 0,
                    until: None,
                };
                staged.outputs.push((stage.outputs[0], element));
            }
            Work::TestStreamEvent(index) => staged.outputs = script_elements(&stage, *index),
            Work::Elements(pieces) => {
                let sorted = is_sorted(&stage);
                let mut due = Vec::new();
                for piece in pieces {
                    let group = piece.handle.key_group;
                    groups.extend(group);
                    let mut early = Vec::new();
                    for element in self.data[&piece.handle.id].clone() {
                        if sorted && !passed(element.timestamp, bundle) {
                            early.push(element);
                        } else {
                            due.push((element, group));
                        }
                    }
                    self.keep_early(early, piece, &mut staged);
                }
                if sorted {
                    due.sort_by_key(|(element, _)| element.timestamp);
                }
                for (element, group) in due {
                    self.process(&stage, bundle, group, element, &mut staged);
                }
            }
            Work::Truncate(pieces) => {
                for piece in pieces {
                    for element in self.data[&piece.handle.id].clone() {
                        self.truncate(element, piece, &mut staged);
                    }
                }
            }
            Work::Timers(due) => {
                groups.extend(due.iter().copied());
                for group in due {
                    self.fire(&stage, bundle, *group, &mut staged);
                }
            }
        }
        if matches!(role(&stage), Role::Keyed) {
            let summaries = groups
                .iter()
                .map(|group| self.summary(stage.id, *group, &staged));
            staged.effects.key_groups = summaries.collect();
        }
        self.deliver(&mut staged);
        staged
    }

    fn process(
        &mut self,
        stage: &Stage,
        bundle: &Bundle,
        group: Option<KeyGroup>,
        element: Element,
        staged: &mut Staged,
    ) {
        match role(stage) {
            Role::PassOn => {
                staged.processed.push((element.uid, 0));
                emit(stage, element, staged);
            }
            Role::ParDo => {
                staged.processed.push((element.uid, 0));
                emit(stage, element, staged);
            }
            Role::Keyed => {
                staged.processed.push((element.uid, 0));
                let group = group.expect("keyed stages get key groups");
                if is_sorted(stage) {
                    staged.sorted.push((group, element.timestamp));
                }
                let choice = hash(&[element.uid, stage.id.0.into(), 7]);
                let delay = (choice / 3 % 60) as i64;
                let base = base_time(element);
                match choice % 3 {
                    0 => emit(stage, element, staged),
                    1 => {
                        let timer = Timer {
                            event: true,
                            at: base.0 + delay,
                            element,
                        };
                        staged.timers_set.push((group, timer));
                    }
                    _ => {
                        let at = bundle.processing_time.0 + 1 + delay;
                        staged.timers_set.push((
                            group,
                            Timer {
                                event: false,
                                at,
                                element,
                            },
                        ));
                    }
                }
            }
            Role::Splittable => {
                let all = steps(stage, element);
                let steps = element.until.map_or(all, |until| until.min(all));
                let mut at = element.from;
                while at < steps && (at == element.from || !self.rng.one_in(4)) {
                    staged.processed.push((element.uid, at));
                    emit_step(stage, element, at, staged);
                    at += 1;
                }
                if at < steps {
                    let residual = Element {
                        from: at,
                        ..element
                    };
                    self.residual(residual, bundle, staged);
                }
            }
        }
    }

    /// The rest of a splittable element comes back later, some of it after a delay.
    fn residual(&mut self, residual: Element, bundle: &Bundle, staged: &mut Staged) {
        let id = self.new_id();
        staged.new_data.insert(id, vec![residual]);
        let ready_at = match &bundle.work {
            Work::Elements(pieces) => pieces[0].handle.side_inputs_ready_at.clone(),
            _ => Default::default(),
        };
        let delay = self.rng.one_in(3).then(|| self.rng.below(80) as i64);
        staged.effects.residuals.push(PendingData {
            handle: DataHandle {
                id,
                elements: 1,
                bytes: 10,
                min_timestamp: residual.timestamp,
                key_group: None,
                side_inputs_ready_at: ready_at,
            },
            hold: step_time(residual, residual.from),
            not_before: delay.map(|delay| ProcessingTime(bundle.processing_time.0 + delay)),
        });
    }

    /// What a stage with sorted input may not process yet comes back.
    fn keep_early(&mut self, early: Vec<Element>, piece: &PendingData, staged: &mut Staged) {
        let Some(min_timestamp) = early.iter().map(|element| element.timestamp).min() else {
            return;
        };
        let id = self.new_id();
        let handle = DataHandle {
            id,
            elements: early.len() as u64,
            min_timestamp,
            ..piece.handle.clone()
        };
        staged.new_data.insert(id, early);
        staged.effects.residuals.push(PendingData::from(handle));
    }

    /// Of a restriction that is truncated, up to two steps are left.
    fn truncate(&mut self, element: Element, piece: &PendingData, staged: &mut Staged) {
        let keep = self.rng.below(3);
        if keep == 0 {
            return;
        }
        let id = self.new_id();
        let until = Some(element.from + keep);
        staged
            .new_data
            .insert(id, vec![Element { until, ..element }]);
        let handle = DataHandle {
            id,
            elements: 1,
            min_timestamp: element.timestamp,
            ..piece.handle.clone()
        };
        staged.effects.residuals.push(PendingData::from(handle));
    }

    fn fire(&mut self, stage: &Stage, bundle: &Bundle, group: KeyGroup, staged: &mut Staged) {
        let Some(timers) = self.timers.get(&(stage.id, group)) else {
            return;
        };
        let watermark = bundle.input_watermark;
        let due = timers.iter().filter(|timer| {
            if timer.event {
                timer.at < watermark.0 || watermark == EventTime::MAX
            } else {
                timer.at <= bundle.processing_time.0
            }
        });
        for timer in due.copied() {
            staged.timers_fired.push((group, timer));
            emit(stage, timer.element, staged);
        }
    }

    fn summary(&self, stage: StageId, group: KeyGroup, staged: &Staged) -> KeyGroupSummary {
        let mut timers = self
            .timers
            .get(&(stage, group))
            .cloned()
            .unwrap_or_default();
        let of_group = |list: &[(KeyGroup, Timer)]| -> Vec<Timer> {
            list.iter()
                .filter(|(g, _)| *g == group)
                .map(|(_, timer)| *timer)
                .collect()
        };
        for fired in of_group(&staged.timers_fired) {
            timers.remove(&fired);
        }
        timers.extend(of_group(&staged.timers_set));
        let next = |event: bool| {
            timers
                .iter()
                .filter(|t| t.event == event)
                .map(|t| t.at)
                .min()
        };
        KeyGroupSummary {
            key_group: group,
            next_event_timer: next(true).map(EventTime),
            next_processing_timer: next(false).map(ProcessingTime),
            hold: timers.iter().map(|timer| timer.element.timestamp).min(),
        }
    }

    /// Cuts outputs into pieces for their consumers, as the driver does.
    fn deliver(&mut self, staged: &mut Staged) {
        for consumer in self.plan.stages.clone() {
            let mut pieces: BTreeMap<(Option<KeyGroup>, Vec<EventTime>, u64), Vec<Element>> =
                BTreeMap::new();
            for (pcollection, element) in &staged.outputs {
                for _ in consumer.inputs.iter().filter(|input| *input == pcollection) {
                    let element = Element {
                        from: 0,
                        until: None,
                        ..*element
                    };
                    let chunk = match role(&consumer) {
                        Role::Splittable => element.uid,
                        _ => self.rng.below(3),
                    };
                    let key = (
                        key_group(&consumer, element),
                        ready_at(&consumer, element),
                        chunk,
                    );
                    pieces.entry(key).or_default().push(element);
                }
            }
            let handles: Vec<DataHandle> = pieces
                .into_iter()
                .map(|((key_group, ready_at, _), elements)| {
                    let id = self.new_id();
                    let handle = DataHandle {
                        id,
                        elements: elements.len() as u64,
                        bytes: 10 * elements.len() as u64,
                        min_timestamp: elements
                            .iter()
                            .map(|e| e.timestamp)
                            .min()
                            .expect("not empty"),
                        key_group,
                        side_inputs_ready_at: ready_at.into(),
                    };
                    staged.new_data.insert(id, elements);
                    handle
                })
                .collect();
            if !handles.is_empty() {
                staged.effects.deliveries.push((consumer.id, handles));
            }
        }
    }

    /// Divides what a running bundle has: whole pieces, or the elements within one.
    pub(crate) fn split(
        &mut self,
        work: &[PendingData],
    ) -> Option<(Vec<PendingData>, Vec<PendingData>)> {
        if work.len() > 1 {
            let at = 1 + self.rng.below(work.len() as u64 - 1) as usize;
            return Some((work[..at].to_vec(), work[at..].to_vec()));
        }
        let only = work.first()?;
        let elements = self.data[&only.handle.id].clone();
        if elements.len() < 2 {
            return None;
        }
        let at = 1 + self.rng.below(elements.len() as u64 - 1) as usize;
        let part = |world: &mut Self, elements: &[Element]| {
            let id = world.new_id();
            world.data.insert(id, elements.to_vec());
            let min_timestamp = elements
                .iter()
                .map(|e| e.timestamp)
                .min()
                .expect("not empty");
            let handle = DataHandle {
                id,
                elements: elements.len() as u64,
                bytes: 10 * elements.len() as u64,
                min_timestamp,
                ..only.handle.clone()
            };
            vec![PendingData::from(handle)]
        };
        let primary = part(self, &elements[..at]);
        Some((primary, part(self, &elements[at..])))
    }

    fn new_id(&mut self) -> DataId {
        self.next_data += 1;
        DataId(self.next_data)
    }
}

/// What the fake harness does at a stage.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    PassOn,
    ParDo,
    Keyed,
    Splittable,
}

pub(crate) fn role(stage: &Stage) -> Role {
    match &stage.kind {
        StageKind::Executable(e) if e.keyed.is_some() => Role::Keyed,
        StageKind::Executable(e) if e.splittable.is_some() => Role::Splittable,
        StageKind::Executable(_) => Role::ParDo,
        StageKind::GroupByKey(group) if !group.at_end_of_input => Role::Keyed,
        _ => Role::PassOn,
    }
}

pub(crate) fn is_sorted(stage: &Stage) -> bool {
    matches!(&stage.kind, StageKind::Executable(e) if e.requires_time_sorted_input)
}

/// Whether nothing of this time or before can come to the bundle's stage any more.
pub(crate) fn passed(time: EventTime, bundle: &Bundle) -> bool {
    time < bundle.upstream_watermark || bundle.upstream_watermark == EventTime::MAX
}

pub(crate) fn is_keyed(stage: &Stage) -> bool {
    matches!(stage.kind, StageKind::GroupByKey(_))
        || matches!(role(stage), Role::Keyed)
        || waits_for_all(stage)
}

/// Whether it takes a key group once, when its input is complete.
pub(crate) fn waits_for_all(stage: &Stage) -> bool {
    match &stage.kind {
        StageKind::GroupByKey(group) => group.at_end_of_input,
        StageKind::Redistribute { by_key } => *by_key,
        _ => false,
    }
}

fn key_group(stage: &Stage, element: Element) -> Option<KeyGroup> {
    is_keyed(stage).then(|| KeyGroup((hash(&[element.uid, 3]) % KEY_GROUPS) as u32))
}

/// Side windows of 100 ms, or the global one.
fn ready_at(stage: &Stage, element: Element) -> Vec<EventTime> {
    let ready = |index: usize| {
        if index == 0 || element.timestamp == EventTime::MIN {
            EventTime::END_OF_GLOBAL_WINDOW
        } else {
            EventTime(element.timestamp.0.div_euclid(100) * 100 + 99)
        }
    };
    (0..stage.side_inputs.len()).map(ready).collect()
}

/// The impulse is at the beginning of time; what is made of it is spread over a second.
fn base_time(element: Element) -> EventTime {
    if element.timestamp == EventTime::MIN {
        EventTime((hash(&[element.uid, 11]) % 1000) as i64)
    } else {
        element.timestamp
    }
}

pub(crate) fn steps(stage: &Stage, element: Element) -> u64 {
    1 + hash(&[element.uid, stage.id.0.into(), 5]) % 5
}

fn step_time(element: Element, step: u64) -> EventTime {
    EventTime(base_time(element).0 + 3 * step as i64)
}

fn emit(stage: &Stage, element: Element, staged: &mut Staged) {
    staged.outputs.extend(children(stage, element));
}

fn emit_step(stage: &Stage, element: Element, step: u64, staged: &mut Staged) {
    staged.outputs.extend(step_children(stage, element, step));
}

/// What a stage makes of an element: the same whenever and wherever it runs.
pub(crate) fn children(stage: &Stage, element: Element) -> Vec<(PCollectionId, Element)> {
    if matches!(role(stage), Role::PassOn) || matches!(stage.kind, StageKind::GroupByKey(_)) {
        let uid = hash(&[element.uid, stage.id.0.into()]);
        return vec![(
            stage.outputs[0],
            Element {
                uid,
                from: 0,
                until: None,
                ..element
            },
        )];
    }
    let mut children = Vec::new();
    for output in &stage.outputs {
        let many = if element.timestamp == EventTime::MIN {
            12
        } else {
            3
        };
        for n in 0..hash(&[element.uid, output.0.into()]) % many {
            let uid = hash(&[element.uid, output.0.into(), n, 1]);
            let later = (hash(&[uid, 2]) % 20) as i64;
            let from = if element.timestamp == EventTime::MIN {
                EventTime((hash(&[uid, 11]) % 1000) as i64)
            } else {
                element.timestamp
            };
            let timestamp = EventTime(from.0 + later);
            children.push((
                *output,
                Element {
                    uid,
                    timestamp,
                    from: 0,
                    until: None,
                },
            ));
        }
    }
    children
}

pub(crate) fn step_children(
    stage: &Stage,
    element: Element,
    step: u64,
) -> Vec<(PCollectionId, Element)> {
    let child = |output: &PCollectionId| {
        let uid = hash(&[element.uid, output.0.into(), step, 4]);
        (
            *output,
            Element {
                uid,
                timestamp: step_time(element, step),
                from: 0,
                until: None,
            },
        )
    };
    stage.outputs.iter().map(child).collect()
}

pub(crate) fn script_elements(stage: &Stage, index: usize) -> Vec<(PCollectionId, Element)> {
    let StageKind::TestStream(stream) = &stage.kind else {
        panic!("{} has no script", stage.name)
    };
    let Some(Event::ElementEvent(event)) = &stream.payload.events[index].event else {
        panic!("event {index} has no elements");
    };
    let output = stream.output(&event.tag).expect("the tag is known");
    let element = |(n, element): (
        usize,
        &dataflume_proto::pipeline::test_stream_payload::TimestampedElement,
    )| {
        let uid = hash(&[99, index as u64, n as u64]);
        (
            output,
            Element {
                uid,
                timestamp: EventTime(element.timestamp),
                from: 0,
                until: None,
            },
        )
    };
    event.elements.iter().enumerate().map(element).collect()
}

pub(crate) fn on_worker(bundle: &Bundle) -> bool {
    matches!(bundle.executor, Executor::Worker(_))
}
