//! Drain: what the engine asks for, step by step.

mod common;

use common::{Pair, chain};
use dataflume_engine::{
    Action, Bundle, BundleFailure, DataHandle, DataId, Effects, Fraction, Input, JobOutcome,
    PendingData, SplitCondition, Work,
};
use dataflume_graph::plan::{Plan, Splittable, StageKind, Truncation};
use dataflume_model::ids::StageId;
use dataflume_model::time::{EventTime, ProcessingTime};

/// An impulse and a splittable stage.
fn source(unbounded: bool, truncatable: bool) -> Plan {
    let mut plan = chain(1);
    let truncate = truncatable.then(|| {
        Box::new(Truncation {
            descriptor: Default::default(),
            source: "source".into(),
            sink: "sink".into(),
        })
    });
    let StageKind::Executable(stage) = &mut plan.stages[1].kind else {
        panic!("not executable")
    };
    stage.splittable = Some(Splittable {
        process_transform: "read".into(),
        unbounded,
        truncate,
    });
    plan
}

fn restriction(id: u64, hold: i64) -> PendingData {
    PendingData {
        hold: EventTime(hold),
        not_before: None,
        handle: DataHandle {
            id: DataId(id),
            elements: 1,
            bytes: 10,
            min_timestamp: EventTime(0),
            key_group: None,
            side_inputs_ready_at: Default::default(),
        },
    }
}

fn running(plan: &Plan) -> (Pair, Bundle) {
    let mut pair = Pair::new(plan);
    pair.join(1, 1);
    pair.finish_impulse(1);
    let bundle = pair.take_bundle();
    (pair, bundle)
}

fn end(pair: &mut Pair, bundle: &Bundle, residuals: Vec<PendingData>) {
    let effects = Effects {
        residuals,
        ..Effects::default()
    };
    pair.tell(Input::BundleFinished {
        bundle: bundle.id,
        effects,
    });
}

fn ids(work: &Work) -> (&'static str, Vec<u64>) {
    let of = |pieces: &Vec<PendingData>| pieces.iter().map(|piece| piece.handle.id.0).collect();
    match work {
        Work::Elements(pieces) => ("process", of(pieces)),
        Work::Truncate(pieces) => ("truncate", of(pieces)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_running_restriction_is_checkpointed_truncated_and_finished() {
    let (mut pair, bundle) = running(&source(true, true));
    pair.tell(Input::Drain);
    let checkpoint = Action::SplitBundle {
        bundle: bundle.id,
        fraction_of_remainder: Fraction::ZERO,
        condition: SplitCondition::None,
    };
    assert!(pair.actions.contains(&checkpoint), "{:?}", pair.actions);
    let Work::Elements(primary) = bundle.work.clone() else {
        panic!("{bundle:?}")
    };
    let mut residual = restriction(50, 700);
    residual.not_before = Some(ProcessingTime(1_000_000));
    pair.tell(Input::BundleSplit {
        bundle: bundle.id,
        primary,
        residual: vec![residual],
    });
    end(&mut pair, &bundle, Vec::new());

    let truncation = pair.take_bundle();
    assert_eq!(ids(&truncation.work), ("truncate", vec![50]), "at once");
    end(&mut pair, &truncation, vec![restriction(51, 0)]);
    assert_eq!(
        pair.engine().input_watermark(StageId(1)),
        EventTime(700),
        "held where the whole restriction was"
    );

    let rest = pair.take_bundle();
    assert_eq!(ids(&rest.work), ("process", vec![51]));
    end(&mut pair, &rest, vec![restriction(52, 800)]);
    let last = pair.take_bundle();
    assert_eq!(ids(&last.work), ("process", vec![52]), "truncated already");
    end(&mut pair, &last, Vec::new());
    assert_eq!(pair.outcome(), Some(JobOutcome::Drained));
}

#[test]
fn a_failed_bundle_is_not_tried_again_untruncated() {
    let (mut pair, bundle) = running(&source(true, true));
    pair.tell(Input::Drain);
    pair.tell(Input::BundleFailed {
        bundle: bundle.id,
        failure: BundleFailure::Failed("boom".into()),
    });
    let truncation = pair.take_bundle();
    assert_eq!(ids(&truncation.work).0, "truncate");
    pair.tell(Input::BundleFailed {
        bundle: truncation.id,
        failure: BundleFailure::Failed("boom".into()),
    });
    let again = pair.take_bundle();
    assert_eq!((ids(&again.work).0, again.attempt), ("truncate", 2));
    end(&mut pair, &again, Vec::new());
    assert_eq!(pair.outcome(), Some(JobOutcome::Drained));
}

#[test]
fn without_truncation_unbounded_restrictions_are_dropped_and_bounded_ones_finished() {
    for unbounded in [true, false] {
        let (mut pair, bundle) = running(&source(unbounded, false));
        pair.tell(Input::Drain);
        end(&mut pair, &bundle, vec![restriction(50, 700)]);
        if !unbounded {
            let rest = pair.take_bundle();
            assert_eq!(ids(&rest.work), ("process", vec![50]));
            end(&mut pair, &rest, Vec::new());
        }
        let warned = |action: &Action| matches!(action, Action::Warn(_));
        assert_eq!(pair.actions.iter().any(warned), unbounded);
        let released = Action::ReleaseData(vec![DataId(50)]);
        assert!(pair.actions.contains(&released));
        assert_eq!(pair.outcome(), Some(JobOutcome::Drained));
    }
}

#[test]
fn what_was_not_started_is_truncated_too() {
    let mut pair = Pair::new(&source(false, true));
    pair.finish_impulse(3);
    pair.tell(Input::Drain);
    pair.join(1, 1);
    let truncation = pair.take_bundle();
    let (what, restrictions) = ids(&truncation.work);
    assert_eq!((what, restrictions.len()), ("truncate", 3));
    end(&mut pair, &truncation, Vec::new());
    assert_eq!(pair.outcome(), Some(JobOutcome::Drained));
}

#[test]
fn a_job_without_sources_drains_by_finishing() {
    let mut pair = Pair::new(&chain(2));
    pair.tell(Input::Drain);
    pair.tell(Input::Drain);
    pair.join(1, 1);
    pair.finish_impulse(1);
    let bundle = pair.take_bundle();
    pair.finish(bundle.id, 0);
    assert_eq!(pair.outcome(), Some(JobOutcome::Drained));
}
