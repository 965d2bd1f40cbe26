//! What must hold after every step, worked out without asking the engine how it thinks.

use std::collections::{BTreeMap, BTreeSet};

use dataflume_engine::{Bundle, DataId, Engine, PendingData, Work};
use dataflume_graph::plan::{Plan, Stage, StageKind};
use dataflume_model::ids::{BundleId, KeyGroup, PCollectionId, StageId};
use dataflume_model::time::{EventTime, ProcessingTime};

use crate::rng::hash;
use crate::world::{
    Element, Role, Staged, World, children, is_sorted, passed, role, script_elements,
    step_children, steps, waits_for_all,
};

/// What the engine has promised and done so far.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    input_watermarks: BTreeMap<StageId, EventTime>,
    output_watermarks: BTreeMap<StageId, EventTime>,
    /// By stage: an event timer of this time has fired, or a side input up to it was read.
    timers_fired_to: BTreeMap<StageId, EventTime>,
    side_inputs_read_to: BTreeMap<PCollectionId, EventTime>,
    /// How often each (stage, element, step) was committed.
    committed: BTreeMap<(StageId, u64, u64), u32>,
    busy: BTreeMap<(StageId, KeyGroup), BundleId>,
    grouped: BTreeSet<(StageId, KeyGroup)>,
    /// Data that arrived at a stage and was not yet consumed by a commit.
    waiting: BTreeMap<(StageId, DataId), EventTime>,
    /// By stage and key group: the last time that a stage with sorted input has seen.
    sorted_to: BTreeMap<(StageId, KeyGroup), EventTime>,
    /// Events of scripts that were committed.
    played: BTreeSet<(StageId, usize)>,
    /// The job was asked to drain.
    pub(crate) draining: bool,
}

impl Checks {
    pub(crate) fn watermarks(&mut self, engine: &Engine, plan: &Plan) {
        for stage in &plan.stages {
            let id = stage.id;
            let input = engine.input_watermark(id);
            let output = engine.output_watermark(id);
            let old = self
                .input_watermarks
                .insert(id, input)
                .unwrap_or(EventTime::MIN);
            assert!(
                input >= old,
                "input watermark of {} went back from {old} to {input}",
                stage.name
            );
            let old = self
                .output_watermarks
                .insert(id, output)
                .unwrap_or(EventTime::MIN);
            assert!(
                output >= old,
                "output watermark of {} went back from {old} to {output}",
                stage.name
            );
            assert!(
                output <= input,
                "{}: output watermark {output} is ahead of input {input}",
                stage.name
            );
        }
    }

    pub(crate) fn started(&mut self, bundle: &Bundle, world: &World, now: ProcessingTime) {
        let stage = world.plan.stage(bundle.stage);
        let scripted = world
            .plan
            .stages
            .iter()
            .any(|s| matches!(s.kind, StageKind::TestStream(_)));
        if !scripted {
            assert!(
                bundle.processing_time <= now,
                "{}: from the future",
                stage.name
            );
        }
        match &bundle.work {
            Work::Impulse | Work::TestStreamEvent(_) => {}
            Work::Elements(pieces) => {
                if is_sorted(stage) {
                    let due = |piece: &PendingData| passed(piece.handle.min_timestamp, bundle);
                    assert!(pieces.iter().all(due), "{}: sorted early", stage.name);
                }
                let groups: BTreeSet<KeyGroup> =
                    pieces.iter().filter_map(|p| p.handle.key_group).collect();
                for group in groups {
                    self.occupy(bundle, group);
                    if waits_for_all(stage) {
                        assert!(
                            self.grouped.insert((stage.id, group))
                                || bundle.attempt > 1
                                || self.retried(bundle),
                            "{}: group {group} was grouped twice",
                            stage.name
                        );
                        assert_eq!(
                            bundle.upstream_watermark,
                            EventTime::MAX,
                            "{}: grouped early",
                            stage.name
                        );
                    }
                }
                for piece in pieces {
                    self.check_ready(stage.id, piece, world);
                    self.check_truncated(stage, piece, world);
                    assert!(
                        piece.not_before.is_none_or(|at| at <= now) || scripted,
                        "{}: a residual ran before its delay",
                        stage.name
                    );
                }
            }
            Work::Truncate(pieces) => {
                assert!(self.draining && truncatable(stage), "{}", stage.name);
                for piece in pieces {
                    self.check_ready(stage.id, piece, world);
                }
            }
            Work::Timers(groups) => {
                for group in groups {
                    self.occupy(bundle, *group);
                    self.check_timers(bundle, *group, world);
                }
            }
        }
    }

    /// A bundle whose worker was lost starts anew with the same work and the same attempt number.
    fn retried(&self, bundle: &Bundle) -> bool {
        let Work::Elements(pieces) = &bundle.work else {
            return false;
        };
        pieces
            .iter()
            .all(|piece| self.waiting.contains_key(&(bundle.stage, piece.handle.id)))
    }

    fn occupy(&mut self, bundle: &Bundle, group: KeyGroup) {
        let other = self.busy.insert((bundle.stage, group), bundle.id);
        assert!(
            other.is_none(),
            "two bundles have key group {group} of stage {}",
            bundle.stage
        );
    }

    fn check_ready(&mut self, stage: StageId, piece: &PendingData, world: &World) {
        let sides = &world.plan.stage(stage).side_inputs;
        for (side, ready_at) in sides.iter().zip(&piece.handle.side_inputs_ready_at) {
            for pcollection in &side.pcollections {
                let read_to = self
                    .side_inputs_read_to
                    .entry(*pcollection)
                    .or_insert(EventTime::MIN);
                *read_to = (*read_to).max(*ready_at);
            }
        }
    }

    fn check_truncated(&self, stage: &Stage, piece: &PendingData, world: &World) {
        let elements = &world.data[&piece.handle.id];
        let truncated = elements.iter().all(|element| element.until.is_some());
        assert!(
            truncated || !self.draining || !truncatable(stage),
            "{}: a restriction is processed whole while the job drains",
            stage.name
        );
    }

    /// Data that the job is done with, though no bundle consumed it.
    pub(crate) fn released(&mut self, ids: &[DataId], world: &World) {
        let draining = self.draining;
        self.waiting.retain(|(stage, id), _| {
            let dropped = draining && drops_on_drain(world.plan.stage(*stage));
            !(dropped && ids.contains(id))
        });
    }

    fn check_timers(&mut self, bundle: &Bundle, group: KeyGroup, world: &World) {
        let key = (bundle.stage, group);
        let timers = world.timers.get(&key).cloned().unwrap_or_default();
        let watermark = bundle.input_watermark;
        let mut due = 0;
        for timer in timers {
            if timer.event && (timer.at < watermark.0 || watermark == EventTime::MAX) {
                due += 1;
                let at = EventTime(timer.at);
                let earlier = self
                    .waiting
                    .iter()
                    .find(|((stage, _), t)| *stage == bundle.stage && **t <= at);
                assert!(
                    earlier.is_none(),
                    "a timer for {at} fires at {} before {earlier:?}",
                    bundle.stage
                );
                let fired_to = self
                    .timers_fired_to
                    .entry(bundle.stage)
                    .or_insert(EventTime::MIN);
                *fired_to = (*fired_to).max(at);
            } else if !timer.event && timer.at <= bundle.processing_time.0 {
                due += 1;
            }
        }
        assert!(due > 0, "a bundle for timers of {key:?} that are not due");
    }

    /// A bundle is out of flight, for good or until it is tried again.
    pub(crate) fn ended(&mut self, bundle: &Bundle) {
        self.busy.retain(|_, by| *by != bundle.id);
    }

    /// Called before the world takes over what the bundle staged.
    pub(crate) fn committed(&mut self, bundle: &Bundle, staged: &Staged, world: &World) {
        let stage = world.plan.stage(bundle.stage);
        for (group, time) in &staged.sorted {
            let key = (bundle.stage, *group);
            let before = self.sorted_to.insert(key, *time);
            let in_order = before.is_none_or(|before| before <= *time);
            assert!(in_order, "{}: {time} after {before:?}", stage.name);
        }
        for (uid, step) in &staged.processed {
            *self
                .committed
                .entry((bundle.stage, *uid, *step))
                .or_default() += 1;
        }
        if let Work::TestStreamEvent(index) = bundle.work {
            self.played.insert((bundle.stage, index));
        }
        if let Work::Elements(pieces) | Work::Truncate(pieces) = &bundle.work {
            for piece in pieces {
                let waited = self.waiting.remove(&(bundle.stage, piece.handle.id));
                assert!(waited.is_some(), "{}: data was consumed twice", stage.name);
            }
        }
        for residual in &staged.effects.residuals {
            self.waiting
                .insert((bundle.stage, residual.handle.id), residual.hold);
        }
        for (pcollection, element) in &staged.outputs {
            self.arrives(*pcollection, *element, stage.id, world);
        }
        for (consumer, handles) in &staged.effects.deliveries {
            for handle in handles {
                self.waiting
                    .insert((*consumer, handle.id), handle.min_timestamp);
            }
        }
    }

    pub(crate) fn split(&mut self, stage: StageId, before: &[PendingData], after: &[PendingData]) {
        for piece in before {
            self.waiting.remove(&(stage, piece.handle.id));
        }
        for piece in after {
            self.waiting.insert((stage, piece.handle.id), piece.hold);
        }
    }

    /// Nobody may have been told that an element like this cannot come any more.
    fn arrives(
        &self,
        pcollection: PCollectionId,
        element: Element,
        producer: StageId,
        world: &World,
    ) {
        let at = element.timestamp;
        let scripted = matches!(world.plan.stage(producer).kind, StageKind::TestStream(_));
        if !scripted {
            let promised = self
                .output_watermarks
                .get(&producer)
                .copied()
                .unwrap_or(EventTime::MIN);
            assert!(
                at >= promised,
                "stage {producer} emits at {at} behind its watermark {promised}"
            );
        }
        if let Some(read_to) = self.side_inputs_read_to.get(&pcollection) {
            assert!(
                at > *read_to,
                "side input {pcollection} was read to {read_to}, then came {at}"
            );
        }
        for consumer in world
            .plan
            .stages
            .iter()
            .filter(|stage| stage.inputs.contains(&pcollection))
        {
            if let Some(fired_to) = self.timers_fired_to.get(&consumer.id) {
                assert!(
                    at > *fired_to,
                    "{}: timers fired to {fired_to}, then came {at}",
                    consumer.name
                );
            }
        }
    }

    /// At the end: everything was processed once, and nothing is left.
    pub(crate) fn done(&self, world: &World) {
        assert!(
            self.waiting.is_empty(),
            "done, with data waiting: {:?}",
            self.waiting
        );
        assert!(
            self.busy.is_empty(),
            "done, with key groups busy: {:?}",
            self.busy
        );
        assert!(
            world.timers.values().all(BTreeSet::is_empty),
            "done, with timers: {:?}",
            world.timers
        );
        assert!(
            world.data.is_empty(),
            "done, with data not released: {:?}",
            world.data
        );
        let expected = reference(&world.plan, self.draining.then_some(self));
        for (key, count) in &expected {
            assert_eq!(
                self.committed.get(key),
                Some(count),
                "(stage, element, step) {key:?}"
            );
        }
        assert_eq!(
            self.committed.len(),
            expected.len(),
            "something was processed that does not exist"
        );
    }
}

fn truncatable(stage: &Stage) -> bool {
    matches!(&stage.kind, StageKind::Executable(e)
        if e.splittable.as_ref().is_some_and(|s| s.truncate.is_some()))
}

fn drops_on_drain(stage: &Stage) -> bool {
    matches!(&stage.kind, StageKind::Executable(e)
        if e.splittable.as_ref().is_some_and(|s| s.truncate.is_none() && s.unbounded))
}

/// What each stage has to process, worked out element by element without any engine. A job that
/// was drained processed some of its sources' elements: which, only it can say, but what follows
/// from them is worked out too.
fn reference(plan: &Plan, drained: Option<&Checks>) -> BTreeMap<(StageId, u64, u64), u32> {
    let mut elements: BTreeMap<PCollectionId, Vec<Element>> = BTreeMap::new();
    let mut expected = BTreeMap::new();
    for stage in &plan.stages {
        let mut outputs: Vec<(PCollectionId, Element)> = Vec::new();
        match &stage.kind {
            StageKind::Impulse => {
                let uid = hash(&[1, stage.id.0.into()]);
                outputs.push((
                    stage.outputs[0],
                    Element {
                        uid,
                        timestamp: EventTime::MIN,
                        from: 0,
                        until: None,
                    },
                ));
            }
            StageKind::TestStream(stream) => {
                use dataflume_proto::pipeline::test_stream_payload::event::Event;
                for (index, event) in stream.payload.events.iter().enumerate() {
                    let played = drained.is_none_or(|c| c.played.contains(&(stage.id, index)));
                    if played && matches!(event.event, Some(Event::ElementEvent(_))) {
                        outputs.extend(script_elements(stage, index));
                    }
                }
            }
            _ => {
                let input = stage
                    .inputs
                    .iter()
                    .filter_map(|id| elements.get(id))
                    .flatten();
                let splittable = matches!(role(stage), Role::Splittable);
                let stops = splittable && (truncatable(stage) || drops_on_drain(stage));
                if let Some(checks) = drained.filter(|_| stops) {
                    let mut occurrences: BTreeMap<u64, (Element, u32)> = BTreeMap::new();
                    for element in input {
                        occurrences.entry(element.uid).or_insert((*element, 0)).1 += 1;
                    }
                    for (uid, (element, times)) in occurrences {
                        for step in 0..steps(stage, element) {
                            let key = (stage.id, uid, step);
                            let done = checks.committed.get(&key).copied().unwrap_or_default();
                            assert!(done <= times, "{key:?} was processed {done} times");
                            if done > 0 {
                                expected.insert(key, done);
                            }
                            for _ in 0..done {
                                outputs.extend(step_children(stage, element, step));
                            }
                        }
                    }
                } else {
                    for element in input {
                        for step in 0..if splittable {
                            steps(stage, *element)
                        } else {
                            1
                        } {
                            *expected.entry((stage.id, element.uid, step)).or_default() += 1;
                            if splittable {
                                outputs.extend(step_children(stage, *element, step));
                            }
                        }
                        if !splittable {
                            outputs.extend(children(stage, *element));
                        }
                    }
                }
            }
        }
        for (pcollection, element) in outputs {
            elements.entry(pcollection).or_default().push(element);
        }
    }
    expected
}
