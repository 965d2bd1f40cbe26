//! Windows that are over: their state is garbage.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_engine::store::WriteBatch;
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::EventTime;

use super::bundle::{BundleState, Changes};
use super::chunks::remove_all;
use super::{StateError, keys, passed};
use crate::timers::BundleTimers;

impl BundleState {
    /// Gives up the state of windows of these key groups that the watermark has passed, lateness
    /// included. Call it once, when the SDK is done with the bundle and before
    /// [`BundleState::write_into`], with the bundle's input watermark.
    ///
    /// Where one of the stage's `timers` still waits, the window's state is kept: whatever fires
    /// finds it.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn collect_expired(
        &self,
        groups: &[KeyGroup],
        watermark: EventTime,
        timers: Option<&BundleTimers>,
    ) -> Result<(), StateError> {
        let mut over: BTreeSet<(KeyGroup, Bytes)> = BTreeSet::new();
        for group in groups {
            self.stored_over(*group, watermark, &mut over)?;
        }
        let mut changes = self.changes();
        let new = changes
            .windows
            .iter()
            .filter(|((group, _), expiry)| groups.contains(group) && passed(**expiry, watermark));
        over.extend(new.map(|(window, _)| window.clone()));
        for (group, window) in over {
            let waits = timers
                .map(|timers| timers.waits_in(group, &window))
                .transpose()?;
            if waits != Some(true) {
                changes.expired.insert((group, window));
            }
        }
        Ok(())
    }

    fn stored_over(
        &self,
        group: KeyGroup,
        watermark: EventTime,
        over: &mut BTreeSet<(KeyGroup, Bytes)>,
    ) -> Result<(), StateError> {
        let prefix = keys::windows(self.state.stage, group);
        let scanned =
            self.state.store.scan(
                &prefix,
                &prefix,
                &mut |entry, _| match keys::parse_window_entry(entry) {
                    Some((expiry, window)) if passed(expiry, watermark) => {
                        over.insert((group, Bytes::copy_from_slice(window)));
                        ControlFlow::Continue(())
                    }
                    _ => ControlFlow::Break(()),
                },
            );
        Ok(scanned?)
    }

    pub(super) fn write_expired(
        &self,
        changes: &Changes,
        batch: &mut WriteBatch,
    ) -> Result<(), StateError> {
        let (store, stage) = (&*self.state.store, self.state.stage);
        for (group, window) in &changes.expired {
            remove_all(store, &keys::window(stage, *group, window), batch)?;
            let decoded = self.state.window.decode(&mut &window[..]);
            let decoded = decoded.map_err(StateError::coder("a window"))?;
            let expiry = self.state.expiry(&decoded);
            batch.remove(keys::window_entry(stage, *group, expiry, window));
        }
        Ok(())
    }
}
