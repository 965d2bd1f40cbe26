//! Window functions.

use bytes::Bytes;

use super::Window;
use crate::time::EventTime;

/// How elements get their windows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WindowFn {
    /// Everything in one window.
    Global,
    /// One window after the other.
    Fixed {
        /// Of each window.
        size_ms: i64,
        /// Of a window's start from a multiple of the size.
        offset_ms: i64,
    },
    /// Overlapping windows.
    Sliding {
        /// Of each window.
        size_ms: i64,
        /// From one window's start to the next.
        period_ms: i64,
        /// Of a window's start from a multiple of the period.
        offset_ms: i64,
    },
    /// A window per burst of activity.
    Sessions {
        /// Of silence, which ends a session.
        gap_ms: i64,
    },
    /// The user's own, which only the SDK can run.
    Custom {
        /// `FunctionSpec.urn`.
        urn: String,
        /// `FunctionSpec.payload`.
        payload: Bytes,
    },
}

impl WindowFn {
    /// Whether a grouping merges windows. Of custom functions only the strategy's
    /// [`MergeStatus`](super::MergeStatus) knows; this says `false`.
    pub fn is_merging(&self) -> bool {
        matches!(self, Self::Sessions { .. })
    }

    /// The windows of an element with this timestamp, the one that ends last first. `None`: only
    /// the SDK knows.
    ///
    /// ```
    /// use dataflume_model::time::EventTime;
    /// use dataflume_model::window::{Window, WindowFn};
    /// let fixed = WindowFn::Fixed { size_ms: 10, offset_ms: 3 };
    /// let window = Window::Interval { start: EventTime(-7), end: EventTime(3) };
    /// assert_eq!(fixed.assign(EventTime(2)), Some(vec![window]));
    /// ```
    pub fn assign(&self, timestamp: EventTime) -> Option<Vec<Window>> {
        match *self {
            Self::Global => Some(vec![Window::Global]),
            Self::Fixed { size_ms, offset_ms } => {
                let start = last_start(timestamp, size_ms, offset_ms);
                Some(vec![interval(start, size_ms)])
            }
            Self::Sliding {
                size_ms,
                period_ms,
                offset_ms,
            } => {
                let period = period_ms.max(1);
                let first = last_start(timestamp, period, offset_ms);
                let starts = std::iter::successors(Some(first), |start| start.checked_sub(period));
                let covering =
                    starts.take_while(|start| start.saturating_add(size_ms) > timestamp.0);
                Some(covering.map(|start| interval(start, size_ms)).collect())
            }
            Self::Sessions { gap_ms } => Some(vec![interval(timestamp.0, gap_ms)]),
            Self::Custom { .. } => None,
        }
    }

    /// Merges windows of one key: one entry per resulting window, in time order, with the windows it
    /// is made of (itself alone, where nothing was merged). `None`: only the SDK knows.
    ///
    /// Sessions that merely touch stay apart: an element at a session's end is not in it.
    pub fn merge(&self, windows: &[Window]) -> Option<Vec<(Window, Vec<Window>)>> {
        match self {
            Self::Custom { .. } => None,
            Self::Sessions { .. } => Some(merge_overlapping(windows)),
            _ => Some(
                windows
                    .iter()
                    .map(|w| (w.clone(), vec![w.clone()]))
                    .collect(),
            ),
        }
    }

    /// The window of a side input with this function that belongs to a main input's window: the
    /// earliest one that holds the main window's maximum timestamp. `None`: the SDK must say (for
    /// sessions, it will say that there is none).
    pub fn map_side_input(&self, main: &Window) -> Option<Window> {
        match self {
            Self::Sessions { .. } | Self::Custom { .. } => None,
            _ => self.assign(main.max_timestamp())?.pop(),
        }
    }
}

fn interval(start: i64, size_ms: i64) -> Window {
    Window::Interval {
        start: EventTime(start),
        end: EventTime(start.saturating_add(size_ms)),
    }
}

/// The greatest multiple of `period_ms`, counted from `offset_ms`, that is not after the timestamp.
fn last_start(timestamp: EventTime, period_ms: i64, offset_ms: i64) -> i64 {
    let since = timestamp.0.saturating_sub(offset_ms);
    timestamp
        .0
        .saturating_sub(since.rem_euclid(period_ms.max(1)))
}

fn merge_overlapping(windows: &[Window]) -> Vec<(Window, Vec<Window>)> {
    let mut sorted: Vec<&Window> = windows.iter().collect();
    sorted.sort();
    let mut merged: Vec<(Window, Vec<Window>)> = Vec::new();
    for window in sorted {
        match merged
            .last_mut()
            .and_then(|(open, sources)| Some((grow(open, window)?, open, sources)))
        {
            Some((grown, open, sources)) => {
                *open = grown;
                sources.push(window.clone());
            }
            None => merged.push((window.clone(), vec![window.clone()])),
        }
    }
    merged
}

/// The span of both windows, if the second, which does not start earlier, overlaps the first.
fn grow(first: &Window, second: &Window) -> Option<Window> {
    match (first, second) {
        (
            Window::Interval { start, end },
            Window::Interval {
                start: second_start,
                end: second_end,
            },
        ) if end > second_start => Some(Window::Interval {
            start: *start,
            end: *end.max(second_end),
        }),
        _ => None,
    }
}
