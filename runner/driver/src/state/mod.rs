//! User state: what stateful DoFns keep per key and window.
//!
//! [`KeyedState`] describes one stage's state over the job's store. A running bundle sees it through
//! a [`BundleState`], which reads through to the store and keeps what the SDK writes to itself
//! until the bundle commits. Bags (which value and combining state are, too), multimaps (map and set
//! state) and ordered lists are served; side inputs are not state and are answered elsewhere.
//!
//! Nothing is ever decoded that need not be: a bag is a row of chunks, as they were appended.
//! Chunks end where values end, so a page of an answer never cuts a value in two.

mod bundle;
mod chunks;
mod coders;
mod entries;
mod expiry;
pub(crate) mod keys;
mod multimap;
mod ordered;
mod page;
mod request;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use dataflume_engine::store::{Store, StoreError};
use dataflume_model::coder::{Coder, CoderError};
use dataflume_model::ids::{BundleId, StageId};
use dataflume_model::time::EventTime;
use dataflume_model::window::{Window, WindowKind, WindowingStrategy};

pub use bundle::BundleState;
pub use coders::StateCoders;
pub(crate) use tokens::StateTokens;

use crate::timers::TimerError;

/// What can go wrong with user state. Its text goes to the SDK, which fails the bundle with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stage's timers could not be read.
    #[error(transparent)]
    Timers(#[from] TimerError),
    /// The request lacks something, or asks for something that this kind of state can't do.
    #[error("state request refused: {0}")]
    Refused(String),
    /// A key, a window or a value is not what its coder says.
    #[error("state request for {what}: {source}")]
    Coder {
        /// What was being read.
        what: &'static str,
        /// What is wrong with it.
        source: CoderError,
    },
    /// A continuation token did not come from here, or is of state that was cleared since.
    #[error("state request refused: the continuation token {0}")]
    Token(&'static str),
}

impl StateError {
    pub(crate) fn coder(what: &'static str) -> impl FnOnce(CoderError) -> Self {
        move |source| Self::Coder { what, source }
    }
}

/// The user state of one stage.
#[derive(Clone)]
pub struct KeyedState {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) stage: StageId,
    pub(crate) key_groups: u32,
    pub(crate) key_coder: Coder,
    pub(crate) window: WindowKind,
    pub(crate) allowed_lateness_ms: i64,
    pub(crate) coders: Arc<StateCoders>,
}

impl KeyedState {
    /// The state of a keyed stage with this input windowing. `key_coder` is the key's on the wire.
    pub fn new(
        store: Arc<dyn Store>,
        stage: StageId,
        key_groups: u32,
        key_coder: Coder,
        windowing: &WindowingStrategy,
        coders: StateCoders,
    ) -> Self {
        Self {
            store,
            stage,
            key_groups,
            key_coder,
            window: windowing.kind.clone(),
            allowed_lateness_ms: windowing.allowed_lateness_ms,
            coders: Arc::new(coders),
        }
    }

    /// The state as a bundle sees it. Ids of bundles of one key group must grow with time: they
    /// order what is appended.
    pub fn bundle(&self, bundle: BundleId) -> BundleState {
        BundleState::new(self.clone(), bundle)
    }

    /// When a window's state is garbage: once the watermark has passed this.
    pub fn expiry(&self, window: &Window) -> EventTime {
        expiry(window, self.allowed_lateness_ms)
    }
}

/// The last moment at which a window still takes elements. Never after the end of the global
/// window, so that timers set for it fire before the end of time.
///
/// ```
/// use dataflume_driver::state::expiry;
/// use dataflume_model::time::EventTime;
/// use dataflume_model::window::Window;
/// let window = Window::Interval { start: EventTime(0), end: EventTime(10) };
/// assert_eq!(expiry(&window, 5), EventTime(14));
/// assert_eq!(expiry(&Window::Global, 5), EventTime::END_OF_GLOBAL_WINDOW);
/// ```
pub fn expiry(window: &Window, allowed_lateness_ms: i64) -> EventTime {
    let end = window.max_timestamp().plus_ms(allowed_lateness_ms);
    end.min(EventTime::END_OF_GLOBAL_WINDOW.max(window.max_timestamp()))
}

/// Whether the watermark has passed a moment: at that very moment, an element of the same
/// timestamp could still come.
pub(crate) fn passed(time: EventTime, watermark: EventTime) -> bool {
    time < watermark || watermark == EventTime::MAX
}
