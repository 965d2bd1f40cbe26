//! Timers in processing time follow the clock that the engine was told of.

#[allow(dead_code, reason = "not every test uses all of it")]
mod common;

use common::{Pair, chain};
use dataflume_engine::{Clock, DataHandle, DataId, Effects, Input, KeyGroupSummary, Work};
use dataflume_graph::plan::{KeyedStage, StageKind};
use dataflume_model::coder::Coder;
use dataflume_model::ids::{KeyGroup, StageId};
use dataflume_model::time::{EventTime, ProcessingTime};

const HOUR_MS: i64 = 3_600_000;
const GROUP: KeyGroup = KeyGroup(0);

/// A job that waits for a timer that is due in an hour, by this clock.
fn waiting(clock: Clock) -> Pair {
    let mut plan = chain(1);
    if let StageKind::Executable(executable) = &mut plan.stages[1].kind {
        executable.keyed = Some(KeyedStage {
            transform: "stateful".into(),
            key_coder: Coder::Bytes,
            states: Default::default(),
            timers: Default::default(),
            on_window_expiration: None,
        });
    }
    let mut pair = Pair::new(&plan);
    pair.tell(Input::Clock(clock));
    pair.join(1, 1);
    let impulse = pair.take_bundle();
    let data = DataHandle {
        id: DataId(1),
        elements: 1,
        bytes: 10,
        min_timestamp: EventTime(0),
        key_group: Some(GROUP),
        side_inputs_ready_at: Default::default(),
    };
    pair.tell(Input::BundleFinished {
        bundle: impulse.id,
        effects: Effects {
            deliveries: vec![(StageId(1), vec![data])],
            ..Effects::default()
        },
    });
    let setting = pair.take_bundle();
    pair.tell(Input::BundleFinished {
        bundle: setting.id,
        effects: Effects {
            key_groups: vec![KeyGroupSummary {
                key_group: GROUP,
                next_event_timer: None,
                next_processing_timer: Some(ProcessingTime(HOUR_MS)),
                hold: Some(EventTime(0)),
            }],
            ..Effects::default()
        },
    });
    pair
}

#[test]
fn a_clock_that_is_ahead_makes_timers_due_earlier() {
    for (ahead_ms, due) in [(0, HOUR_MS), (10_000, HOUR_MS - 10_000), (-5, HOUR_MS + 5)] {
        let pair = waiting(Clock::Running { ahead_ms });
        assert_eq!(pair.engine().next_deadline(), Some(ProcessingTime(due)));
    }
}

#[test]
fn timers_wait_while_the_clock_is_stopped_and_fire_when_it_is_moved() {
    let stopped = |at| Clock::Stopped {
        at: ProcessingTime(at),
    };
    let mut pair = waiting(stopped(0));
    assert_eq!(pair.engine().next_deadline(), None);
    assert_eq!(pair.outcome(), None, "somebody will move it");
    pair.tell(Input::Clock(stopped(HOUR_MS)));
    let timers = pair.take_bundle();
    assert_eq!(timers.work, Work::Timers(vec![GROUP]));
    assert_eq!(timers.processing_time, ProcessingTime(HOUR_MS));
}
