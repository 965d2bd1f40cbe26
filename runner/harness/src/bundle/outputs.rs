//! What a bundle writes, queued between the data connection and its consumer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};

use crate::bundle::shared::Bundle;
use crate::descriptor::Port;
use crate::error::BundleError;
use crate::registry::lock;

/// A piece of a bundle's output: whole elements or timers, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BundleOutput {
    /// Windowed values in the coder of the sink's port.
    Data {
        /// The sink transform's id in the descriptor.
        transform: String,
        /// The encoded elements.
        bytes: Bytes,
    },
    /// Timers that the bundle set or cleared.
    Timers {
        /// The ParDo's id in the descriptor.
        transform: String,
        /// The timer family's id.
        family: String,
        /// The encoded timers.
        bytes: Bytes,
    },
}

impl BundleOutput {
    pub(crate) fn new(port: Port, bytes: Bytes) -> Self {
        match port {
            Port::Data { transform } => Self::Data { transform, bytes },
            Port::Timers { transform, family } => Self::Timers {
                transform,
                family,
                bytes,
            },
        }
    }

    /// The encoded elements or timers.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Data { bytes, .. } | Self::Timers { bytes, .. } => bytes,
        }
    }
}

/// The sending side, bounded in bytes: one piece may go over the limit, so that any size passes.
pub(crate) struct Queue {
    sender: Mutex<Option<mpsc::UnboundedSender<BundleOutput>>>,
    queued_bytes: AtomicUsize,
    limit_bytes: usize,
    drained: Notify,
}

impl Queue {
    pub(crate) fn new(limit_bytes: usize) -> (Arc<Self>, mpsc::UnboundedReceiver<BundleOutput>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let queue = Self {
            sender: Mutex::new(Some(sender)),
            queued_bytes: AtomicUsize::new(0),
            limit_bytes,
            drained: Notify::new(),
        };
        (Arc::new(queue), receiver)
    }

    /// Adds a piece, whatever the limit says. Nothing happens once closed.
    pub(crate) fn push(&self, output: BundleOutput) {
        if let Some(sender) = &*lock(&self.sender) {
            self.queued_bytes
                .fetch_add(output.bytes().len(), Ordering::AcqRel);
            // The consumer may have gone; then the bundle is being aborted.
            drop(sender.send(output));
        }
    }

    /// Ends the consumer's stream once it has taken what is queued.
    pub(crate) fn close(&self) {
        lock(&self.sender).take();
    }

    fn taken(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.drained.notify_one();
    }

    fn has_room(&self) -> bool {
        self.queued_bytes.load(Ordering::Acquire) < self.limit_bytes
    }
}

impl Bundle {
    /// Waits until the consumer has taken enough for more to be queued, or the bundle is over.
    ///
    /// Only the worker's data stream waits here, so one stored wake-up is enough.
    pub(crate) async fn room(&self) {
        while !self.queue.has_room() && !self.done.is_cancelled() {
            tokio::select! {
                () = self.queue.drained.notified() => {}
                () = self.done.cancelled() => {}
            }
        }
    }
}

/// The consumer's side of a bundle's output.
///
/// Dropping it before the end aborts the bundle: output is never silently lost.
pub struct BundleOutputs {
    pub(crate) receiver: mpsc::UnboundedReceiver<BundleOutput>,
    pub(crate) bundle: Arc<Bundle>,
}

impl BundleOutputs {
    /// The next piece, in the order of arrival; none when the harness has ended every output
    /// stream and responded, or when the bundle failed:
    /// [`finish`](crate::bundle::BundleHandle::finish) tells which.
    ///
    /// Cancel safe.
    pub async fn recv(&mut self) -> Option<BundleOutput> {
        let output = self.receiver.recv().await?;
        self.bundle.queue.taken(output.bytes().len());
        Some(output)
    }
}

impl Drop for BundleOutputs {
    fn drop(&mut self) {
        // Nothing happens to a bundle that has an outcome.
        self.bundle.fail(BundleError::Aborted);
    }
}

impl std::fmt::Debug for BundleOutputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BundleOutputs")
            .field("instruction_id", &self.bundle.instruction_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::FutureExt;

    use super::*;
    use crate::descriptor::RegisteredDescriptor;
    use crate::state::NoState;

    fn bundle(limit_bytes: usize) -> (Arc<Bundle>, BundleOutputs, Port) {
        let port = Port::Data {
            transform: "out".to_owned(),
        };
        let descriptor = RegisteredDescriptor {
            proto: Default::default(),
            inputs: BTreeSet::new(),
            outputs: BTreeSet::from([port.clone()]),
        };
        let (queue, receiver) = Queue::new(limit_bytes);
        let bundle = Bundle::new("b".to_owned(), descriptor.into(), Arc::new(NoState), queue);
        let bundle = Arc::new(bundle);
        let outputs = BundleOutputs {
            receiver,
            bundle: bundle.clone(),
        };
        (bundle, outputs, port)
    }

    #[test]
    fn there_is_room_until_the_budget_is_used_and_again_when_some_was_taken() {
        let (bundle, mut outputs, port) = bundle(4);
        for piece in ["abc", "larger than the budget"] {
            assert!(bundle.room().now_or_never().is_some());
            bundle.deliver(port.clone(), Bytes::from(piece), false);
        }
        let mut room = Box::pin(bundle.room());
        assert!(room.as_mut().now_or_never().is_none());
        outputs.recv().now_or_never().unwrap();
        assert!(
            room.as_mut().now_or_never().is_none(),
            "still over the budget"
        );
        outputs.recv().now_or_never().unwrap();
        assert!(room.as_mut().now_or_never().is_some());
    }

    #[test]
    fn nobody_waits_for_room_in_a_bundle_that_is_over() {
        let (bundle, outputs, port) = bundle(1);
        bundle.deliver(port, Bytes::from_static(b"abc"), false);
        assert!(bundle.room().now_or_never().is_none());
        drop(outputs);
        assert!(bundle.room().now_or_never().is_some());
    }
}
