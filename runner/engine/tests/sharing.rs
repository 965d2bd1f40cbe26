//! How what waits is shared among slots and workers.

mod common;

use common::{Pair, chain};
use dataflume_engine::{Action, DataHandle, DataId, Effects, Input, Work};
use dataflume_graph::plan::StageKind;
use dataflume_model::ids::StageId;
use dataflume_model::time::EventTime;

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
    assert_eq!(
        shares(StageKind::Redistribute, 1),
        [20],
        "its slots are one processor"
    );
    assert_eq!(shares(StageKind::Redistribute, 2), [10, 10]);
    assert_eq!(shares(StageKind::Redistribute, 3), [6, 7, 7]);
    assert_eq!(shares(StageKind::Identity, 2), [20], "nobody asked for it");
}
