//! What bundles have done so far, for who looks at a job's metrics while they run.

use std::convert::Infallible;
use std::time::Duration;

use dataflume_harness::BundleHandle;
use tokio::sync::mpsc;

use super::BundleContext;
use super::sdk::Live;
use crate::job::Report;

/// How often a bundle is asked. Most are over before that.
const INTERVAL: Duration = Duration::from_secs(1);

/// A harness that has ended its outputs and has not responded after this time takes a while. Python's waits for a thread of its own,
/// for up to a fifth of a second the longer the bundle was.
const WINDS_UP_AFTER: Duration = Duration::from_millis(10);

impl Live {
    /// Asks the SDK how far it is, for as long as this is polled.
    pub(super) async fn watch_progress(&self, context: &BundleContext) -> Infallible {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let Some(handle) = self.handle.get() else {
                continue;
            };
            // An SDK that can't tell is asked again: what counts is what it says at the end.
            if let Ok(progress) = handle.progress().await {
                context
                    .metrics
                    .progress(self.bundle.id, progress.monitoring_infos);
            }
        }
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
