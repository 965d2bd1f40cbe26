//! Timers of stateful DoFns: set and cleared by the SDK, fired by the runner.
//!
//! [`KeyedTimers`] are one stage's timers over the job's store. A bundle asks it for what is
//! [due](KeyedTimers::due), sends that to the SDK, and notes in a [`BundleTimers`] what was fired, set and
//! cleared, until it commits. A timer that a bundle sets fires in a later bundle, also when it is
//! due at once: the key group's summary tells the engine.
//!
//! Firing times are kept as the SDK asked for them, even after the window's end. Java refuses or
//! brings forward such timers itself, Python and Go don't; state waits for them.

mod bundle;
mod due;
mod keys;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use dataflume_engine::store::{Store, StoreError};
use dataflume_graph::plan::{TimeDomain, TimerFamily};
use dataflume_model::coder::CoderError;
use dataflume_model::ids::StageId;
use dataflume_model::time::EventTime;
use dataflume_model::timer::TimerCodec;
use dataflume_model::window::{Window, WindowKind, WindowingStrategy};

pub use bundle::BundleTimers;
pub use due::DueTimer;

/// A processing-time timer, as an SDK writes it.
#[cfg(test)]
pub(crate) fn record_for_tests(key: &str, window_number: i64, fire: i64) -> bytes::Bytes {
    tests::set(key, "", window_number, fire, 0)
}

/// What can go wrong with timers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The SDK wrote timers of a family that the transform does not declare.
    #[error("timer family {family:?} is not one of the transform's: {known:?}")]
    UnknownFamily {
        /// Which family.
        family: String,
        /// Those it declares.
        known: Vec<String>,
    },
    /// What the SDK wrote can't be read.
    #[error("timers of family {family:?}: {source}")]
    Record {
        /// Of which family.
        family: String,
        /// What is wrong.
        source: CoderError,
    },
    /// A timer without a window belongs nowhere.
    #[error("a timer of family {family:?} has no window")]
    NoWindow {
        /// Of which family.
        family: String,
    },
    /// An entry in the store is not what this version writes.
    #[error("a stored timer can't be read")]
    Damaged,
}

/// A family, and how its timers are written.
#[derive(Debug, Clone)]
struct Family {
    domain: TimeDomain,
    codec: TimerCodec,
    /// Tells the transform that windows are over. Set by the runner; fires after all others.
    of_expiry: bool,
}

/// The timers of one stage.
#[derive(Clone)]
pub struct KeyedTimers {
    store: Arc<dyn Store>,
    stage: StageId,
    key_groups: u32,
    window: WindowKind,
    allowed_lateness_ms: i64,
    families: Arc<BTreeMap<String, Family>>,
    expiry_family: Option<Arc<str>>,
}

impl KeyedTimers {
    /// The timers of a keyed stage with this input windowing. `expiry_family` is the transform's
    /// `on_window_expiration_timer_family_spec`, if it has one: the runner sets that family's
    /// timers itself, see [`BundleTimers::ensure_expiry_timer`].
    pub fn new(
        store: Arc<dyn Store>,
        stage: StageId,
        key_groups: u32,
        families: &BTreeMap<String, TimerFamily>,
        windowing: &WindowingStrategy,
        expiry_family: Option<&str>,
    ) -> Self {
        let families = families.iter().map(|(name, family)| {
            let family = Family {
                domain: family.domain,
                codec: TimerCodec::new(family.key_coder.clone(), windowing.kind.clone()),
                of_expiry: expiry_family == Some(name),
            };
            (name.clone(), family)
        });
        Self {
            store,
            stage,
            key_groups,
            window: windowing.kind.clone(),
            allowed_lateness_ms: windowing.allowed_lateness_ms,
            families: Arc::new(families.collect()),
            expiry_family: expiry_family.map(Arc::from),
        }
    }

    /// The timers as a bundle sees them.
    pub fn bundle(&self) -> BundleTimers {
        BundleTimers::new(self.clone())
    }

    /// When a window's expiry timer fires.
    pub fn expiry(&self, window: &Window) -> EventTime {
        crate::state::expiry(window, self.allowed_lateness_ms)
    }

    fn family(&self, name: &str) -> Result<&Family, TimerError> {
        self.families
            .get(name)
            .ok_or_else(|| TimerError::UnknownFamily {
                family: name.to_owned(),
                known: self.families.keys().cloned().collect(),
            })
    }
}
