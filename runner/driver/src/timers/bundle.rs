//! What one bundle does to timers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use dataflume_engine::KeyGroupSummary;
use dataflume_engine::store::WriteBatch;
use dataflume_graph::plan::TimeDomain;
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::{EventTime, ProcessingTime};
use dataflume_model::window::Window;

use super::due::DueTimer;
use super::keys::{self, Index, Keys, Place};
use super::record::Pending;
use super::{KeyedTimers, TimerError};

/// Timers as a running bundle leaves them. Nothing is stored before the bundle commits.
pub struct BundleTimers {
    timers: KeyedTimers,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    /// What is to become of each timer that the bundle touched.
    timers: BTreeMap<(KeyGroup, Bytes), Option<Pending>>,
    /// Keys and windows whose expiry timer is known to be set.
    expiring: BTreeSet<(Bytes, Window)>,
}

impl BundleTimers {
    pub(super) fn new(timers: KeyedTimers) -> Self {
        Self {
            timers,
            changes: Mutex::default(),
        }
    }

    /// These were sent to the SDK: at commit they are gone, unless the SDK set them anew.
    pub fn fired(&self, fired: &[DueTimer]) {
        let mut changes = self.changes();
        for timer in fired {
            changes
                .timers
                .entry((timer.group, timer.identity.clone()))
                .or_insert(None);
        }
    }

    /// Takes what the SDK wrote on a family's stream: timers set and cleared, one after the other.
    ///
    /// # Errors
    /// The family is unknown or the bytes are no timers; then nothing of them counts.
    pub fn absorb(&self, family: &str, bytes: &Bytes) -> Result<(), TimerError> {
        self.absorb_shifted(family, bytes, 0)
    }

    /// The same, where processing-time timers fire so much later than they say: SDKs set them by the
    /// real clock, also where a TestStream has one of its own.
    ///
    /// # Errors
    /// As of [`absorb`](Self::absorb).
    pub fn absorb_shifted(
        &self,
        family: &str,
        bytes: &Bytes,
        clock_shift_ms: i64,
    ) -> Result<(), TimerError> {
        let absorbed = self.timers.changes(family, bytes, clock_shift_ms)?;
        let mut changes = self.changes();
        for change in absorbed {
            changes
                .timers
                .insert((change.group, change.identity), change.pending);
        }
        Ok(())
    }

    /// Makes sure that the transform is told when this window is over for this key. Call it for
    /// every key and window of the bundle's input, if the transform has an expiry family. The key
    /// is as it stands in the encoded `KV`.
    ///
    /// # Errors
    /// The store could not be read, or the window is not of the input's kind.
    pub fn ensure_expiry_timer(&self, key: &[u8], window: &Window) -> Result<(), TimerError> {
        let Some(family) = &self.timers.expiry_family else {
            return Ok(());
        };
        let mut changes = self.changes();
        if !changes
            .expiring
            .insert((Bytes::copy_from_slice(key), window.clone()))
        {
            return Ok(());
        }
        let change = self.timers.expiry_timer(family, key, window)?;
        let keys = self.keys(change.group);
        if self
            .timers
            .store
            .get(&keys.place(&change.identity))?
            .is_none()
        {
            changes
                .timers
                .entry((change.group, change.identity))
                .or_insert(change.pending);
        }
        Ok(())
    }

    /// Whether, after this bundle, a timer waits in this group and encoded window.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn waits_in(&self, group: KeyGroup, window: &[u8]) -> Result<bool, TimerError> {
        let changes = self.changes();
        let keys = self.keys(group);
        let places = keys.places_in(window);
        let common = Keys::identity_of_place(&places);
        let from = (group, Bytes::copy_from_slice(common));
        let mut touched = changes.timers.range(from..);
        let set = touched
            .by_ref()
            .take_while(|((g, identity), _)| *g == group && identity.starts_with(common))
            .any(|(_, pending)| pending.is_some());
        if set {
            return Ok(true);
        }
        let mut waits = false;
        self.timers.store.scan(&places, &places, &mut |place, _| {
            waits = !changes.touched(group, Keys::identity_of_place(place));
            if waits {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        Ok(waits)
    }

    /// A key group's timers and holds after this bundle, for the engine.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn summary(&self, key_group: KeyGroup) -> Result<KeyGroupSummary, TimerError> {
        let changes = self.changes();
        let mut summary = KeyGroupSummary {
            key_group,
            next_event_timer: self.first(&changes, key_group, Index::EventTime)?,
            next_processing_timer: self
                .first(&changes, key_group, Index::ProcessingTime)?
                .map(|time| ProcessingTime(time.0)),
            hold: self.first(&changes, key_group, Index::Hold)?,
        };
        for Pending { place, .. } in changes.pending(key_group) {
            match place.domain {
                TimeDomain::EventTime => sooner(&mut summary.next_event_timer, place.fire),
                TimeDomain::ProcessingTime => {
                    sooner(
                        &mut summary.next_processing_timer,
                        ProcessingTime(place.fire.0),
                    );
                }
            }
            sooner(&mut summary.hold, place.hold);
        }
        Ok(summary)
    }

    /// The soonest stored entry of an index that the bundle did not touch.
    fn first(
        &self,
        changes: &Changes,
        group: KeyGroup,
        index: Index,
    ) -> Result<Option<EventTime>, TimerError> {
        let prefix = self.keys(group).index(index);
        let mut first = Ok(None);
        self.timers.store.scan(&prefix, &prefix, &mut |entry, _| {
            match keys::parse(entry) {
                Some((_, identity)) if changes.touched(group, identity) => {
                    return ControlFlow::Continue(());
                }
                Some((time, _)) => first = Ok(Some(time)),
                None => first = Err(TimerError::Damaged),
            }
            ControlFlow::Break(())
        })?;
        first
    }

    /// The key groups whose timers the bundle touched.
    pub fn groups(&self) -> BTreeSet<KeyGroup> {
        self.changes()
            .timers
            .keys()
            .map(|(group, _)| *group)
            .collect()
    }

    /// Stages what was fired, set and cleared, for the bundle's commit.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn write_into(&self, batch: &mut WriteBatch) -> Result<(), TimerError> {
        for ((group, identity), pending) in &self.changes().timers {
            let keys = self.keys(*group);
            if let Some(stored) = self.timers.store.get(&keys.place(identity))? {
                let stored = Place::decode(&stored).ok_or(TimerError::Damaged)?;
                stored.remove(&keys, identity, batch);
            }
            if let Some(pending) = pending {
                pending.place.put(&keys, identity, &pending.record, batch);
            }
        }
        Ok(())
    }

    fn keys(&self, group: KeyGroup) -> Keys {
        Keys {
            stage: self.timers.stage,
            group,
        }
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        // A panic elsewhere has failed the bundle: what is here will not be committed.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    fn touched(&self, group: KeyGroup, identity: &[u8]) -> bool {
        self.timers
            .contains_key(&(group, Bytes::copy_from_slice(identity)))
    }

    fn pending(&self, group: KeyGroup) -> impl Iterator<Item = &Pending> {
        self.timers
            .range((group, Bytes::new())..)
            .take_while(move |((g, _), _)| *g == group)
            .filter_map(|(_, pending)| pending.as_ref())
    }
}

fn sooner<T: Ord>(current: &mut Option<T>, other: T) {
    if current.as_ref().is_none_or(|current| other < *current) {
        *current = Some(other);
    }
}
