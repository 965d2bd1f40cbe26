//! What bundles have done so far, for who looks at a job's metrics while they run.

use std::convert::Infallible;
use std::time::Duration;

use super::BundleContext;
use super::sdk::Live;

/// How often a bundle is asked. Most are over before that.
const INTERVAL: Duration = Duration::from_secs(1);

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
}
