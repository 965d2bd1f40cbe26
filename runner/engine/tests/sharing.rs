//! How what waits is shared among slots and workers.

mod common;

use common::{Pair, chain};
use dataflume_engine::{Action, Bundle, DataHandle, DataId, Effects, Fraction, Input, Work};
use dataflume_graph::plan::{GroupByKey, Plan, StageKind};
use dataflume_model::ids::{BundleId, KeyGroup, StageId};
use dataflume_model::time::EventTime;
use dataflume_model::window::WindowingStrategy;

const ARBITRARILY: StageKind = StageKind::Redistribute { by_key: false };

#[test]
fn idle_slots_share_what_waits() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 2);
    pair.join(2, 2);
    pair.finish_impulse(40);
    let sizes: Vec<usize> = (0..4)
        .map(|_| match pair.take_bundle().work {
            Work::Elements(pieces) => pieces.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 40);
    assert!(
        sizes.iter().all(|size| (8..=12).contains(size)),
        "{sizes:?}"
    );
}

#[test]
fn what_was_redistributed_is_shared_among_workers_however_little_it_is() {
    let shares = |kind: StageKind, workers: u64| {
        let mut plan = chain(2);
        plan.stages[1].kind = kind;
        let mut pair = Pair::new(&plan);
        (1..=workers).for_each(|worker| pair.join(worker, 4));
        pair.finish_impulse(1);
        let passing_on = pair.take_bundle();
        let few = (0..20).map(|id| DataHandle {
            id: DataId(100 + id),
            elements: 1,
            bytes: 14,
            min_timestamp: EventTime(0),
            key_group: None,
            side_inputs_ready_at: Default::default(),
        });
        let effects = Effects {
            deliveries: vec![(StageId(2), few.collect())],
            ..Effects::default()
        };
        pair.tell(Input::BundleFinished {
            bundle: passing_on.id,
            effects,
        });
        let started = pair.actions.iter().filter_map(|action| match action {
            Action::StartBundle(bundle) => match &bundle.work {
                Work::Elements(pieces) => Some((bundle.executor, pieces.len())),
                other => panic!("{other:?}"),
            },
            _ => None,
        });
        let mut shares: Vec<_> = started.collect();
        shares.dedup_by_key(|(executor, _)| *executor);
        shares
            .into_iter()
            .map(|(_, pieces)| pieces)
            .collect::<Vec<_>>()
    };
    assert_eq!(shares(ARBITRARILY, 1), [20], "its slots are one processor");
    assert_eq!(shares(ARBITRARILY, 2), [10, 10]);
    assert_eq!(shares(ARBITRARILY, 3), [6, 7, 7]);
    assert_eq!(shares(StageKind::Identity, 2), [20], "nobody asked for it");
}

/// A grouping at the end of its input, and a stage behind it.
fn grouping() -> Plan {
    let mut plan = chain(2);
    plan.stages[1].kind = StageKind::GroupByKey(GroupByKey {
        transform: String::new(),
        windowing: WindowingStrategy::default(),
        at_end_of_input: true,
        merging: None,
    });
    plan
}

fn handle(id: u64, elements: u64, key_group: Option<u32>) -> DataHandle {
    DataHandle {
        id: DataId(id),
        elements,
        bytes: 14 * elements,
        min_timestamp: EventTime(0),
        key_group: key_group.map(KeyGroup),
        side_inputs_ready_at: Default::default(),
    }
}

fn finish(pair: &mut Pair, bundle: BundleId, stage: u32, data: Vec<DataHandle>) {
    let effects = Effects {
        deliveries: vec![(StageId(stage), data)],
        ..Effects::default()
    };
    pair.tell(Input::BundleFinished { bundle, effects });
}

#[test]
fn groupings_wait_for_consumers_that_have_enough() {
    let mut pair = Pair::new(&grouping());
    pair.join(1, 1);
    let impulse = pair.take_bundle();
    let groups = (0..4).map(|group| handle(u64::from(group), 5, Some(group)));
    finish(&mut pair, impulse.id, 1, groups.collect());
    let (first, second) = (pair.take_bundle(), pair.take_bundle());
    assert_eq!((first.stage, second.stage), (StageId(1), StageId(1)));
    // 28 MB each: the second waits while the consumer is at work on the first.
    let much = [10, 11].map(|id| handle(id, 2_000_000, None));
    finish(&mut pair, first.id, 2, much.into());
    let consuming = pair.take_bundle();
    assert_eq!(consuming.stage, StageId(2));
    finish(&mut pair, second.id, 2, Vec::new());
    let starts = |action: &Action| matches!(action, Action::StartBundle(_));
    assert!(!pair.actions.iter().any(starts), "{:?}", pair.actions);
    finish(&mut pair, consuming.id, 2, Vec::new());
    let next = [(); 3].map(|()| pair.take_bundle().stage);
    assert_eq!(next, [StageId(2), StageId(1), StageId(1)]);
}

#[test]
fn what_groupings_give_little_by_little_is_one_bundle() {
    let mut pair = Pair::new(&grouping());
    pair.join(1, 1);
    let impulse = pair.take_bundle();
    let groups = (0..4).map(|group| handle(u64::from(group), 5, Some(group)));
    finish(&mut pair, impulse.id, 1, groups.collect());
    let sizes = |bundle: &Bundle| match &bundle.work {
        Work::Elements(pieces) => pieces.iter().map(|piece| piece.handle.elements).collect(),
        other => panic!("{other:?}"),
    };
    let mut given = [3, 9000, 4, 5].into_iter().zip(10..);
    let mut started = Vec::new();
    for _ in 0..6 {
        let bundle = pair.take_bundle();
        if bundle.stage == StageId(1) {
            let (elements, id) = given.next().expect("one for each key group");
            finish(&mut pair, bundle.id, 2, vec![handle(id, elements, None)]);
        } else {
            let elements: Vec<u64> = sizes(&bundle);
            started.push(elements);
            finish(&mut pair, bundle.id, 2, Vec::new());
        }
    }
    // Three elements wait for more, and go with the 9,000; the rest when nothing more can come.
    assert_eq!(started, [vec![3, 9000], vec![4, 5]]);
}

fn bundles(pair: &Pair) -> usize {
    let started = |action: &&Action| matches!(action, Action::StartBundle(_));
    pair.actions.iter().filter(started).count()
}

#[test]
fn a_worker_begins_another_bundle_while_a_long_one_winds_up() {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(800);
    let first = pair.take_bundle();
    assert_eq!(bundles(&pair), 0, "one slot");
    pair.tell(Input::BundleWindsUp { bundle: first.id });
    assert_eq!(bundles(&pair), 0, "it may be about to end");
    pair.wait_ms(500);
    pair.tell(Input::BundleWindsUp { bundle: first.id });
    pair.tell(Input::BundleWindsUp { bundle: first.id });
    assert_eq!(bundles(&pair), 1, "told twice, it gives one slot");
    let second = pair.take_bundle();
    pair.finish(first.id, 0);
    assert_eq!(bundles(&pair), 0, "its slot had been taken");
    pair.tell(Input::BundleWindsUp { bundle: first.id });
    pair.finish(second.id, 0);
    assert_eq!(bundles(&pair), 1);
}

/// Two workers of one slot, and a bundle on each that has run for a while.
fn two_long_bundles() -> (Pair, Bundle, Bundle) {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.join(2, 1);
    pair.finish_impulse(40);
    let (first, second) = (pair.take_bundle(), pair.take_bundle());
    pair.wait_ms(600);
    (pair, first, second)
}

/// The splits that are asked for: of which bundle, and what it keeps.
fn splits(pair: &Pair) -> impl Iterator<Item = (BundleId, Fraction)> {
    pair.actions.iter().filter_map(|action| match action {
        Action::SplitBundle {
            bundle,
            fraction_of_remainder,
            ..
        } => Some((*bundle, *fraction_of_remainder)),
        _ => None,
    })
}

#[test]
fn where_long_bundles_are_slow_to_end_they_give_up_most() {
    let kept = |winds_up: bool| {
        let (mut pair, first, second) = two_long_bundles();
        match winds_up {
            true => pair.tell(Input::BundleWindsUp { bundle: first.id }),
            false => pair.finish(first.id, 0),
        }
        let (bundle, kept) = splits(&pair).next().expect("a slot is free");
        assert_eq!(bundle, second.id);
        kept
    };
    assert_eq!(kept(false), Fraction::HALF);
    assert_eq!(kept(true), Fraction::EIGHTH);
}

/// What a bundle that nears its end is asked for, after a long one has ended in this way.
fn asked_near_its_end(slow: Option<bool>) -> Option<Fraction> {
    let mut pair = Pair::new(&chain(1));
    pair.join(1, 1);
    pair.finish_impulse(800);
    if let Some(slow) = slow {
        let first = pair.take_bundle();
        pair.wait_ms(600);
        if slow {
            pair.tell(Input::BundleWindsUp { bundle: first.id });
        }
        pair.finish(first.id, 0);
    }
    let bundle = pair.take_bundle().id;
    pair.tell(Input::BundleNearsEnd { bundle });
    pair.tell(Input::BundleNearsEnd { bundle });
    let mut asked = splits(&pair).map(|(of, fraction)| {
        assert_eq!(of, bundle);
        fraction
    });
    let fraction = asked.next();
    assert_eq!(asked.next(), None, "once is enough");
    fraction
}

#[test]
fn the_rest_of_a_long_bundle_is_a_bundle_of_its_own_unless_bundles_end_at_once() {
    assert_eq!(asked_near_its_end(None), Some(Fraction::ZERO));
    assert_eq!(asked_near_its_end(Some(true)), Some(Fraction::ZERO));
    assert_eq!(asked_near_its_end(Some(false)), None);
}

#[test]
fn what_will_not_end_in_two_still_shares_with_who_is_idle() {
    let (mut pair, first, second) = two_long_bundles();
    let bundle = second.id;
    pair.tell(Input::BundleNearsEnd { bundle });
    pair.actions.clear();
    pair.tell(Input::SplitRefused { bundle });
    pair.finish(first.id, 0);
    let asked = splits(&pair).any(|(of, _)| of == bundle);
    assert!(asked, "{:?}", pair.actions);
}
