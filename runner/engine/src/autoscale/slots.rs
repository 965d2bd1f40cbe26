//! How many bundles a worker runs at once: more than it began with, while they keep no processor busy.
//!
//! A DoFn that waits, for a service or for its source to have something, takes a slot and no processor. As long as bundles wait
//! for slots and the machine's processors are idle all the same, workers get twice as many. Once the processors are busy they
//! have half as many again, down to what they began with. Nothing that runs is ended for that.

use dataflume_model::time::ProcessingTime;

use super::Load;

/// How often the load is looked at.
const LOOK_EVERY_MS: i64 = 1_000;
/// More bundles than this at once have other things to wait for.
const MOST: u32 = 64;
/// From this share of idle processor time on there is room for more.
const IDLE: f64 = 0.5;
/// Below this share the processors are busy.
const BUSY: f64 = 0.1;

/// The policy for one environment.
#[derive(Debug, Clone)]
pub struct SlotPolicy {
    at_first: u32,
    slots: u32,
    next_look: Option<ProcessingTime>,
}

impl SlotPolicy {
    /// A policy that begins with so many slots per worker.
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self {
            at_first: slots,
            slots,
            next_look: None,
        }
    }

    /// How many bundles a worker runs at once.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// When [`look`](Self::look) is to be called next, if bundles run.
    #[must_use]
    pub fn next_look(&self) -> ProcessingTime {
        self.next_look.unwrap_or(ProcessingTime(i64::MIN))
    }

    /// Looks at the load of so many workers, and at the share of the machine's processor time that was idle since the last look.
    /// `None`: unknown. Says how many slots each worker has from now on, if that changes.
    pub fn look(
        &mut self,
        now: ProcessingTime,
        load: &Load,
        workers: u32,
        idle: Option<f64>,
    ) -> Option<u32> {
        let first = self.next_look.is_none();
        if now < self.next_look() {
            return None;
        }
        self.next_look = Some(ProcessingTime(now.0.saturating_add(LOOK_EVERY_MS)));
        let idle = idle.filter(|_| !first)?;
        let full = load.running >= workers.saturating_mul(self.slots);
        let slots = if idle >= IDLE && workers > 0 && full && load.startable > 0 {
            self.slots.saturating_mul(2).min(MOST.max(self.at_first))
        } else if idle < BUSY {
            (self.slots / 2).max(self.at_first)
        } else {
            self.slots
        };
        if slots == self.slots {
            return None;
        }
        self.slots = slots;
        Some(slots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slots after each second's `(running, startable, idle share in percent)`, with one worker.
    fn slots(looks: &[(u32, u64, Option<u32>)]) -> Vec<u32> {
        let mut policy = SlotPolicy::new(2);
        let mut all = Vec::new();
        for (second, (running, startable, idle)) in looks.iter().enumerate() {
            let load = Load {
                running: *running,
                startable: *startable,
                ..Load::default()
            };
            let now = ProcessingTime(second as i64 * LOOK_EVERY_MS);
            let idle = idle.map(|percent| f64::from(percent) / 100.0);
            policy.look(now, &load, 1, idle);
            all.push(policy.slots());
        }
        all
    }

    #[test]
    fn bundles_that_only_wait_make_room_for_more() {
        let idle = Some(90);
        let all = [(2, 98, idle), (2, 98, idle), (4, 96, idle), (8, 92, idle)];
        assert_eq!(
            slots(&all),
            [2, 4, 8, 16],
            "the first look only begins to watch"
        );
        let mut all = vec![(64, 1, idle); 12];
        assert_eq!(slots(&all).last(), Some(&64));
        all.extend(vec![(64, 1, Some(0)); 12]);
        assert_eq!(slots(&all).last(), Some(&2), "back to what it was at first");
    }

    #[test]
    fn nothing_changes_without_a_reason() {
        let idle = Some(90);
        for look in [
            (2, 0, idle),
            (1, 5, idle),
            (2, 5, Some(30)),
            (2, 5, Some(5)),
            (2, 5, None),
        ] {
            assert_eq!(slots(&[look; 4]), [2; 4], "{look:?}");
        }
    }

    #[test]
    fn looking_too_soon_does_nothing() {
        let mut policy = SlotPolicy::new(1);
        let load = Load {
            running: 1,
            startable: 1,
            ..Load::default()
        };
        let mut look = |ms| policy.look(ProcessingTime(ms), &load, 1, Some(1.0));
        assert_eq!(
            (look(0), look(999), look(1_000), look(1_001)),
            (None, None, Some(2), None)
        );
    }
}
