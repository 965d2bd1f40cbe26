//! What the SDK writes on its timer streams, and what the runner writes itself.

use bytes::Bytes;
use dataflume_graph::plan::TimeDomain;
use dataflume_model::coder::CoderError;
use dataflume_model::pane::PaneInfo;
use dataflume_model::time::EventTime;
use dataflume_model::timer::{Firing, Timer};
use dataflume_model::window::Window;

use super::keys::{self, Place};
use super::{Family, KeyedTimers, TimerError};
use crate::data::hash;
use dataflume_model::ids::KeyGroup;

/// Fires after others of the same time.
const RANK_OF_EXPIRY: u8 = 1;

/// A timer that was set.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) place: Place,
    /// As it will be sent to the SDK.
    pub(super) record: Bytes,
}

/// A timer that was set or cleared.
pub(super) struct Change {
    pub(super) group: KeyGroup,
    pub(super) identity: Bytes,
    pub(super) pending: Option<Pending>,
}

impl KeyedTimers {
    /// Takes the timers of a chunk apart.
    pub(super) fn changes(
        &self,
        name: &str,
        chunk: &Bytes,
        clock_shift_ms: i64,
    ) -> Result<Vec<Change>, TimerError> {
        let family = self.family(name)?;
        let bad = |source| TimerError::Record {
            family: name.to_owned(),
            source,
        };
        let change = |timer: &Timer, record| {
            let mut change = self.change(name, family, timer, record)?;
            if let (TimeDomain::ProcessingTime, Some(pending)) =
                (family.domain, &mut change.pending)
            {
                pending.place.fire = pending.place.fire.plus_ms(clock_shift_ms);
            }
            Ok(change)
        };
        let mut changes = Vec::new();
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let start = chunk.len() - rest.len();
            let timer = family.codec.decode(&mut rest).map_err(bad)?;
            let record = chunk.slice(start..chunk.len() - rest.len());
            match timer.windows.as_slice() {
                [] => {
                    return Err(TimerError::NoWindow {
                        family: name.to_owned(),
                    });
                }
                [_] => changes.push(change(&timer, record).map_err(bad)?),
                windows => {
                    for window in windows {
                        let timer = Timer {
                            windows: vec![window.clone()],
                            ..timer.clone()
                        };
                        let record = encode(family, &timer).map_err(bad)?;
                        changes.push(change(&timer, record).map_err(bad)?);
                    }
                }
            }
        }
        Ok(changes)
    }

    /// The expiry timer of a key and window. It holds the watermark until it has fired, but what
    /// it outputs has a timestamp within the window.
    pub(super) fn expiry_timer(
        &self,
        name: &str,
        key: &[u8],
        window: &Window,
    ) -> Result<Change, TimerError> {
        let family = self.family(name)?;
        let bad = |source| TimerError::Record {
            family: name.to_owned(),
            source,
        };
        let at = self.expiry(window);
        let timer = Timer {
            key: Bytes::copy_from_slice(key),
            tag: String::new(),
            windows: vec![window.clone()],
            firing: Some(Firing {
                fire_timestamp: at,
                hold_timestamp: window.max_timestamp(),
                pane: PaneInfo::NO_FIRING,
            }),
        };
        let record = encode(family, &timer).map_err(bad)?;
        let mut change = self.change(name, family, &timer, record).map_err(bad)?;
        if let Some(pending) = &mut change.pending {
            pending.place.hold = at;
        }
        Ok(change)
    }

    /// The change that a record of a single window means.
    fn change(
        &self,
        name: &str,
        family: &Family,
        timer: &Timer,
        record: Bytes,
    ) -> Result<Change, CoderError> {
        let mut window = Vec::new();
        for only in &timer.windows {
            self.window.encode(only, &mut window)?;
        }
        let place = |firing: &Firing| Place {
            domain: family.domain,
            fire: match family.domain {
                TimeDomain::EventTime => at_end(&timer.windows, firing.fire_timestamp),
                TimeDomain::ProcessingTime => firing.fire_timestamp,
            },
            hold: bounded(firing.hold_timestamp),
            rank: if family.of_expiry { RANK_OF_EXPIRY } else { 0 },
        };
        Ok(Change {
            group: hash::key_group(&timer.key, self.key_groups),
            identity: keys::identity(&window, name, &timer.key, &timer.tag),
            pending: timer.firing.as_ref().map(|firing| Pending {
                place: place(firing),
                record,
            }),
        })
    }
}

/// What the Python SDK calls the largest timestamp of the global window is a microsecond before the one that
/// the model and all other SDKs mean, and it is cut to a millisecond when it is encoded. A timer set for the
/// window's end would then be due before the window's last elements, which carry the model's timestamp.
fn at_end(windows: &[Window], fire: EventTime) -> EventTime {
    let end = EventTime::END_OF_GLOBAL_WINDOW;
    match windows {
        [Window::Global] if fire.0 == end.0 - 1 => end,
        _ => fire,
    }
}

/// As a watermark can be.
fn bounded(time: EventTime) -> EventTime {
    time.clamp(EventTime::MIN, EventTime::MAX)
}

fn encode(family: &Family, timer: &Timer) -> Result<Bytes, CoderError> {
    let mut record = Vec::new();
    family.codec.encode(timer, &mut record)?;
    Ok(record.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_global_window_is_one_whoever_says_it() {
        let end = EventTime::END_OF_GLOBAL_WINDOW;
        let before = EventTime(end.0 - 1);
        assert_eq!(at_end(&[Window::Global], before), end);
        assert_eq!(at_end(&[Window::Global], end), end);
        assert_eq!(
            at_end(&[Window::Global], EventTime(end.0 - 2)),
            EventTime(end.0 - 2)
        );
        let other = Window::Interval {
            start: EventTime(0),
            end,
        };
        assert_eq!(at_end(&[other], before), before);
    }
}
