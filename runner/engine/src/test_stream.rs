//! TestStream: scripts that say when elements come, how far watermarks are, and what time it is.
//!
//! An event is played when the job is quiescent after the one before, which is what makes a
//! TestStream deterministic. Where a plan has one, processing-time timers follow the scripts' clock
//! instead of the real one: it starts at the job's start and moves only when an event says so, or,
//! after all events, straight to the next timer.

use dataflume_graph::plan::{Plan, StageKind, TestStream};
use dataflume_model::ids::{PCollectionId, StageId};
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_proto::pipeline::test_stream_payload::event::Event;

use crate::engine::Engine;
use crate::io::{Executor, Work};

/// The scripts of a plan and their clock.
#[derive(Debug, Default)]
pub(crate) struct Scripts {
    scripts: Vec<Script>,
    clock: Option<ProcessingTime>,
}

#[derive(Debug)]
struct Script {
    stage: StageId,
    steps: Vec<Step>,
    next: usize,
    ended: bool,
    watermarks: Vec<(PCollectionId, EventTime)>,
}

#[derive(Debug, Clone)]
enum Step {
    /// The event's index in the payload: the driver has the elements.
    Elements(usize),
    Watermark(Option<PCollectionId>, EventTime),
    AdvanceClock(i64),
}

impl Scripts {
    pub(crate) fn of(plan: &Plan) -> Self {
        let scripts = plan.stages.iter().filter_map(|stage| match &stage.kind {
            StageKind::TestStream(stream) => Some(Script::of(stage.id, &stage.outputs, stream)),
            _ => None,
        });
        Self {
            scripts: scripts.collect(),
            clock: None,
        }
    }

    pub(crate) fn start(&mut self, now: ProcessingTime) {
        self.clock = Some(now);
    }

    /// No event is played any more: each script ends when the job is quiescent.
    pub(crate) fn stop(&mut self) {
        for script in &mut self.scripts {
            script.next = script.steps.len();
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.scripts.is_empty()
    }

    pub(crate) fn watermark(&self, stage: StageId, pcollection: PCollectionId) -> EventTime {
        let script = self.scripts.iter().find(|script| script.stage == stage);
        let watermarks = script.into_iter().flat_map(|script| &script.watermarks);
        watermarks
            .filter(|(id, _)| *id == pcollection)
            .map(|(_, watermark)| *watermark)
            .next()
            .unwrap_or(EventTime::MIN)
    }
}

impl Script {
    fn of(stage: StageId, outputs: &[PCollectionId], stream: &TestStream) -> Self {
        let steps = stream
            .payload
            .events
            .iter()
            .enumerate()
            .filter_map(|(index, event)| {
                Some(match event.event.as_ref()? {
                    Event::ElementEvent(_) => Step::Elements(index),
                    Event::WatermarkEvent(event) => {
                        Step::Watermark(stream.output(&event.tag), EventTime(event.new_watermark))
                    }
                    Event::ProcessingTimeEvent(event) => Step::AdvanceClock(event.advance_duration),
                })
            });
        Self {
            stage,
            steps: steps.collect(),
            next: 0,
            ended: false,
            watermarks: outputs.iter().map(|id| (*id, EventTime::MIN)).collect(),
        }
    }

    /// Raises the watermark of one output, or of all.
    fn raise(&mut self, pcollection: Option<PCollectionId>, to: EventTime) {
        for (id, watermark) in &mut self.watermarks {
            if pcollection.is_none_or(|wanted| wanted == *id) {
                *watermark = to.max(*watermark);
            }
        }
    }
}

impl Engine {
    /// The time that processing-time timers follow.
    pub(crate) fn timer_clock(&self) -> ProcessingTime {
        match self.scripts.clock {
            Some(clock) if !self.scripts.is_empty() => clock,
            _ => self.clock.at(self.now),
        }
    }

    /// Plays the next event of the scripts, the script that is least far first. Called when nothing
    /// runs and nothing is ready. `false`: there is nothing more to play.
    pub(crate) fn advance_test_streams(&mut self) -> bool {
        let next = self
            .scripts
            .scripts
            .iter_mut()
            .filter(|script| !script.ended);
        let Some(script) = next.min_by_key(|script| script.next) else {
            return self.jump_to_next_timer();
        };
        let stage = script.stage;
        let step = script.steps.get(script.next).cloned();
        script.next += 1;
        match step {
            Some(Step::Elements(index)) => {
                self.start(stage, Executor::Runner, Work::TestStreamEvent(index), 1, 0);
            }
            Some(Step::Watermark(pcollection, to)) => script.raise(pcollection, to),
            Some(Step::AdvanceClock(ms)) => self.move_clock(ms),
            None => {
                script.ended = true;
                script.raise(None, EventTime::MAX);
                self.stages[stage.index()].exhausted = true;
            }
        }
        self.touch(stage);
        true
    }

    fn move_clock(&mut self, ms: i64) {
        if let Some(clock) = &mut self.scripts.clock {
            *clock = ProcessingTime(clock.0.saturating_add(ms.max(0)));
        }
    }

    /// The scripts have ended: what still waits for processing time gets it at once. Delayed
    /// residuals asked for real time, and have it first.
    fn jump_to_next_timer(&mut self) -> bool {
        if self.scripts.is_empty() {
            return false;
        }
        let timed = self.timed.iter().map(|stage| &self.stages[stage.index()]);
        if timed
            .clone()
            .any(|state| state.pending.next_wake().is_some())
        {
            return false;
        }
        let Some(next) = timed
            .filter_map(|state| state.timers.next_processing())
            .min()
        else {
            return false;
        };
        self.move_clock(next.0.saturating_sub(self.timer_clock().0));
        self.candidates.extend(self.timed.iter().copied());
        true
    }
}
