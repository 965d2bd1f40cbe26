//! Driving one bundle: its input, progress, splits and result.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dataflume_proto::fn_execution::{
    Elements, ProcessBundleProgressRequest, ProcessBundleProgressResponse, ProcessBundleResponse,
    ProcessBundleSplitRequest, ProcessBundleSplitResponse, instruction_request,
    instruction_response,
};
use tokio::sync::Mutex;
use tracing::warn;

use crate::bundle::input::{EAGER_BYTES, InputChunk, MESSAGE_BYTES, Message, end_all};
use crate::bundle::shared::Bundle;
use crate::descriptor::Port;
use crate::error::{BundleError, WorkerError};
use crate::registry::WorkerState;

/// How often a bundle that has responded, but not ended its outputs, is complained about.
const MISSING_OUTPUT_WARNING: Duration = Duration::from_secs(60);

/// Drives a bundle. Clones drive the same one; when the last is dropped before the bundle is over,
/// the bundle is aborted.
#[derive(Clone)]
pub struct BundleHandle {
    inner: Arc<Inner>,
}

/// What of the input came with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Given {
    /// Nothing: it is sent by the caller.
    None,
    /// All of it; the harness sends it.
    ToFeed,
    /// All of it, within the control message.
    Embedded,
}

struct Inner {
    worker: Arc<WorkerState>,
    bundle: Arc<Bundle>,
    /// Locked while sending, so that concurrent senders keep their order.
    input: Mutex<Message>,
    /// The caller gave all of the input with the request.
    complete: bool,
    /// The end-of-stream markers were sent, or travelled with the request.
    ended: AtomicBool,
}

impl BundleHandle {
    pub(crate) fn new(worker: Arc<WorkerState>, bundle: Arc<Bundle>, inputs: Given) -> Self {
        Self {
            inner: Arc::new(Inner {
                worker,
                bundle,
                input: Mutex::default(),
                complete: inputs != Given::None,
                ended: AtomicBool::new(inputs == Given::Embedded),
            }),
        }
    }

    /// The bundle's instruction id.
    pub fn instruction_id(&self) -> &str {
        &self.inner.bundle.instruction_id
    }

    /// Sends whole encoded elements to a source transform. A chunk is never cut: choose its size.
    ///
    /// Small chunks are gathered into larger messages while the connection is busy. Waits for the
    /// connection; if the returned future is dropped early, the chunk may or may not be sent.
    ///
    /// # Errors
    /// The bundle's own error, when it is over; [`BundleError::Refused`] for a transform that is no
    /// source, or after the end of the input.
    pub async fn send_data(&self, transform: &str, bytes: Bytes) -> Result<(), BundleError> {
        self.send(InputChunk::data(transform, bytes)).await
    }

    /// Sends whole encoded timers to a timer family, like [`send_data`](Self::send_data).
    ///
    /// # Errors
    /// As [`send_data`](Self::send_data).
    pub async fn send_timers(
        &self,
        transform: &str,
        family: &str,
        bytes: Bytes,
    ) -> Result<(), BundleError> {
        self.send(InputChunk::timers(transform, family, bytes))
            .await
    }

    /// Sends a chunk for either kind of port.
    ///
    /// # Errors
    /// As [`send_data`](Self::send_data).
    pub async fn send(&self, chunk: InputChunk) -> Result<(), BundleError> {
        let mut input = self.inner.input.lock().await;
        if self.inner.input_is_over() {
            return Err(BundleError::Refused(
                "input after the end of the bundle's input".to_owned(),
            ));
        }
        self.inner.send(&mut input, chunk).await
    }

    /// Sends now what was gathered for a larger message.
    ///
    /// # Errors
    /// The bundle's own error, when it is over.
    pub async fn flush(&self) -> Result<(), BundleError> {
        let mut input = self.inner.input.lock().await;
        self.inner.flush(&mut input).await
    }

    /// Sends what was gathered, and ends every input: data and timer families. Does nothing the
    /// second time.
    ///
    /// # Errors
    /// The bundle's own error, when it is over.
    pub async fn end_inputs(&self) -> Result<(), BundleError> {
        let mut input = self.inner.input.lock().await;
        if self.inner.input_is_over() {
            return Ok(());
        }
        self.inner.end(&mut input).await
    }

    /// Asks for the bundle's metrics so far, with full monitoring infos in place of short ids.
    ///
    /// A bundle that has not begun or has just ended may give an empty response.
    ///
    /// # Errors
    /// [`WorkerError::Sdk`] where the SDK no longer knows the bundle.
    pub async fn progress(&self) -> Result<ProcessBundleProgressResponse, WorkerError> {
        let request = ProcessBundleProgressRequest {
            instruction_id: self.instruction_id().to_owned(),
        };
        let worker = &self.inner.worker;
        let response = worker
            .control
            .request(instruction_request::Request::ProcessBundleProgress(request))
            .await?;
        let instruction_response::Response::ProcessBundleProgress(mut response) = response else {
            return Err(unexpected("ProcessBundleProgressRequest"));
        };
        let data = std::mem::take(&mut response.monitoring_data);
        if response.monitoring_infos.is_empty() {
            response.monitoring_infos = worker.short_ids.resolve(&worker.control, data).await?;
        }
        Ok(response)
    }

    /// Asks the SDK to split the bundle. The request's instruction id is filled in.
    ///
    /// A response without channel splits means that the SDK declined.
    ///
    /// # Errors
    /// [`WorkerError::Sdk`] where the SDK no longer knows the bundle, or failed to split.
    pub async fn split(
        &self,
        mut request: ProcessBundleSplitRequest,
    ) -> Result<ProcessBundleSplitResponse, WorkerError> {
        self.instruction_id()
            .clone_into(&mut request.instruction_id);
        let response = self
            .inner
            .worker
            .control
            .request(instruction_request::Request::ProcessBundleSplit(request))
            .await?;
        match response {
            instruction_response::Response::ProcessBundleSplit(response) => Ok(response),
            _ => Err(unexpected("ProcessBundleSplitRequest")),
        }
    }

    /// Ends the input if that was not done, and waits until the harness has responded and ended
    /// every output stream.
    ///
    /// The response has full monitoring infos in place of short ids, and its embedded elements
    /// are among the outputs. The outputs must be received meanwhile. A response can be taken
    /// once; an error is told to every caller.
    ///
    /// # Errors
    /// How the bundle failed.
    pub async fn finish(&self) -> Result<ProcessBundleResponse, BundleError> {
        // Fails where the bundle is already over: the outcome then says more.
        self.end_inputs().await.ok();
        let bundle = &self.inner.bundle;
        let mut warning = tokio::time::interval(MISSING_OUTPUT_WARNING);
        warning.reset();
        loop {
            tokio::select! {
                () = bundle.done.cancelled() => break,
                _ = warning.tick() => if let Some(missing) = bundle.missing_outputs() {
                    warn!(
                        worker_id = self.inner.worker.id,
                        instruction = bundle.instruction_id,
                        "the harness has responded but not ended output streams: {missing}"
                    );
                }
            }
        }
        let mut response = bundle.take_outcome()?;
        let data = std::mem::take(&mut response.monitoring_data);
        if response.monitoring_infos.is_empty() {
            let worker = &self.inner.worker;
            response.monitoring_infos = worker.short_ids.resolve(&worker.control, data).await?;
        }
        Ok(response)
    }

    /// Resolves when the bundle's outcome is known.
    pub async fn done(&self) {
        self.inner.bundle.done.cancelled().await;
    }

    /// Resolves when the harness has ended every output stream: what it has yet to do is to respond. Never for a bundle without outputs.
    pub async fn outputs_ended(&self) {
        self.inner.bundle.outputs_ended.cancelled().await;
    }

    /// Gives the bundle up. The Fn API can't stop an SDK, so its input is ended and its state
    /// requests are refused; what it still writes and responds is dropped.
    pub fn abort(&self) {
        self.inner.abandon();
    }

    /// Sends a whole input and ends it, on a task of its own: whoever waits for the outputs must
    /// not have to send as well.
    pub(crate) fn feed(&self, chunks: Vec<InputChunk>) {
        let handle = self.clone();
        tokio::spawn(async move {
            let mut input = handle.inner.input.lock().await;
            for chunk in chunks {
                if handle.inner.send(&mut input, chunk).await.is_err() {
                    return;
                }
            }
            handle.inner.end(&mut input).await.ok();
        });
    }
}

impl Inner {
    fn input_is_over(&self) -> bool {
        self.complete || self.ended.load(Ordering::Acquire)
    }

    /// Gives the bundle up, unless it has an outcome. An SDK that still works on it is let go.
    fn abandon(&self) {
        self.bundle.fail(BundleError::Aborted);
        let sdk_waits = matches!(
            self.bundle.over(),
            BundleError::Aborted | BundleError::Protocol(_)
        );
        if !sdk_waits || self.ended.swap(true, Ordering::AcqRel) {
            return;
        }
        // Outside of the runtime there is nobody to send: its connections are going down too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(end_abandoned(self.worker.clone(), self.bundle.clone()));
        }
    }

    async fn send(&self, input: &mut Message, chunk: InputChunk) -> Result<(), BundleError> {
        if self.bundle.done.is_cancelled() {
            return Err(self.bundle.over());
        }
        if !self.bundle.descriptor.inputs.contains(&chunk.port) {
            return Err(no_input(&chunk.port, &self.bundle));
        }
        if chunk.bytes.is_empty() {
            return Ok(());
        }
        if !input.takes(&chunk.port) {
            self.flush(input).await?;
        }
        input.push(chunk);
        let bytes = input.bytes();
        let idle = self.worker.data_out.capacity() == self.worker.data_out.max_capacity();
        if bytes >= MESSAGE_BYTES || (bytes >= EAGER_BYTES && idle) {
            self.flush(input).await?;
        }
        Ok(())
    }

    async fn flush(&self, input: &mut Message) -> Result<(), BundleError> {
        if input.is_empty() {
            return Ok(());
        }
        self.transmit(|| input.take(&self.bundle.instruction_id))
            .await
    }

    async fn end(&self, input: &mut Message) -> Result<(), BundleError> {
        self.transmit(|| {
            let mut message = input.take(&self.bundle.instruction_id);
            end_all(
                &mut message,
                &self.bundle.instruction_id,
                &self.bundle.descriptor.inputs,
            );
            self.ended.store(true, Ordering::Release);
            message
        })
        .await
    }

    /// Waits for a place in the connection's queue, and only then makes the message: nothing is
    /// lost when the caller stops waiting.
    async fn transmit(&self, message: impl FnOnce() -> Elements) -> Result<(), BundleError> {
        tokio::select! {
            biased;
            () = self.bundle.done.cancelled() => Err(self.bundle.over()),
            permit = self.worker.data_out.reserve() => {
                permit
                    .map_err(|_| BundleError::WorkerLost(self.worker.reason()))?
                    .send(message());
                Ok(())
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Ends the input of a bundle that was given up, so that the SDK does not wait for it for ever.
async fn end_abandoned(worker: Arc<WorkerState>, bundle: Arc<Bundle>) {
    let mut markers = Elements::default();
    end_all(
        &mut markers,
        &bundle.instruction_id,
        &bundle.descriptor.inputs,
    );
    tokio::select! {
        sent = worker.data_out.send(markers) => sent.unwrap_or_default(),
        () = worker.closed.cancelled() => {}
    }
}

fn no_input(port: &Port, bundle: &Bundle) -> BundleError {
    BundleError::Refused(format!(
        "{port:?} is not among the inputs of descriptor {:?}: {:?}",
        bundle.descriptor.proto.id, bundle.descriptor.inputs
    ))
}

fn unexpected(request: &str) -> WorkerError {
    WorkerError::Protocol(format!("{request} was answered with another response"))
}

impl std::fmt::Debug for BundleHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BundleHandle")
            .field("worker_id", &self.inner.worker.id)
            .field("instruction_id", &self.inner.bundle.instruction_id)
            .finish_non_exhaustive()
    }
}
