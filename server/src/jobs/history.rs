//! Everything that happened to a job, told to any number of listeners.
//!
//! A listener has a place in the history and reads on from there, so it can neither miss nor repeat
//! an entry, however late it begins and however slow it is. Memory is bounded: the oldest messages
//! go first, what workers log before what matters; a listener that needed them is told that they
//! are missing. States are few and never go.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::watch;

use super::message::{Importance, JobMessage};
use super::state::{JobState, StateEvent};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The job came into a state.
    State(StateEvent),
    /// The job said something.
    Message(Arc<JobMessage>),
    /// Messages that were here are no longer kept.
    Forgotten,
}

/// How much is kept of each kind of message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            messages: 20_000,
            bytes: 8 << 20,
        }
    }
}

/// A job's past.
#[derive(Debug)]
pub(super) struct History {
    log: Mutex<Log>,
    /// The number of entries so far: what listeners wait on.
    length: watch::Sender<u64>,
}

#[derive(Debug)]
struct Log {
    next: u64,
    states: Vec<(u64, StateEvent)>,
    /// Debug and detailed messages: many.
    detail: Ring,
    /// All others: few.
    main: Ring,
}

/// Messages up to a limit, the newest ones.
#[derive(Debug)]
struct Ring {
    limits: Limits,
    messages: VecDeque<Arc<JobMessage>>,
    bytes: usize,
}

impl History {
    pub(super) fn new(state: JobState, limits: Limits) -> Self {
        let first = StateEvent {
            state,
            time: SystemTime::now(),
        };
        let log = Log {
            next: 1,
            states: vec![(0, first)],
            detail: Ring::new(limits),
            main: Ring::new(limits),
        };
        Self {
            log: Mutex::new(log),
            length: watch::Sender::new(1),
        }
    }

    pub(super) fn state(&self) -> StateEvent {
        self.lock().state()
    }

    /// The job came into a state; if it can't from where it is, that state is the error.
    pub(super) fn enter(&self, state: JobState) -> Result<(), JobState> {
        let mut log = self.lock();
        let now = log.state();
        if !now.state.may_become(state) {
            return Err(now.state);
        }
        log.enter(state);
        self.publish(log);
        Ok(())
    }

    /// As [`enter`](Self::enter), but only out of this state.
    pub(super) fn enter_from(&self, from: JobState, state: JobState) -> Result<(), JobState> {
        let mut log = self.lock();
        let now = log.state();
        if now.state != from || !from.may_become(state) {
            return Err(now.state);
        }
        log.enter(state);
        self.publish(log);
        Ok(())
    }

    /// The states so far.
    pub(super) fn states(&self) -> Vec<StateEvent> {
        self.lock().states.iter().map(|(_, event)| *event).collect()
    }

    /// The messages that are kept, in the order in which they were said.
    pub(super) fn messages(&self) -> Vec<Arc<JobMessage>> {
        let log = self.lock();
        let rings = [&log.detail, &log.main];
        let mut all: Vec<_> = rings
            .iter()
            .flat_map(|ring| ring.messages.iter().cloned())
            .collect();
        all.sort_unstable_by_key(|message| message.id);
        all
    }

    /// The job said something. After its end, nobody listens any more.
    pub(super) fn say(&self, importance: Importance, text: String) {
        let mut log = self.lock();
        if log.state().state.is_terminal() {
            return;
        }
        let message = Arc::new(JobMessage {
            id: log.place(),
            time: SystemTime::now(),
            importance,
            text,
        });
        let ring = if importance <= Importance::Detailed {
            &mut log.detail
        } else {
            &mut log.main
        };
        ring.push(message);
        self.publish(log);
    }

    /// The entry at the place or the first one after it, and the place to read on from.
    fn read(&self, place: u64) -> Option<(Entry, u64)> {
        self.lock().read(place)
    }

    fn publish(&self, log: MutexGuard<'_, Log>) {
        // While the log is locked, so that the numbers go upwards.
        self.length.send_replace(log.next);
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn place(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn enter(&mut self, state: JobState) {
        let event = StateEvent {
            state,
            time: SystemTime::now().max(self.state().time),
        };
        let place = self.place();
        self.states.push((place, event));
    }

    fn state(&self) -> StateEvent {
        // There is one from the start.
        let (_, last) = self.states[self.states.len() - 1];
        last
    }

    fn read(&self, place: u64) -> Option<(Entry, u64)> {
        let state = self.states.iter().find(|(at, _)| *at >= place);
        let messages = [&self.detail, &self.main].map(|ring| ring.first_from(place));
        let message = messages
            .into_iter()
            .flatten()
            .min_by_key(|message| message.id);
        let (at, entry) = match (state, message) {
            (Some((at, event)), message) if message.is_none_or(|other| *at < other.id) => {
                (*at, Entry::State(*event))
            }
            (_, message) => message.map(|message| (message.id, Entry::Message(message.clone())))?,
        };
        // Places have no gaps of their own. It is told once, before what follows.
        if at > place {
            return Some((Entry::Forgotten, at));
        }
        Some((entry, at + 1))
    }
}

impl Ring {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            messages: VecDeque::new(),
            bytes: 0,
        }
    }

    fn push(&mut self, message: Arc<JobMessage>) {
        self.bytes += message.text.len();
        self.messages.push_back(message);
        let too_much = |ring: &Self| {
            ring.messages.len() > ring.limits.messages || ring.bytes > ring.limits.bytes
        };
        // One message is kept, whatever its size.
        while self.messages.len() > 1 && too_much(self) {
            if let Some(oldest) = self.messages.pop_front() {
                self.bytes -= oldest.text.len();
            }
        }
    }

    fn first_from(&self, place: u64) -> Option<&Arc<JobMessage>> {
        let index = self.messages.partition_point(|message| message.id < place);
        self.messages.get(index)
    }
}

/// Reads a job's history from its start, and then what is added to it.
#[derive(Debug)]
pub struct Listener {
    history: Arc<History>,
    length: watch::Receiver<u64>,
    place: u64,
    ended: bool,
}

impl Listener {
    pub(super) fn new(history: Arc<History>) -> Self {
        Self {
            length: history.length.subscribe(),
            history,
            place: 0,
            ended: false,
        }
    }

    /// The next entry, when there is one; `None` after the job's terminal state. Cancel safe.
    pub async fn next(&mut self) -> Option<Entry> {
        if self.ended {
            return None;
        }
        loop {
            self.length.mark_unchanged();
            if let Some((entry, place)) = self.history.read(self.place) {
                self.place = place;
                self.ended = matches!(entry, Entry::State(event) if event.state.is_terminal());
                return Some(entry);
            }
            // The history is kept alive by this listener, so there is always a sender.
            self.length.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(messages: usize, bytes: usize) -> Arc<History> {
        Arc::new(History::new(JobState::Stopped, Limits { messages, bytes }))
    }

    async fn told(listener: &mut Listener) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(entry) = listener.next().await {
            all.push(match entry {
                Entry::State(event) => event.state.as_str().to_owned(),
                Entry::Message(message) => message.text.clone(),
                Entry::Forgotten => "...".to_owned(),
            });
        }
        all
    }

    fn end(history: &History) {
        for state in [JobState::Starting, JobState::Running, JobState::Done] {
            history.enter(state).unwrap();
        }
    }

    #[tokio::test]
    async fn a_late_listener_is_told_the_same_as_an_early_one() {
        let history = history(10, 100);
        let mut early = Listener::new(history.clone());
        let early = tokio::spawn(async move { told(&mut early).await });
        history.say(Importance::Basic, "a".to_owned());
        tokio::task::yield_now().await;
        history.say(Importance::Debug, "b".to_owned());
        end(&history);
        history.say(Importance::Basic, "too late".to_owned());
        let expected = ["stopped", "a", "b", "starting", "running", "done"];
        assert_eq!(early.await.unwrap(), expected);
        assert_eq!(told(&mut Listener::new(history)).await, expected);
    }

    #[tokio::test]
    async fn details_are_forgotten_before_errors_and_it_is_told() {
        let history = history(2, 1000);
        history.say(Importance::Error, "error".to_owned());
        for text in ["1", "2", "3", "4"] {
            history.say(Importance::Debug, text.to_owned());
        }
        end(&history);
        let all = told(&mut Listener::new(history)).await;
        assert_eq!(
            all,
            [
                "stopped", "error", "...", "3", "4", "starting", "running", "done"
            ]
        );
    }

    #[tokio::test]
    async fn who_read_a_message_in_time_misses_nothing() {
        let history = history(1, 1000);
        let mut listener = Listener::new(history.clone());
        assert!(matches!(listener.next().await, Some(Entry::State(_))));
        for text in ["1", "2", "3"] {
            history.say(Importance::Basic, text.to_owned());
            let Some(Entry::Message(message)) = listener.next().await else {
                panic!("no message");
            };
            assert_eq!(message.text, text);
        }
    }

    #[tokio::test]
    async fn bytes_are_bounded_but_one_message_is_always_kept() {
        let history = history(100, 10);
        history.say(Importance::Basic, "x".repeat(8));
        history.say(Importance::Basic, "y".repeat(30));
        end(&history);
        let all = told(&mut Listener::new(history)).await;
        assert_eq!(all[1..3], ["...".to_owned(), "y".repeat(30)]);
    }

    #[test]
    fn illegal_moves_change_nothing() {
        let history = history(1, 1);
        assert_eq!(history.enter(JobState::Done), Err(JobState::Stopped));
        end(&history);
        assert_eq!(history.enter(JobState::Running), Err(JobState::Done));
        assert_eq!(history.state().state, JobState::Done);
    }
}
