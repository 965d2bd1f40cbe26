//! An engine with its driver played by the test: virtual time, no sleeps.

use std::collections::BTreeMap;

use dataflume_engine::{
    Action, Bundle, DataHandle, DataId, Effects, Engine, EngineConfig, Input, JobOutcome, Work,
};
use dataflume_graph::plan::{Environment, ExecutableStage, PCollection, Plan, Stage, StageKind};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{BundleId, EnvironmentId, PCollectionId, StageId, WorkerId};
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::window::WindowingStrategy;

/// An engine and what it has asked for.
pub(crate) struct Pair {
    engine: Engine,
    now: ProcessingTime,
    next_data: u64,
    pub(crate) actions: Vec<Action>,
}

impl Pair {
    pub(crate) fn new(plan: &Plan) -> Self {
        let engine = Engine::new(plan, EngineConfig::default());
        let mut pair = Self {
            engine,
            now: ProcessingTime(0),
            next_data: 0,
            actions: Vec::new(),
        };
        pair.tell(Input::Start);
        pair
    }

    #[allow(dead_code, reason = "not every test looks at watermarks")]
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.engine.handle(input, self.now);
        while let Some(action) = self.engine.poll_action() {
            self.actions.push(action);
        }
    }

    #[allow(dead_code, reason = "not every test lets time pass")]
    pub(crate) fn wait_ms(&mut self, ms: i64) {
        self.now.0 += ms;
    }

    pub(crate) fn join(&mut self, worker: u64, slots: u32) {
        let environment = EnvironmentId(0);
        self.tell(Input::WorkerJoined {
            worker: WorkerId(worker),
            environment,
            slots,
        });
    }

    /// The next bundle that was started and not yet taken.
    pub(crate) fn take_bundle(&mut self) -> Bundle {
        let started = |action: &Action| matches!(action, Action::StartBundle(_));
        let index = self
            .actions
            .iter()
            .position(started)
            .expect("a bundle was started");
        match self.actions.remove(index) {
            Action::StartBundle(bundle) => bundle,
            other => panic!("{other:?}"),
        }
    }

    /// Ends a bundle with this many pieces for the stage after it.
    pub(crate) fn finish(&mut self, bundle: BundleId, pieces: u32) {
        let handles: Vec<DataHandle> = (0..pieces)
            .map(|_| {
                self.next_data += 1;
                DataHandle {
                    id: DataId(self.next_data),
                    elements: 100,
                    bytes: 100_000,
                    min_timestamp: EventTime(0),
                    key_group: None,
                    side_inputs_ready_at: Default::default(),
                }
            })
            .collect();
        let deliveries = if handles.is_empty() {
            Vec::new()
        } else {
            vec![(StageId(1), handles)]
        };
        let effects = Effects {
            deliveries,
            ..Effects::default()
        };
        self.tell(Input::BundleFinished { bundle, effects });
    }

    pub(crate) fn finish_impulse(&mut self, pieces: u32) {
        let bundle = self.take_bundle();
        assert_eq!(bundle.work, Work::Impulse);
        self.finish(bundle.id, pieces);
    }

    #[allow(dead_code, reason = "not every test runs to the end")]
    pub(crate) fn outcome(&self) -> Option<JobOutcome> {
        match self.actions.last() {
            Some(Action::Finish(outcome)) => Some(outcome.clone()),
            _ => None,
        }
    }
}

/// An impulse and this many stages after it, one behind the other, in one environment.
pub(crate) fn chain(length: u32) -> Plan {
    let stage = |index: u32| Stage {
        id: StageId(index),
        name: format!("stage {index}"),
        kind: if index == 0 {
            StageKind::Impulse
        } else {
            executable()
        },
        inputs: index
            .checked_sub(1)
            .map(PCollectionId)
            .into_iter()
            .collect(),
        outputs: vec![PCollectionId(index)],
        side_inputs: Vec::new(),
    };
    let pcollection = |index: u32| PCollection {
        id: PCollectionId(index),
        name: format!("pcollection {index}"),
        coder: Coder::Bytes,
        windowing: WindowingStrategy::default(),
        bounded: true,
        producer: StageId(index),
    };
    Plan {
        stages: (0..=length).map(stage).collect(),
        pcollections: (0..=length).map(pcollection).collect(),
        environments: vec![Environment {
            id: EnvironmentId(0),
            name: "environment".into(),
            proto: Default::default(),
        }],
        transform_names: BTreeMap::new(),
    }
}

fn executable() -> StageKind {
    StageKind::Executable(Box::new(ExecutableStage {
        environment: EnvironmentId(0),
        descriptor: Default::default(),
        source: "source".into(),
        sinks: BTreeMap::new(),
        keyed: None,
        splittable: None,
        requires_time_sorted_input: false,
        requires_stable_input: false,
        finalization: false,
        counted_elsewhere: None,
    }))
}
