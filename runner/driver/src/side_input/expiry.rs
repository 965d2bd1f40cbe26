//! When a window of a side input is of no more use.

use dataflume_engine::Engine;
use dataflume_graph::plan::{Plan, Stage, StageKind};
use dataflume_model::ids::{PCollectionId, StageId};
use dataflume_model::time::EventTime;

/// A stage that reads a side input.
#[derive(Debug, Clone, Copy)]
struct Reader {
    stage: StageId,
    /// How far its elements may be behind the watermark; `None` if it may look at any window until it has ended.
    lateness_ms: Option<i64>,
}

/// Who reads a PCollection, and what no reader can look at any more.
#[derive(Debug)]
pub(super) struct Expiry {
    pub(super) pcollection: PCollectionId,
    readers: Vec<Reader>,
    reached: EventTime,
}

impl Expiry {
    /// Of all PCollections that are read.
    pub(super) fn all(plan: &Plan) -> Vec<Self> {
        let of = |id: PCollectionId| Self {
            pcollection: id,
            readers: readers(plan, id),
            reached: EventTime::MIN,
        };
        let all = plan
            .pcollections
            .iter()
            .map(|pcollection| of(pcollection.id));
        all.filter(|expiry| !expiry.readers.is_empty()).collect()
    }

    /// The time before which windows end that nobody needs any more, if it has moved on.
    pub(super) fn advance(&mut self, engine: &Engine) -> Option<EventTime> {
        let times = self.readers.iter().map(|reader| {
            let watermark = engine.output_watermark(reader.stage);
            match reader.lateness_ms {
                _ if engine.has_ended(reader.stage) => EventTime::MAX,
                None => EventTime::MIN,
                Some(lateness_ms) => watermark
                    .min(EventTime::END_OF_GLOBAL_WINDOW)
                    .minus_ms(lateness_ms),
            }
        });
        let time = times.min()?;
        let moved = time > self.reached;
        self.reached = time.max(self.reached);
        moved.then_some(time)
    }
}

fn readers(plan: &Plan, id: PCollectionId) -> Vec<Reader> {
    let reads = |stage: &&Stage| {
        let mut sides = stage.side_inputs.iter();
        sides.any(|side| side.pcollections.contains(&id))
    };
    let reader = |stage: &Stage| Reader {
        stage: stage.id,
        lateness_ms: lateness_ms(plan, stage, id),
    };
    plan.stages.iter().filter(reads).map(reader).collect()
}

/// An element that is not late has no side window that ended before it. Not so where the SDK maps windows in its own way, a restriction
/// goes on in its window though the watermark has left it, or a timer fires after its window.
fn lateness_ms(plan: &Plan, stage: &Stage, id: PCollectionId) -> Option<i64> {
    let StageKind::Executable(executable) = &stage.kind else {
        return None;
    };
    let mut sides = stage.side_inputs.iter();
    let mapped = sides.any(|side| side.pcollections.contains(&id) && side.mapping.is_some());
    if mapped || executable.keyed.is_some() || executable.splittable.is_some() {
        return None;
    }
    let lateness = |id: &PCollectionId| plan.pcollection(*id).windowing.allowed_lateness_ms;
    stage.inputs.iter().map(lateness).max()
}
