//! What waits for its client to go on: so many at most, and none for ever.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long a client has for all of it, as with Cloud Storage.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// So many are kept: each may hold a part of its content in memory.
const LIMIT: usize = 256;

/// The sessions of clients by their ids. Beyond the limit, the one that was left alone for the longest time is forgotten,
/// of those that are [settled](Self::settle) if there are any: its client is told that there is none, and begins again.
#[derive(Debug)]
pub(crate) struct Sessions<K, V> {
    held: HashMap<K, Held<V>>,
}

#[derive(Debug)]
struct Held<V> {
    value: V,
    begun: Instant,
    touched: Instant,
    /// There is nothing left to go on with.
    settled: bool,
}

impl<V> Held<V> {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) < LIFETIME
    }
}

impl<K, V> Default for Sessions<K, V> {
    fn default() -> Self {
        Self {
            held: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Sessions<K, V> {
    pub(crate) fn insert(&mut self, key: K, value: V, now: Instant) {
        self.held.retain(|_, held| held.is_alive(now));
        if self.held.len() >= LIMIT {
            let idle = self
                .held
                .iter()
                .min_by_key(|(_, held)| (!held.settled, held.touched));
            if let Some(key) = idle.map(|(key, _)| *key) {
                self.held.remove(&key);
            }
        }
        let held = Held {
            value,
            begun: now,
            touched: now,
            settled: false,
        };
        self.held.insert(key, held);
    }

    /// The session, which is not idle from now on.
    pub(crate) fn touch(&mut self, key: K, now: Instant) -> Option<&V> {
        let held = self.held.get_mut(&key).filter(|held| held.is_alive(now))?;
        held.touched = now;
        Some(&held.value)
    }

    /// The session has only its result left to tell.
    pub(crate) fn settle(&mut self, key: K) {
        if let Some(held) = self.held.get_mut(&key) {
            held.settled = true;
        }
    }

    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        self.held.remove(&key).map(|held| held.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_lives_longer_than_a_week() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        sessions.insert(1, "a", now);
        let last = now + LIFETIME.saturating_sub(Duration::from_secs(1));
        assert_eq!(sessions.touch(1, last), Some(&"a"));
        // That it was touched a moment ago does not help.
        assert_eq!(sessions.touch(1, now + LIFETIME), None);
        sessions.insert(2, "b", now + LIFETIME);
        assert_eq!(sessions.held.len(), 1);
    }

    #[test]
    fn the_idlest_makes_room() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut sessions = Sessions::default();
        let limit = LIMIT as u64;
        for key in 0..limit {
            sessions.insert(key, (), at(key));
        }
        sessions.touch(0, at(limit));
        sessions.insert(limit, (), at(limit));
        assert_eq!(sessions.held.len(), LIMIT);
        let now = at(limit);
        assert_eq!(
            [0, 1, 2, limit].map(|key| sessions.touch(key, now).is_some()),
            [true, false, true, true]
        );
    }

    #[test]
    fn what_is_settled_makes_room_first() {
        let now = Instant::now();
        let mut sessions = Sessions::default();
        for key in 0..LIMIT {
            sessions.insert(key, (), now + Duration::from_secs(key as u64));
        }
        let now = now + Duration::from_secs(LIMIT as u64);
        sessions.settle(LIMIT - 1);
        sessions.insert(LIMIT, (), now);
        assert!(sessions.touch(0, now).is_some());
        assert!(sessions.touch(LIMIT - 1, now).is_none());
    }
}
