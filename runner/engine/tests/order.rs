//! What goes first, and what has to wait: side inputs, timers and elements.

#[allow(dead_code, reason = "not every test uses all of it")]
mod common;

use common::{Pair, chain};
use dataflume_engine::{
    Bundle, DataHandle, DataId, Effects, Input, KeyGroupSummary, PendingData, Work,
};
use dataflume_graph::plan::{AccessPattern, KeyedStage, Plan, SideInput, StageKind};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{KeyGroup, PCollectionId, StageId};
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::trigger::Trigger;
use dataflume_model::window::WindowingStrategy;

fn handle(id: u64, timestamp: i64) -> DataHandle {
    DataHandle {
        id: DataId(id),
        elements: 1,
        bytes: 10,
        min_timestamp: EventTime(timestamp),
        key_group: None,
        side_inputs_ready_at: Default::default(),
    }
}

fn finish(pair: &mut Pair, bundle: &Bundle, effects: Effects) {
    pair.tell(Input::BundleFinished {
        bundle: bundle.id,
        effects,
    });
}

/// Stage 2 reads what stage 1 writes as a side input.
fn with_side_input() -> Plan {
    let mut plan = chain(2);
    let reader = &mut plan.stages[2];
    reader.inputs = vec![PCollectionId(0)];
    reader.side_inputs = vec![SideInput {
        transform: "reader".into(),
        tag: "side".into(),
        pcollections: vec![PCollectionId(1)],
        access_pattern: AccessPattern::Iterable,
        windowing: WindowingStrategy::default(),
        coder: Coder::Bytes,
        mapping: None,
    }];
    plan
}

/// Runs until stage 1 has fired these windows and still has something to do at 10; gives the next bundle.
fn after_firing(fired: &[i64]) -> Bundle {
    next_bundle(&with_side_input(), fired, 10).1
}

/// The same, with something to do at this time.
fn next_bundle(plan: &Plan, fired: &[i64], left: i64) -> (Pair, Bundle) {
    let mut pair = Pair::new(plan);
    pair.join(1, 1);
    let impulse = pair.take_bundle();
    let mut waiting = handle(2, 0);
    waiting.side_inputs_ready_at.push(EventTime(999));
    let effects = Effects {
        deliveries: vec![
            (StageId(1), vec![handle(1, 0)]),
            (StageId(2), vec![waiting]),
        ],
        ..Effects::default()
    };
    finish(&mut pair, &impulse, effects);
    let writer = pair.take_bundle();
    assert_eq!(writer.stage, StageId(1));
    let fired = fired.iter().map(|end| (PCollectionId(1), EventTime(*end)));
    let effects = Effects {
        residuals: vec![PendingData::from(handle(3, left))],
        fired_side_inputs: fired.collect(),
        ..Effects::default()
    };
    finish(&mut pair, &writer, effects);
    let next = pair.take_bundle();
    (pair, next)
}

#[test]
fn a_side_input_is_ready_when_its_trigger_has_fired_for_the_window() {
    assert_eq!(after_firing(&[999]).stage, StageId(2));
    assert_eq!(after_firing(&[1999]).stage, StageId(1));
    assert_eq!(after_firing(&[]).stage, StageId(1));
}

#[test]
fn a_window_with_nothing_to_show_is_empty_only_where_the_trigger_would_have_fired() {
    let mut plan = with_side_input();
    let (_, next) = next_bundle(&plan, &[], 1000);
    assert_eq!(next.stage, StageId(2), "the end of the window has passed");

    let windowing = &mut plan.pcollections[1].windowing;
    (windowing.trigger, windowing.allowed_lateness_ms) = (Trigger::Never, 500);
    let (_, next) = next_bundle(&plan, &[], 1500);
    assert_eq!(next.stage, StageId(2), "the window has expired");
    let (mut pair, next) = next_bundle(&plan, &[], 1000);
    assert_eq!(next.stage, StageId(1), "it may fire yet");
    finish(&mut pair, &next, Effects::default());
    let last = pair.take_bundle();
    assert_eq!(last.stage, StageId(2), "nothing more will come");
}

/// Two stateful stages, one behind the other.
fn stateful() -> Plan {
    let mut plan = chain(2);
    for stage in &mut plan.stages {
        if let StageKind::Executable(executable) = &mut stage.kind {
            executable.keyed = Some(KeyedStage {
                transform: "stateful".into(),
                key_coder: Coder::Bytes,
                states: Default::default(),
                timers: Default::default(),
                on_window_expiration: None,
            });
        }
    }
    plan
}

const GROUP: KeyGroup = KeyGroup(0);

fn keyed(id: u64, timestamp: i64) -> DataHandle {
    DataHandle {
        key_group: Some(GROUP),
        ..handle(id, timestamp)
    }
}

fn summary() -> KeyGroupSummary {
    KeyGroupSummary {
        key_group: GROUP,
        next_event_timer: None,
        next_processing_timer: None,
        hold: None,
    }
}

#[test]
fn what_arrives_with_a_watermark_goes_before_the_timers_that_it_makes_due() {
    let mut pair = Pair::new(&stateful());
    pair.join(1, 1);
    let to = |stage, data| Effects {
        deliveries: vec![(StageId(stage), vec![data])],
        ..Effects::default()
    };
    let impulse = pair.take_bundle();
    finish(&mut pair, &impulse, to(1, keyed(1, 0)));
    // The first stage holds the watermark at 5 until its timer fires.
    let first = pair.take_bundle();
    let holding = KeyGroupSummary {
        next_processing_timer: Some(ProcessingTime(0)),
        hold: Some(EventTime(5)),
        ..summary()
    };
    let effects = Effects {
        key_groups: vec![holding],
        ..to(2, keyed(2, 0))
    };
    finish(&mut pair, &first, effects);
    // The second sets one for 8.
    let second = pair.take_bundle();
    assert_eq!(second.stage, StageId(2));
    let waiting = KeyGroupSummary {
        next_event_timer: Some(EventTime(8)),
        ..summary()
    };
    let effects = Effects {
        key_groups: vec![waiting],
        ..Effects::default()
    };
    finish(&mut pair, &second, effects);
    // The first fires, lets go of its hold, and sends an element.
    let timers = pair.take_bundle();
    assert_eq!(
        (timers.stage, &timers.work),
        (StageId(1), &Work::Timers(vec![GROUP]))
    );
    let effects = Effects {
        key_groups: vec![summary()],
        ..to(2, keyed(3, 9))
    };
    finish(&mut pair, &timers, effects);
    let next = pair.take_bundle();
    assert_eq!(
        (next.stage, next.input_watermark),
        (StageId(2), EventTime(9))
    );
    assert!(matches!(&next.work, Work::Elements(_)), "{:?}", next.work);
    let effects = Effects {
        key_groups: vec![KeyGroupSummary {
            next_event_timer: Some(EventTime(8)),
            ..summary()
        }],
        ..Effects::default()
    };
    finish(&mut pair, &next, effects);
    assert_eq!(pair.take_bundle().work, Work::Timers(vec![GROUP]));
}
