//! Which timers a bundle fires.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bytes::Bytes;
use dataflume_graph::plan::TimeDomain;
use dataflume_model::ids::KeyGroup;
use dataflume_model::time::{EventTime, ProcessingTime};

use super::keys::{self, Index, Keys, Owner};
use super::{KeyedTimers, TimerError};
use crate::state::passed;

/// A bundle fires no more timers than this. What is due beyond is due again at once.
pub(super) const MAX_TIMERS_PER_BUNDLE: usize = 10_000;

/// A timer whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    /// Its family, which is the stream to send it on.
    pub family: String,
    /// Of the family.
    pub domain: TimeDomain,
    /// In its domain.
    pub fire_timestamp: EventTime,
    /// What to send, as the Fn API writes a timer.
    pub record: Bytes,
    pub(super) group: KeyGroup,
    pub(super) identity: Bytes,
}

impl KeyedTimers {
    /// The timers of these key groups that are due, the first of them if there are many: event-time timers that the watermark has
    /// passed, then processing-time timers whose time has come; each kind in the order of their
    /// time. Send all of them to the SDK, in this order, before the bundle's input ends, and give
    /// them to [`BundleTimers::fired`](super::BundleTimers::fired).
    ///
    /// A window's expiry timer is due only when nothing else of its key and window is: what that
    /// sets may have to fire first.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn due(
        &self,
        groups: &[KeyGroup],
        watermark: EventTime,
        now: ProcessingTime,
    ) -> Result<Vec<DueTimer>, TimerError> {
        let mut due = Vec::new();
        let mut all_of_processing = true;
        for group in groups {
            if due.len() > MAX_TIMERS_PER_BUNDLE {
                break;
            }
            let keys = Keys {
                stage: self.stage,
                group: *group,
            };
            let event = |time| passed(time, watermark);
            self.scan(&keys, TimeDomain::EventTime, event, &mut due)?;
            let processing = |time: EventTime| ProcessingTime(time.0) <= now;
            all_of_processing &=
                self.scan(&keys, TimeDomain::ProcessingTime, processing, &mut due)?;
        }
        self.postpone_expiry(&mut due, all_of_processing)?;
        // Stable: within a time, the store's order stays, which has expiry timers last.
        due.sort_by_key(|timer| {
            (
                timer.domain == TimeDomain::ProcessingTime,
                timer.fire_timestamp,
            )
        });
        due.truncate(MAX_TIMERS_PER_BUNDLE);
        Ok(due)
    }

    /// Adds the due timers of a domain, as many as a bundle may fire. False if there may be more.
    fn scan(
        &self,
        keys: &Keys,
        domain: TimeDomain,
        is_due: impl Fn(EventTime) -> bool,
        due: &mut Vec<DueTimer>,
    ) -> Result<bool, TimerError> {
        let most = due.len() + MAX_TIMERS_PER_BUNDLE;
        let prefix = keys.index(Index::of(domain));
        let mut damaged = false;
        self.store.scan(&prefix, &prefix, &mut |entry, record| {
            let parsed = keys::parse(entry);
            let Some((time, identity, owner)) =
                parsed.and_then(|(time, identity)| Some((time, identity, Owner::of(identity)?)))
            else {
                damaged = true;
                return ControlFlow::Break(());
            };
            if !is_due(time) || due.len() >= most {
                return ControlFlow::Break(());
            }
            due.push(DueTimer {
                family: owner.family,
                domain,
                fire_timestamp: time,
                record: record.clone(),
                group: keys.group,
                identity: Bytes::copy_from_slice(identity),
            });
            ControlFlow::Continue(())
        })?;
        if damaged {
            Err(TimerError::Damaged)
        } else {
            Ok(due.len() < most)
        }
    }

    /// Leaves out expiry timers of keys and windows with other due timers: with ones in event time, which come before them in their
    /// order, and with ones in processing time, if those are all known.
    fn postpone_expiry(
        &self,
        due: &mut Vec<DueTimer>,
        all_of_processing: bool,
    ) -> Result<(), TimerError> {
        let Some(of_expiry) = &self.expiry_family else {
            return Ok(());
        };
        let owner = |timer: &DueTimer| {
            let owner = Owner::of(&timer.identity).ok_or(TimerError::Damaged)?;
            Ok::<_, TimerError>((owner.window, owner.key))
        };
        let others = due
            .iter()
            .filter(|timer| timer.family != **of_expiry)
            .map(owner);
        let others: BTreeSet<_> = others.collect::<Result<_, _>>()?;
        due.retain(|timer| {
            timer.family != **of_expiry
                || (all_of_processing && owner(timer).is_ok_and(|owner| !others.contains(&owner)))
        });
        Ok(())
    }
}
