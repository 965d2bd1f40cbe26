//! What the control and data streams and a bundle's handles share.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use dataflume_proto::fn_execution::{Elements, ProcessBundleResponse};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::bundle::outputs::{BundleOutput, Queue};
use crate::descriptor::{Port, RegisteredDescriptor};
use crate::error::BundleError;
use crate::registry::lock;
use crate::state::StateHandler;

/// One `ProcessBundleRequest` in flight.
///
/// It is over when its response has arrived *and* the harness has ended every output stream: the
/// two travel on different connections and come in any order.
pub(crate) struct Bundle {
    pub(crate) instruction_id: String,
    pub(crate) descriptor: Arc<RegisteredDescriptor>,
    /// Set as soon as the outcome is known.
    pub(crate) done: CancellationToken,
    /// Set when the harness has ended every output stream, if there are any.
    pub(crate) outputs_ended: CancellationToken,
    pub(crate) queue: Arc<Queue>,
    state: Arc<dyn StateHandler>,
    progress: Mutex<Progress>,
}

struct Progress {
    /// Output streams that the harness has not ended.
    unfinished: BTreeSet<Port>,
    response: Option<ProcessBundleResponse>,
    outcome: Option<Result<ProcessBundleResponse, BundleError>>,
}

impl Bundle {
    pub(crate) fn new(
        instruction_id: String,
        descriptor: Arc<RegisteredDescriptor>,
        state: Arc<dyn StateHandler>,
        queue: Arc<Queue>,
    ) -> Self {
        Self {
            instruction_id,
            done: CancellationToken::new(),
            outputs_ended: CancellationToken::new(),
            progress: Mutex::new(Progress {
                unfinished: descriptor.outputs.clone(),
                response: None,
                outcome: None,
            }),
            descriptor,
            queue,
            state,
        }
    }

    /// Who answers the bundle's state requests; nobody once its outcome is known.
    pub(crate) fn state_handler(&self) -> Option<Arc<dyn StateHandler>> {
        (!self.done.is_cancelled()).then(|| self.state.clone())
    }

    /// Takes a piece of output, or the end of an output stream. True when the bundle is over.
    pub(crate) fn deliver(&self, port: Port, bytes: Bytes, is_last: bool) -> bool {
        let mut progress = lock(&self.progress);
        if progress.outcome.is_some() {
            debug!(
                instruction = self.instruction_id,
                ?port,
                bytes = bytes.len(),
                "late elements dropped: the bundle has already failed or was aborted"
            );
            return false;
        }
        if !bytes.is_empty() && !progress.unfinished.contains(&port) {
            let what = if self.descriptor.outputs.contains(&port) {
                "elements after the end of"
            } else {
                "elements for"
            };
            let error = format!("{what} {port:?} of bundle {:?}", self.instruction_id);
            return self.settle(&mut progress, Err(BundleError::Protocol(error)));
        }
        if is_last && progress.unfinished.remove(&port) && progress.unfinished.is_empty() {
            self.outputs_ended.cancel();
        }
        if !bytes.is_empty() {
            self.queue.push(BundleOutput::new(port, bytes));
        }
        self.settle_if_complete(&mut progress)
    }

    /// Takes the response. True when the bundle is over.
    pub(crate) fn respond(&self, mut response: ProcessBundleResponse) -> bool {
        for (port, bytes, is_last) in ports(response.elements.take().unwrap_or_default()) {
            self.deliver(port, bytes, is_last);
        }
        let mut progress = lock(&self.progress);
        if progress.outcome.is_some() {
            return true;
        }
        progress.response = Some(response);
        self.settle_if_complete(&mut progress)
    }

    /// Ends the bundle without a result, unless it has one. Always true: the bundle is over.
    pub(crate) fn fail(&self, error: BundleError) -> bool {
        let mut progress = lock(&self.progress);
        if progress.outcome.is_none() {
            self.settle(&mut progress, Err(error));
        }
        true
    }

    /// The outcome, once [`done`](Self::done) is set; a successful one can be taken once.
    pub(crate) fn take_outcome(&self) -> Result<ProcessBundleResponse, BundleError> {
        let mut progress = lock(&self.progress);
        let taken = Err(BundleError::Refused(
            "the bundle's response was already taken".to_owned(),
        ));
        match &mut progress.outcome {
            None => Err(BundleError::Refused("the bundle is running".to_owned())),
            Some(outcome @ Ok(_)) => std::mem::replace(outcome, taken),
            Some(Err(error)) => Err(error.clone()),
        }
    }

    /// Why nothing more can be sent to the bundle.
    pub(crate) fn over(&self) -> BundleError {
        match &lock(&self.progress).outcome {
            Some(Err(error)) => error.clone(),
            _ => BundleError::Protocol(
                "the harness finished the bundle before the end of its input".to_owned(),
            ),
        }
    }

    /// For people: the output streams that keep a bundle from being over after its response.
    pub(crate) fn missing_outputs(&self) -> Option<String> {
        let progress = lock(&self.progress);
        let responded = progress.response.is_some();
        responded.then(|| format!("{:?}", progress.unfinished))
    }

    fn settle_if_complete(&self, progress: &mut Progress) -> bool {
        if !progress.unfinished.is_empty() {
            return false;
        }
        match progress.response.take() {
            None => false,
            Some(response) => self.settle(progress, Ok(response)),
        }
    }

    fn settle(
        &self,
        progress: &mut Progress,
        outcome: Result<ProcessBundleResponse, BundleError>,
    ) -> bool {
        progress.outcome = Some(outcome);
        self.queue.close();
        self.done.cancel();
        true
    }
}

/// The pieces of a message, whichever connection it came by.
pub(crate) fn ports(elements: Elements) -> impl Iterator<Item = (Port, Bytes, bool)> {
    let data = elements.data.into_iter().map(|data| {
        let port = Port::Data {
            transform: data.transform_id,
        };
        (port, data.data, data.is_last)
    });
    let timers = elements.timers.into_iter().map(|timers| {
        let port = Port::Timers {
            transform: timers.transform_id,
            family: timers.timer_family_id,
        };
        (port, timers.timers, timers.is_last)
    });
    timers.chain(data)
}
