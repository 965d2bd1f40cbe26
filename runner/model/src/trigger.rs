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

impl Trigger {
    /// Whether it is sure to fire when the watermark passes the end of the window, if it did not
    /// before: then a window of which nothing was seen until there is empty.
    pub fn fires_at_end_of_window(&self) -> bool {
        match self {
            Self::Default | Self::AfterEndOfWindow { .. } | Self::Always => true,
            Self::AfterProcessingTime(_)
            | Self::AfterSynchronizedProcessingTime
            | Self::ElementCount(_)
            | Self::Never => false,
            Self::Repeat(repeated) => repeated.fires_at_end_of_window(),
            Self::AfterEach(steps) => steps.first().is_some_and(Self::fires_at_end_of_window),
            Self::AfterAll(all) => all.iter().all(Self::fires_at_end_of_window),
            Self::AfterAny(any) => any.iter().any(Self::fires_at_end_of_window),
            Self::OrFinally { main, finally } => {
                main.fires_at_end_of_window() || finally.fires_at_end_of_window()
            }
        }
    }

    /// Whether it may fire before the watermark passes the end of the window.
    pub fn may_fire_early(&self) -> bool {
        match self {
            Self::Default | Self::Never => false,
            Self::AfterProcessingTime(_)
            | Self::AfterSynchronizedProcessingTime
            | Self::ElementCount(_)
            | Self::Always => true,
            Self::AfterEndOfWindow { early, .. } => {
                early.as_deref().is_some_and(Self::may_fire_early)
            }
            Self::Repeat(repeated) => repeated.may_fire_early(),
            Self::AfterEach(steps) => steps.first().is_some_and(Self::may_fire_early),
            Self::AfterAll(all) => all.iter().all(Self::may_fire_early),
            Self::AfterAny(any) => any.iter().any(Self::may_fire_early),
            Self::OrFinally { main, finally } => main.may_fire_early() || finally.may_fire_early(),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires_at_the_end_of_a_window_and_before_it() {
        let count = Trigger::ElementCount(1);
        let ends = |early: Option<&Trigger>| Trigger::AfterEndOfWindow {
            early: early.cloned().map(Box::new),
            late: Some(Box::new(Trigger::Always)),
        };
        let end = ends(None);
        let both = vec![count.clone(), end.clone()];
        let reversed = vec![end.clone(), count.clone()];
        let repeat = |trigger: &Trigger| Trigger::Repeat(Box::new(trigger.clone()));
        let finally = |main: &Trigger, finally: &Trigger| Trigger::OrFinally {
            main: Box::new(main.clone()),
            finally: Box::new(finally.clone()),
        };
        for (trigger, at_end, early) in [
            (Trigger::Default, true, false),
            (Trigger::Never, false, false),
            (Trigger::Always, true, true),
            (Trigger::AfterProcessingTime(Vec::new()), false, true),
            (end.clone(), true, false),
            (ends(Some(&count)), true, true),
            (ends(Some(&Trigger::Never)), true, false),
            (repeat(&count), false, true),
            (repeat(&end), true, false),
            (Trigger::AfterAll(both.clone()), false, false),
            (Trigger::AfterAll(vec![count.clone()]), false, true),
            (Trigger::AfterAny(both.clone()), true, true),
            (Trigger::AfterEach(both), false, true),
            (Trigger::AfterEach(reversed), true, false),
            (finally(&end, &count), true, true),
            (finally(&count, &end), true, true),
            (finally(&count, &count), false, true),
            (finally(&end, &end), true, false),
        ] {
            assert_eq!(trigger.fires_at_end_of_window(), at_end, "{trigger:?}");
            assert_eq!(trigger.may_fire_early(), early, "{trigger:?}");
        }
    }
}
