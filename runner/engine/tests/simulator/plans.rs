//! Random plans: small graphs of every kind of stage.

use std::collections::BTreeMap;

use dataflume_graph::plan::{
    AccessPattern, Environment, ExecutableStage, GroupByKey, KeyedStage, PCollection, Plan,
    SideInput, Splittable, Stage, StageKind, TestStream, Truncation,
};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{EnvironmentId, PCollectionId, StageId};
use dataflume_model::window::WindowingStrategy;
use dataflume_proto::pipeline::test_stream_payload::event::Event;
use dataflume_proto::pipeline::{TestStreamPayload, test_stream_payload};

use crate::rng::Rng;

pub(crate) const ENVIRONMENTS: u32 = 2;

pub(crate) fn random(rng: &mut Rng) -> Plan {
    let mut plan = Plan {
        stages: Vec::new(),
        pcollections: Vec::new(),
        environments: (0..ENVIRONMENTS)
            .map(|id| Environment {
                id: EnvironmentId(id),
                name: format!("environment {id}"),
                proto: Default::default(),
            })
            .collect(),
        transform_names: BTreeMap::new(),
    };
    if rng.one_in(4) {
        test_stream(&mut plan, rng);
    }
    if plan.stages.is_empty() || rng.one_in(2) {
        add(&mut plan, StageKind::Impulse, Vec::new(), Vec::new(), 1);
    }
    for _ in 0..2 + rng.below(6) {
        stage(&mut plan, rng);
    }
    plan
}

fn stage(plan: &mut Plan, rng: &mut Rng) {
    let known = plan.pcollections.len() as u64;
    let pick = |rng: &mut Rng| PCollectionId(rng.below(known) as u32);
    let mut inputs = vec![pick(rng)];
    if rng.one_in(4) {
        let other = pick(rng);
        if other != inputs[0] {
            inputs.push(other);
        }
    }
    let sides: Vec<PCollectionId> = (0..rng.below(5).saturating_sub(2))
        .map(|_| pick(rng))
        .collect();
    let outputs = 1 + rng.below(2) as usize;
    let environment = EnvironmentId(rng.below(u64::from(ENVIRONMENTS)) as u32);
    match rng.below(8) {
        0 => {
            let kind = if rng.one_in(2) {
                StageKind::Redistribute {
                    by_key: rng.one_in(2),
                }
            } else {
                StageKind::Identity
            };
            add(plan, kind, inputs, Vec::new(), 1)
        }
        1 => add(plan, group(true), inputs, Vec::new(), 1),
        2 => add(plan, group(false), inputs, Vec::new(), 1),
        3 | 4 => {
            let keyed = KeyedStage {
                transform: "stateful".into(),
                key_coder: Coder::Bytes,
                states: BTreeMap::new(),
                timers: BTreeMap::new(),
                on_window_expiration: None,
            };
            let mut kind = executable(environment, Some(keyed), None);
            if let StageKind::Executable(executable) = &mut kind {
                executable.requires_time_sorted_input = rng.one_in(4);
                if executable.requires_time_sorted_input && rng.one_in(2) {
                    plan.pcollections[inputs[0].index()].bounded = false;
                }
            }
            add(plan, kind, inputs, sides, outputs);
        }
        5 => {
            let splittable = Splittable {
                process_transform: "process".into(),
                unbounded: rng.one_in(2),
                truncate: rng.one_in(2).then(truncation),
            };
            let kind = executable(environment, None, Some(splittable));
            add(plan, kind, inputs, sides, outputs);
        }
        _ => add(
            plan,
            executable(environment, None, None),
            inputs,
            sides,
            outputs,
        ),
    }
}

fn truncation() -> Box<Truncation> {
    Box::new(Truncation {
        descriptor: Default::default(),
        source: "source".into(),
        sink: "sink".into(),
    })
}

fn group(at_end_of_input: bool) -> StageKind {
    StageKind::GroupByKey(GroupByKey {
        transform: "group".into(),
        windowing: WindowingStrategy::default(),
        at_end_of_input,
        merging: None,
    })
}

fn executable(
    environment: EnvironmentId,
    keyed: Option<KeyedStage>,
    splittable: Option<Splittable>,
) -> StageKind {
    StageKind::Executable(Box::new(ExecutableStage {
        environment,
        descriptor: Default::default(),
        source: "source".into(),
        sinks: BTreeMap::new(),
        keyed,
        splittable,
        requires_time_sorted_input: false,
        requires_stable_input: false,
        finalization: false,
        counted_elsewhere: None,
    }))
}

fn add(
    plan: &mut Plan,
    kind: StageKind,
    inputs: Vec<PCollectionId>,
    sides: Vec<PCollectionId>,
    outputs: usize,
) {
    let id = StageId(plan.stages.len() as u32);
    let outputs: Vec<PCollectionId> = (0..outputs)
        .map(|_| {
            let pcollection = PCollectionId(plan.pcollections.len() as u32);
            plan.pcollections.push(PCollection {
                id: pcollection,
                name: format!("pcollection {}", pcollection.0),
                coder: Coder::Bytes,
                windowing: WindowingStrategy::default(),
                bounded: true,
                producer: id,
            });
            pcollection
        })
        .collect();
    let side_inputs = sides
        .into_iter()
        .map(|pcollection| SideInput {
            transform: "reader".into(),
            tag: "side".into(),
            pcollections: vec![pcollection],
            access_pattern: AccessPattern::Iterable,
            windowing: WindowingStrategy::default(),
            coder: Coder::Bytes,
            mapping: None,
        })
        .collect();
    plan.stages.push(Stage {
        id,
        name: format!("stage {}", id.0),
        kind,
        inputs,
        outputs,
        side_inputs,
    });
}

/// A script whose elements are never late.
fn test_stream(plan: &mut Plan, rng: &mut Rng) {
    let mut watermark = 0;
    let mut events = Vec::new();
    for _ in 0..rng.below(8) {
        let event = match rng.below(3) {
            0 => Event::ElementEvent(test_stream_payload::event::AddElements {
                elements: (0..1 + rng.below(4))
                    .map(|_| test_stream_payload::TimestampedElement {
                        encoded_element: Default::default(),
                        timestamp: watermark + rng.below(200) as i64,
                    })
                    .collect(),
                tag: String::new(),
            }),
            1 => {
                watermark += rng.below(150) as i64;
                Event::WatermarkEvent(test_stream_payload::event::AdvanceWatermark {
                    new_watermark: watermark,
                    tag: String::new(),
                })
            }
            _ => Event::ProcessingTimeEvent(test_stream_payload::event::AdvanceProcessingTime {
                advance_duration: rng.below(300) as i64,
            }),
        };
        events.push(test_stream_payload::Event { event: Some(event) });
    }
    let payload = TestStreamPayload {
        events,
        ..Default::default()
    };
    let tags = BTreeMap::from([(String::new(), PCollectionId(0))]);
    let kind = StageKind::TestStream(TestStream {
        transform: "script".into(),
        tags,
        payload,
    });
    add(plan, kind, Vec::new(), Vec::new(), 1);
}
