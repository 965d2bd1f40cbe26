//! Retries, lost workers, cancellation: what the engine asks for, step by step.

mod common;

use common::{Pair, chain};
use dataflume_engine::{Action, BundleFailure, Input, JobOutcome};
use dataflume_model::ids::WorkerId;

#[test]
fn a_failing_bundle_is_tried_four_times_with_the_same_input() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(3);
    let mut inputs = Vec::new();
    for attempt in 1..=4 {
        let bundle = pair.take_bundle();
        assert_eq!(bundle.attempt, attempt);
        inputs.push(bundle.work.clone());
        let failure = BundleFailure::Failed(format!("boom {attempt}"));
        pair.tell(Input::BundleFailed {
            bundle: bundle.id,
            failure,
        });
    }
    assert!(inputs.windows(2).all(|two| two[0] == two[1]), "{inputs:?}");
    let Some(JobOutcome::Failed(error)) = pair.outcome() else {
        panic!("the job goes on")
    };
    assert!(
        error.contains("failed 4 times") && error.contains("boom 4"),
        "{error}"
    );
}

#[test]
fn a_lost_worker_costs_no_attempt() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(3);
    for worker in 1..10 {
        let bundle = pair.take_bundle();
        assert_eq!(bundle.attempt, 1, "on worker {worker}");
        pair.tell(Input::WorkerLost {
            worker: WorkerId(worker),
            reason: "killed".into(),
            blames_bundles: false,
        });
        pair.join(worker + 1, 1);
    }
    let bundle = pair.take_bundle();
    pair.finish(bundle.id, 0);
    assert_eq!(pair.outcome(), Some(JobOutcome::Done));
}

#[test]
fn a_bundle_that_loses_worker_after_worker_fails_the_job() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(1);
    for worker in 1..=20 {
        pair.tell(Input::WorkerLost {
            worker: WorkerId(worker),
            reason: "out of memory".into(),
            blames_bundles: false,
        });
        pair.join(worker + 1, 1);
    }
    let Some(JobOutcome::Failed(error)) = pair.outcome() else {
        panic!("the job goes on")
    };
    assert!(
        error.contains("lost 20 workers") && error.contains("out of memory"),
        "{error}"
    );
}

#[test]
fn cancel_discards_what_runs_and_nothing_follows() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(3);
    let bundle = pair.take_bundle();
    pair.tell(Input::Cancel);
    assert!(
        pair.actions
            .contains(&Action::DiscardBundle { bundle: bundle.id })
    );
    assert_eq!(pair.outcome(), Some(JobOutcome::Cancelled));
    pair.actions.clear();
    pair.finish(bundle.id, 5);
    assert!(pair.actions.is_empty(), "{:?}", pair.actions);
}

#[test]
fn late_news_of_a_given_up_bundle_is_ignored() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(2);
    let first = pair.take_bundle();
    pair.tell(Input::WorkerLost {
        worker: WorkerId(1),
        reason: "killed".into(),
        blames_bundles: false,
    });
    pair.join(2, 1);
    let second = pair.take_bundle();
    pair.actions.clear();
    pair.finish(first.id, 0);
    assert!(
        !pair
            .actions
            .iter()
            .any(|action| matches!(action, Action::CommitBundle { .. }))
    );
    pair.finish(second.id, 0);
    assert_eq!(pair.outcome(), Some(JobOutcome::Done));
}

#[test]
fn a_bundle_that_ends_its_workers_is_tried_as_often_as_one_that_fails() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(1);
    for attempt in 1..=4 {
        assert_eq!(pair.take_bundle().attempt, attempt);
        pair.tell(Input::WorkerLost {
            worker: WorkerId(attempt.into()),
            reason: "out of memory".into(),
            blames_bundles: true,
        });
        pair.join(u64::from(attempt) + 1, 1);
    }
    let Some(JobOutcome::Failed(reason)) = pair.outcome() else {
        panic!("{:?}", pair.outcome());
    };
    assert!(reason.contains("failed 4 times") && reason.contains("out of memory"));
}

#[test]
fn an_empty_pipeline_is_done_at_once() {
    let mut pair = Pair::new(&chain(0));
    pair.finish_impulse(0);
    assert_eq!(pair.outcome(), Some(JobOutcome::Done));
}

#[test]
fn a_worker_that_lost_a_bundle_gets_no_other() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(3);
    let bundle = pair.take_bundle();
    pair.actions.clear();
    let failure = BundleFailure::WorkerLost("the connection broke".into());
    pair.tell(Input::BundleFailed {
        bundle: bundle.id,
        failure,
    });
    assert_eq!(pair.actions, [Action::DiscardBundle { bundle: bundle.id }]);
    pair.join(2, 1);
    assert_eq!(pair.take_bundle().attempt, 1);
}
