//! What goes into the store and what comes back.

use dataflume_engine::grouping::{GroupingError, GroupingOptions};
use dataflume_engine::store::{Store, WriteBatch};
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::EventTime;
use dataflume_model::trigger::Trigger;
use dataflume_model::window::WindowingStrategy;

use crate::world::{GROUP, World, fixed};

#[test]
fn running_changes_nothing_before_the_commit() {
    let mut world = World::new(fixed(10), GroupingOptions::default());
    world.elements(&[1, 2]);
    let before = world.stored();
    world.watermark = EventTime(10);
    let first = world.try_run(vec![], vec![GROUP]).expect("it runs");
    assert_eq!(world.stored(), before);
    // A second attempt at the same bundle does the same.
    assert_eq!(world.try_run(vec![], vec![GROUP]), Ok(first));
}

#[test]
fn other_groups_and_stages_are_left_alone() {
    let mut world = World::new(fixed(10), GroupingOptions::default());
    world.elements(&[1]);
    world.watermark = EventTime(10);
    let other = world
        .try_run(vec![], vec![KeyGroup(GROUP.0 + 1)])
        .expect("it runs");
    assert_eq!(other.output_elements, 0);
    assert_eq!(other.key_groups[0].next_event_timer, None);
}

#[test]
fn damaged_state_is_an_error() {
    let mut world = World::new(fixed(10), GroupingOptions::default());
    world.elements(&[1]);
    let mut keys = Vec::new();
    let scanned = world.store.scan(b"", b"", &mut |key, value| {
        keys.push((key.to_vec(), value.clone()));
        std::ops::ControlFlow::Continue(())
    });
    scanned.expect("a store in memory");
    world.watermark = EventTime(10);
    let mut refused = 0;
    for (key, value) in keys {
        for end in 0..value.len() {
            let mut batch = WriteBatch::default();
            batch.put(key.clone(), value.slice(..end));
            world.store.commit(batch).expect("a store in memory");
            let result = world.try_run(vec![], vec![GROUP]);
            // Cutting off values alone can't be noticed; nothing panics.
            refused += usize::from(matches!(result, Err(GroupingError::Damaged(_))));
        }
        let mut batch = WriteBatch::default();
        batch.put(key, value);
        world.store.commit(batch).expect("a store in memory");
    }
    assert!(refused > 3, "only {refused} were noticed");
}

#[test]
fn malformed_elements_are_an_error() {
    let world = World::new(fixed(10), GroupingOptions::default());
    let result = world.try_run(vec![(GROUP, vec![b"no element"[..].into()])], vec![]);
    assert!(matches!(result, Err(GroupingError::Coder(_))));
}

/// The same elements in other bundles make the same panes, by a trigger that only knows event time.
#[test]
fn bundling_does_not_matter() {
    let elements: Vec<i64> = (0..60).map(|i| (i * 37) % 100).collect();
    let strategy = WindowingStrategy {
        trigger: Trigger::Default,
        ..fixed(10)
    };
    let panes_of = |size: usize, strategy: &WindowingStrategy| {
        let mut world = World::new(strategy.clone(), GroupingOptions::default());
        for bundle in elements.chunks(size) {
            assert!(world.elements(bundle).is_empty());
        }
        let mut panes = world.advance_watermark(EventTime::MAX);
        assert_eq!(world.stored(), 0);
        panes
            .iter_mut()
            .for_each(|pane| pane.values.sort_unstable());
        panes.sort_by(|a, b| a.window.cmp(&b.window));
        panes
    };
    for strategy in [strategy, crate::world::sessions(2)] {
        let whole = panes_of(elements.len(), &strategy);
        assert_eq!(
            whole.iter().map(|pane| pane.values.len()).sum::<usize>(),
            60
        );
        for size in [1, 2, 7] {
            assert_eq!(panes_of(size, &strategy), whole);
        }
    }
}
