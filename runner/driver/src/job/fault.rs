//! The fault switch: bundles that succeeded are made to fail, to see that nothing depends on luck.

use dataflume_engine::{Bundle, Executor};

/// Fails the first attempt of every so many bundles on workers.
#[derive(Debug, Default)]
pub(super) struct FaultSwitch {
    every: Option<u64>,
    seen: u64,
}

impl FaultSwitch {
    pub(super) fn new(every: Option<u64>) -> Self {
        Self { every, seen: 0 }
    }

    /// Whether this bundle, which succeeded, shall have failed. A second attempt never does.
    pub(super) fn strikes(&mut self, bundle: &Bundle) -> bool {
        let Some(every) = self.every else {
            return false;
        };
        if bundle.attempt > 1 || bundle.executor == Executor::Runner {
            return false;
        }
        self.seen += 1;
        self.seen.is_multiple_of(every)
    }
}

#[cfg(test)]
mod tests {
    use dataflume_engine::Work;
    use dataflume_model::ids::{BundleId, StageId, WorkerId};
    use dataflume_model::time::{EventTime, ProcessingTime};

    use super::*;

    #[test]
    fn every_so_many_first_attempts_on_workers_fail() {
        let bundle = |executor, attempt| Bundle {
            id: BundleId(1),
            stage: StageId(1),
            executor,
            work: Work::Elements(Vec::new()),
            attempt,
            input_watermark: EventTime(0),
            upstream_watermark: EventTime(0),
            processing_time: ProcessingTime(0),
        };
        let worker = Executor::Worker(WorkerId(1));
        let bundles = [
            bundle(worker, 1),
            bundle(worker, 1),
            bundle(worker, 2),
            bundle(Executor::Runner, 1),
            bundle(worker, 1),
            bundle(worker, 1),
        ];
        let strikes = |every| {
            let mut switch = FaultSwitch::new(every);
            bundles.each_ref().map(|bundle| switch.strikes(bundle))
        };
        assert_eq!(strikes(None), [false; 6]);
        assert_eq!(strikes(Some(2)), [false, true, false, false, false, true]);
        assert_eq!(strikes(Some(1)), [true, true, false, false, true, true]);
    }
}
