//! How many bundles a worker runs at once: more than it began with, while they keep no processor busy.
//!
//! A DoFn that waits, for a service or for its source to have something, takes a slot and no processor. As long as bundles wait
//! for slots and the machine's processors are idle all the same, workers get twice as many; so they do where other programs
//! keep the processors busy, if it is known that the workers themselves hardly want them. Once the processors are busy they
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
/// Bundles that want less than this share of the processors that they could use only wait.
const WAITING: f64 = 0.25;
/// From this share on it is they who keep the processors busy.
const WORKING: f64 = 0.75;

/// What is known of the processors since the last look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processors {
    /// How many there are.
    pub count: u32,
    /// The share of the machine's processor time that was idle.
    pub idle: Option<f64>,
    /// How many of them the environment's workers would have kept busy, had nobody else wanted them.
    pub wanted: Option<f64>,
}

impl Processors {
    /// Whether there is room for more than so many bundles: they do little but wait, or nobody keeps the processors busy.
    fn have_room(self, bundles: u32) -> bool {
        let usable = f64::from(bundles.min(self.count));
        let waiting = self.wanted.is_some_and(|wanted| wanted < WAITING * usable);
        waiting || self.idle.is_some_and(|idle| idle >= IDLE)
    }

    /// Whether so many bundles keep them busy, as far as is known.
    fn are_busy_with(self, bundles: u32) -> bool {
        let usable = f64::from(bundles.min(self.count));
        let working = self.wanted.is_none_or(|wanted| wanted >= WORKING * usable);
        working && self.idle.is_some_and(|idle| idle < BUSY)
    }
}

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

    /// Whether it matters what the workers themselves want of the processors, which is some effort to find out.
    #[must_use]
    pub fn asks_for_wanted(&self, load: &Load, workers: u32) -> bool {
        let begun = self.next_look.is_some();
        begun && (self.slots > self.at_first || self.could_use_more(load, workers))
    }

    fn could_use_more(&self, load: &Load, workers: u32) -> bool {
        let full = load.running >= workers.saturating_mul(self.slots);
        workers > 0 && full && load.startable > 0
    }

    /// Looks at the load of so many workers, and at the processors since the last look. Says how many slots each worker has from
    /// now on, if that changes.
    pub fn look(
        &mut self,
        now: ProcessingTime,
        load: &Load,
        workers: u32,
        processors: Processors,
    ) -> Option<u32> {
        let first = self.next_look.is_none();
        if now < self.next_look() {
            return None;
        }
        self.next_look = Some(ProcessingTime(now.0.saturating_add(LOOK_EVERY_MS)));
        if first {
            return None;
        }
        let slots = if processors.have_room(load.running) && self.could_use_more(load, workers) {
            self.slots.saturating_mul(2).min(MOST.max(self.at_first))
        } else if processors.are_busy_with(load.running) {
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

    /// What is seen in a second with one worker: bundles that run and that could be started, the idle share of two processors in
    /// percent, and how much the worker wanted of them, in hundredths of one.
    type Look = (u32, u64, Option<u32>, Option<u32>);

    fn load(running: u32, startable: u64) -> Load {
        Load {
            running,
            startable,
            ..Load::default()
        }
    }

    /// The slots after each second's look.
    fn slots(looks: &[Look]) -> Vec<u32> {
        let mut policy = SlotPolicy::new(2);
        let mut all = Vec::new();
        for (second, (running, startable, idle, wanted)) in looks.iter().enumerate() {
            let now = ProcessingTime(second as i64 * LOOK_EVERY_MS);
            let hundredths = |number: &u32| f64::from(*number) / 100.0;
            let processors = Processors {
                count: 2,
                idle: idle.as_ref().map(hundredths),
                wanted: wanted.as_ref().map(hundredths),
            };
            policy.look(now, &load(*running, *startable), 1, processors);
            all.push(policy.slots());
        }
        all
    }

    #[test]
    fn bundles_that_only_wait_make_room_for_more() {
        for (idle, wanted) in [(Some(90), None), (Some(0), Some(10)), (None, Some(10))] {
            let look = |running, startable| (running, startable, idle, wanted);
            let all = [look(2, 98), look(2, 98), look(4, 96), look(8, 92)];
            assert_eq!(
                slots(&all),
                [2, 4, 8, 16],
                "the first look only begins to watch"
            );
            let mut all = vec![look(64, 1); 12];
            assert_eq!(slots(&all).last(), Some(&64));
            all.extend(vec![(64, 1, Some(0), wanted.map(|_| 150)); 12]);
            assert_eq!(slots(&all).last(), Some(&2), "back to what it was at first");
        }
    }

    #[test]
    fn what_others_keep_busy_is_no_reason_for_less() {
        for wanted in [10, 60, 140] {
            let mut all = vec![(64, 1, Some(90), Some(10)); 12];
            all.extend(vec![(64, 1, Some(0), Some(wanted)); 12]);
            assert_eq!(slots(&all).last(), Some(&64), "{wanted}");
        }
    }

    #[test]
    fn nothing_changes_without_a_reason() {
        let idle = Some(90);
        for look in [
            (2, 0, idle, Some(0)),
            (1, 5, idle, Some(0)),
            (2, 5, Some(30), None),
            (2, 5, Some(5), None),
            (2, 5, None, None),
            (2, 5, Some(5), Some(50)),
            (2, 5, Some(5), Some(200)),
        ] {
            assert_eq!(slots(&[look; 4]), [2; 4], "{look:?}");
        }
    }

    #[test]
    fn what_workers_want_matters_only_where_it_could_change_something() {
        let mut policy = SlotPolicy::new(2);
        let (full, some) = (load(2, 5), load(1, 5));
        assert!(!policy.asks_for_wanted(&full, 1), "nothing is watched yet");
        let idle = Processors {
            idle: Some(1.0),
            ..Processors::default()
        };
        policy.look(ProcessingTime(0), &full, 1, idle);
        assert!(policy.asks_for_wanted(&full, 1));
        assert!(!policy.asks_for_wanted(&some, 1));
        assert!(!policy.asks_for_wanted(&full, 0));
        policy.look(ProcessingTime(LOOK_EVERY_MS), &full, 1, idle);
        assert!(policy.asks_for_wanted(&some, 1), "it may have to be less");
    }

    #[test]
    fn looking_too_soon_does_nothing() {
        let mut policy = SlotPolicy::new(1);
        let idle = Processors {
            idle: Some(1.0),
            ..Processors::default()
        };
        let mut look = |ms| policy.look(ProcessingTime(ms), &load(1, 1), 1, idle);
        assert_eq!(
            (look(0), look(999), look(1_000), look(1_001)),
            (None, None, Some(2), None)
        );
    }
}
