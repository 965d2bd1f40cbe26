//! Triggers as the pipeline declares them: when a window's contents are emitted.

/// A trigger expression, after `Trigger` in Beam's pipeline proto.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// When the watermark passes the end of the window, then again for late data.
    Default,
    /// When the watermark passes the end of the window.
    AfterEndOfWindow {
        /// Fires again and again before that.
        early: Option<Box<Trigger>>,
        /// Fires again and again after that.
        late: Option<Box<Trigger>>,
    },
    /// When processing time has passed that of the pane's first element, transformed.
    AfterProcessingTime(Vec<TimestampTransform>),
    /// When processing time has passed that of the pane's first element everywhere.
    AfterSynchronizedProcessingTime,
    /// When the pane has at least so many elements.
    ElementCount(u32),
    /// Fires whenever its subtrigger does, and starts that anew.
    Repeat(Box<Trigger>),
    /// One subtrigger after the other.
    AfterEach(Vec<Trigger>),
    /// When all subtriggers have fired.
    AfterAll(Vec<Trigger>),
    /// When any subtrigger fires.
    AfterAny(Vec<Trigger>),
    /// Fires as `main` does, until `finally` fires, which ends it.
    OrFinally {
        /// What fires until then.
        main: Box<Trigger>,
        /// What ends it.
        finally: Box<Trigger>,
    },
    /// Only at the end of the window's life.
    Never,
    /// At every element.
    Always,
}

/// A step from the arrival of an element to the processing time at which a trigger fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampTransform {
    /// Later by this.
    Delay {
        /// By how much.
        delay_ms: i64,
    },
    /// Up to the next multiple of `period_ms`, counted from `offset_ms`.
    AlignTo {
        /// Between two marks.
        period_ms: i64,
        /// Of the marks from the epoch.
        offset_ms: i64,
    },
}
