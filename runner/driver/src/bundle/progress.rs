//! What bundles have done so far, for who looks at a job's metrics while they run.

use std::convert::Infallible;
use std::ops::{Range, RangeInclusive};
use std::time::{Duration, Instant};

use dataflume_harness::BundleHandle;
use dataflume_proto::pipeline::MonitoringInfo;
use dataflume_proto::urn::monitoring_info_specs;
use tokio::sync::mpsc;

use super::BundleContext;
use super::sdk::Live;
use crate::job::Report;
use crate::metrics::Cell;

/// How often a bundle is asked. Most are over before that.
const INTERVAL: Duration = Duration::from_secs(1);

/// From when on it is watched for its end: before, it winds up too soon to matter, and the engine lets its worker begin no other meanwhile.
const LONG: Duration = Duration::from_millis(500);

/// What a long bundle has left when it nears its end: about as much as its harness then takes to wind up.
const NEAR: RangeInclusive<Duration> = Duration::from_millis(80)..=Duration::from_millis(500);
/// What it is best to have left.
const NEAR_ENOUGH: Duration = Duration::from_millis(300);

/// How long a bundle is looked at to see how fast it is.
const LOOK: Duration = Duration::from_millis(20);
/// A bundle that has less than this left is not worth sharing.
const WORTH_SHARING: Duration = Duration::from_millis(100);

/// A harness that has ended its outputs and has not responded after this time takes a while. Python's waits for a thread of its own,
/// for up to a fifth of a second the longer the bundle was.
const WINDS_UP_AFTER: Duration = Duration::from_millis(10);

impl Live {
    /// Asks the SDK how far it is, for as long as this is polled, and reports when it nears its end, once.
    pub(super) async fn watch_progress(
        &self,
        context: &BundleContext,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Infallible {
        let started = Instant::now();
        let mut wait = LONG;
        let mut watch_for_end = true;
        loop {
            tokio::time::sleep(wait).await;
            wait = INTERVAL;
            // An SDK that can't tell is asked again: what counts is what it says at the end.
            let Some(done) = self.done(context).await else {
                continue;
            };
            let left = match watch_for_end {
                true => self.left(0.0..done, started.elapsed()).await,
                false => None,
            };
            tracing::trace!(bundle = ?self.bundle.id, elapsed = ?started.elapsed(), ?left, done, "progress");
            match left {
                Some(left) if left > *NEAR.end() => wait = wait.min(left - NEAR_ENOUGH),
                Some(left) => {
                    watch_for_end = false;
                    if NEAR.contains(&left) {
                        let bundle = self.bundle.id;
                        reports.send(Report::BundleNearsEnd { bundle }).ok();
                    }
                }
                None => {}
            }
        }
    }

    /// How many elements the bundle has got through. None if it isn't running, or the SDK can't tell.
    pub(super) async fn done(&self, context: &BundleContext) -> Option<f64> {
        let progress = self.handle.get()?.progress().await.ok()?;
        let done = elements_done(&progress.monitoring_infos);
        let metrics = &context.metrics;
        metrics.progress(self.bundle.id, progress.monitoring_infos);
        Some(done)
    }

    /// How long the rest of its input takes, if that goes on as what it has got through in this time.
    async fn left(&self, got_through: Range<f64>, elapsed: Duration) -> Option<Duration> {
        let elements = self.input.lock().await.elements();
        left_of(elements as f64, got_through, elapsed)
    }

    /// Whether what is left of the bundle is too little to be shared: its elements are best processed together. The speed of just now
    /// need not be that of the whole time: a bundle may have waited for its code to be loaded.
    pub(super) async fn is_nearly_done(&self, context: &BundleContext) -> bool {
        let looked = Instant::now();
        let before = self.done(context).await;
        tokio::time::sleep(LOOK).await;
        let (Some(before), Some(done)) = (before, self.done(context).await) else {
            return false;
        };
        let left = self.left(before..done, looked.elapsed()).await;
        left.is_some_and(|left| left < WORTH_SHARING)
    }

    /// Reports, for as long as this is polled, when the bundle has given all it gives and still has not ended.
    pub(super) async fn watch_end(
        &self,
        handle: &BundleHandle,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Infallible {
        handle.outputs_ended().await;
        tokio::time::sleep(WINDS_UP_AFTER).await;
        let bundle = self.bundle.id;
        reports.send(Report::BundleWindsUp { bundle }).ok();
        std::future::pending().await
    }
}

/// How long the rest of the elements takes. None if it got through nothing in this time.
fn left_of(elements: f64, got_through: Range<f64>, elapsed: Duration) -> Option<Duration> {
    let done = got_through.end - got_through.start;
    let left = (elements - got_through.end).max(0.0);
    (done > 0.0).then(|| elapsed.mul_f64((left / done).min(1e6)))
}

/// How many elements of its input a bundle has got through. Of the one that it is at, if the SDK doesn't tell, it is taken to have done half.
fn elements_done(infos: &[MonitoringInfo]) -> f64 {
    let (mut whole, mut completed, mut remaining) = (0.0, 0.0, 0.0);
    for info in infos {
        let cell = || Cell::decode(&info.r#type, &info.payload);
        match info.urn.as_str() {
            // The index of the element that is being processed.
            monitoring_info_specs::DATA_CHANNEL_READ_INDEX => {
                if let Ok(Cell::SumInt64(index)) = cell() {
                    whole = index.max(0) as f64;
                }
            }
            monitoring_info_specs::WORK_COMPLETED => completed = amount(cell()),
            monitoring_info_specs::WORK_REMAINING => remaining = amount(cell()),
            _ => {}
        }
    }
    match (completed > 0.0, whole > 0.0) {
        (true, _) => whole + completed / (completed + remaining),
        (false, true) => whole + 0.5,
        (false, false) => 0.0,
    }
}

fn amount<E>(cell: Result<Cell, E>) -> f64 {
    match cell {
        Ok(Cell::Progress(amounts)) => {
            let amounts = amounts.iter().filter(|amount| amount.is_finite());
            amounts.sum::<f64>().max(0.0)
        }
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use dataflume_proto::urn::monitoring_info_type_urns as types;

    use super::*;

    fn info(urn: &str, cell: &Cell) -> MonitoringInfo {
        let r#type = match cell {
            Cell::Progress(_) => types::PROGRESS_TYPE,
            _ => types::SUM_INT64_TYPE,
        };
        MonitoringInfo {
            urn: urn.to_owned(),
            r#type: r#type.to_owned(),
            payload: cell.encode(),
            ..MonitoringInfo::default()
        }
    }

    #[test]
    fn what_is_left_is_judged_by_the_speed_of_just_now() {
        let left = |just_now, elements| left_of(elements, just_now, Duration::from_millis(20));
        assert_eq!(left(3.0..5.0, 10.0), Some(Duration::from_millis(50)));
        assert_eq!(left(0.5..0.75, 1.0), Some(Duration::from_millis(20)));
        assert_eq!(left(0.5..0.5, 1.0), None, "it stands still");
        assert_eq!(left(0.5..0.0, 1.0), None, "it has ended meanwhile");
        assert_eq!(left(3.0..5.0, 4.0), Some(Duration::ZERO), "split meanwhile");
    }

    #[test]
    fn whole_elements_and_the_part_of_one_are_done() {
        let index = |index| {
            info(
                monitoring_info_specs::DATA_CHANNEL_READ_INDEX,
                &Cell::SumInt64(index),
            )
        };
        let completed = |amount| {
            let cell = Cell::Progress(vec![amount]);
            info(monitoring_info_specs::WORK_COMPLETED, &cell)
        };
        let remaining = |amount| {
            let cell = Cell::Progress(vec![amount]);
            info(monitoring_info_specs::WORK_REMAINING, &cell)
        };
        assert_eq!(elements_done(&[]), 0.0);
        assert_eq!(elements_done(&[index(-1)]), 0.0, "none has been read");
        assert_eq!(elements_done(&[index(3)]), 3.5);
        assert_eq!(elements_done(&[remaining(3.0), completed(1.0)]), 0.25);
        assert_eq!(
            elements_done(&[completed(6.0), index(2), remaining(2.0)]),
            2.75
        );
        assert_eq!(
            elements_done(&[completed(f64::INFINITY), remaining(1.0)]),
            0.0
        );
    }
}
