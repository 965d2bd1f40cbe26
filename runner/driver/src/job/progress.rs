//! How far the stages of a job are.

use std::time::{Duration, SystemTime};

use dataflume_engine::{Bundle, Engine, Executor, Work};
use dataflume_graph::plan::{Plan, StageKind};
use dataflume_model::ids::{BundleId, StageId, WorkerId};
use dataflume_model::time::EventTime;
use rustc_hash::FxHashMap;

use super::usage::Meter;

/// Ends of stages are noticed this exactly.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How far a stage is.
#[derive(Debug, Clone, PartialEq)]
pub struct StageProgress {
    /// Which.
    pub stage: StageId,
    /// The user's names of what is in it.
    pub name: String,
    /// When its first bundle was started.
    pub started: Option<SystemTime>,
    /// When nothing was left for it to do, and nothing more could come.
    pub ended: Option<SystemTime>,
    /// Elements of committed bundles.
    pub processed: u64,
    /// Elements that have come and are in no committed bundle.
    pub left: u64,
    /// How far event time has come in what it writes.
    pub watermark: EventTime,
    /// Bundles in progress.
    pub bundles: Vec<RunningBundle>,
}

impl StageProgress {
    /// The part of what has come that was processed; nothing more may come once it has ended.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        let all = self.processed + self.left;
        match (self.ended, all) {
            (Some(_), _) => 1.0,
            (None, 0) => 0.0,
            (None, all) => self.processed as f64 / all as f64,
        }
    }
}

/// A bundle in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningBundle {
    /// Unique within the job.
    pub bundle: BundleId,
    /// Where it runs; `None` on the runner itself.
    pub worker: Option<WorkerId>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Since when.
    pub started: SystemTime,
}

/// Watches a job's stages.
pub(super) struct Watch {
    stages: Vec<Stage>,
    running: FxHashMap<BundleId, Running>,
    meter: Meter,
    looked: SystemTime,
}

struct Stage {
    name: String,
    /// Whether what it takes has to be shuffled.
    shuffles: bool,
    started: Option<SystemTime>,
    ended: Option<SystemTime>,
    processed: u64,
}

struct Running {
    stage: StageId,
    elements: u64,
    seen: RunningBundle,
}

impl Watch {
    pub(super) fn new(plan: &Plan, meter: Meter) -> Self {
        let stages = plan.stages.iter().map(|stage| Stage {
            name: stage.name.clone(),
            shuffles: matches!(
                stage.kind,
                StageKind::GroupByKey(_) | StageKind::Redistribute { .. }
            ),
            started: None,
            ended: None,
            processed: 0,
        });
        Self {
            stages: stages.collect(),
            running: FxHashMap::default(),
            meter,
            looked: SystemTime::UNIX_EPOCH,
        }
    }

    pub(super) fn started(&mut self, bundle: &Bundle) {
        let now = SystemTime::now();
        let stage = &mut self.stages[bundle.stage.index()];
        stage.started.get_or_insert(now);
        let (mut elements, mut bytes) = (0, 0);
        if let Work::Elements(all) = &bundle.work {
            elements = all.iter().map(|data| data.handle.elements).sum();
            bytes = all.iter().map(|data| data.handle.bytes).sum();
        }
        if stage.shuffles {
            self.meter.shuffled(bytes);
        }
        let worker = match bundle.executor {
            Executor::Runner => None,
            Executor::Worker(worker) => Some(worker),
        };
        let seen = RunningBundle {
            bundle: bundle.id,
            worker,
            attempt: bundle.attempt,
            started: now,
        };
        let running = Running {
            stage: bundle.stage,
            elements,
            seen,
        };
        self.running.insert(bundle.id, running);
    }

    pub(super) fn committed(&mut self, bundle: BundleId) {
        if let Some(running) = self.running.remove(&bundle) {
            self.stages[running.stage.index()].processed += running.elements;
        }
    }

    pub(super) fn discarded(&mut self, bundle: BundleId) {
        self.running.remove(&bundle);
    }

    /// So many bytes were sent to this stage.
    pub(super) fn delivered(&self, stage: StageId, bytes: u64) {
        if self.stages[stage.index()].shuffles {
            self.meter.shuffled(bytes);
        }
    }

    /// Notices stages that have ended, now and then.
    pub(super) fn look(&mut self, engine: &Engine) {
        let now = SystemTime::now();
        let since = now.duration_since(self.looked).unwrap_or_default();
        if since >= LOOK_INTERVAL {
            self.notice_ends(engine, now);
        }
    }

    fn notice_ends(&mut self, engine: &Engine, now: SystemTime) {
        self.looked = now;
        for (index, stage) in self.stages.iter_mut().enumerate() {
            if stage.ended.is_none() && engine.has_ended(StageId(index as u32)) {
                stage.ended = Some(now);
            }
        }
    }

    pub(super) fn progress(&mut self, engine: &Engine) -> Vec<StageProgress> {
        self.notice_ends(engine, SystemTime::now());
        let mut all: Vec<StageProgress> = Vec::with_capacity(self.stages.len());
        for (index, stage) in self.stages.iter().enumerate() {
            let id = StageId(index as u32);
            all.push(StageProgress {
                stage: id,
                name: stage.name.clone(),
                started: stage.started,
                ended: stage.ended,
                processed: stage.processed,
                left: engine.waiting_elements(id),
                watermark: engine.output_watermark(id),
                bundles: Vec::new(),
            });
        }
        for running in self.running.values() {
            let stage = &mut all[running.stage.index()];
            stage.left += running.elements;
            stage.bundles.push(running.seen.clone());
        }
        for stage in &mut all {
            stage.bundles.sort_unstable_by_key(|seen| seen.bundle);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_is_as_far_as_what_has_come() {
        let mut stage = StageProgress {
            stage: StageId(0),
            name: String::new(),
            started: None,
            ended: None,
            processed: 0,
            left: 0,
            watermark: EventTime::MIN,
            bundles: Vec::new(),
        };
        assert!(stage.fraction().abs() < f64::EPSILON);
        (stage.processed, stage.left) = (3, 1);
        assert!((stage.fraction() - 0.75).abs() < f64::EPSILON);
        stage.ended = Some(SystemTime::UNIX_EPOCH);
        assert!((stage.fraction() - 1.0).abs() < f64::EPSILON);
    }
}
