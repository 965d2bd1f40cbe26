//! The control service: instructions to a worker, and its responses, matched by instruction id.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dataflume_proto::fn_execution::beam_fn_control_server::BeamFnControl;
use dataflume_proto::fn_execution::{
    GetProcessBundleDescriptorRequest, InstructionRequest, InstructionResponse,
    ProcessBundleDescriptor, instruction_request, instruction_response,
};
use futures::StreamExt;
use futures::stream::BoxStream;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};

use crate::error::{BundleError, WorkerError};
use crate::registry::{Registry, WORKER_ID, WorkerState, lock};

/// Begins the ids of the harness's own instructions, so that they can't meet those of bundles.
pub(crate) const OWN_ID_PREFIX: &str = "control-";

/// The way to a worker's control stream.
///
/// The queue is unbounded: its length is limited by the number of bundles that the driver keeps in
/// flight on the worker, and elements are embedded only up to a small limit.
pub(crate) struct ControlLink {
    link: Mutex<Link>,
    next_id: AtomicU64,
}

/// Open until the worker closes.
enum Link {
    Open {
        requests: mpsc::UnboundedSender<InstructionRequest>,
        /// Taken by the one control stream.
        queue: Option<mpsc::UnboundedReceiver<InstructionRequest>>,
        pending: FxHashMap<String, oneshot::Sender<Answer>>,
    },
    Closed(String),
}

type Answer = Result<InstructionResponse, WorkerError>;

impl Default for ControlLink {
    fn default() -> Self {
        let (requests, queue) = mpsc::unbounded_channel();
        Self {
            link: Mutex::new(Link::Open {
                requests,
                queue: Some(queue),
                pending: FxHashMap::default(),
            }),
            next_id: AtomicU64::new(1),
        }
    }
}

impl ControlLink {
    /// An id for an instruction of the harness's own. Bundles get their ids from the caller.
    fn next_id(&self) -> String {
        let n = self.next_id.fetch_add(1, Ordering::Relaxed);
        format!("{OWN_ID_PREFIX}{n}")
    }

    /// Sends a bundle's request; its response is matched by the bundle's own id.
    pub(crate) fn send(&self, request: InstructionRequest) -> Result<(), WorkerError> {
        match &*lock(&self.link) {
            Link::Closed(reason) => Err(WorkerError::Lost(reason.clone())),
            Link::Open { requests, .. } => requests
                .send(request)
                .map_err(|_| WorkerError::Lost("the control stream ended".to_owned())),
        }
    }

    /// Sends a request whose response changes nothing.
    pub(crate) fn tell(&self, request: instruction_request::Request) -> Result<(), WorkerError> {
        self.ask(request).map(drop)
    }

    /// Sends a request and waits for its response.
    pub(crate) async fn request(
        &self,
        request: instruction_request::Request,
    ) -> Result<instruction_response::Response, WorkerError> {
        let response = self
            .ask(request)?
            .await
            .map_err(|_| WorkerError::Lost("the control stream ended".to_owned()))??;
        if !response.error.is_empty() {
            return Err(WorkerError::Sdk(response.error));
        }
        response.response.ok_or_else(|| {
            WorkerError::Protocol(
                "an InstructionResponse has neither response nor error".to_owned(),
            )
        })
    }

    /// Sends a request. What is given receives its response.
    fn ask(
        &self,
        request: instruction_request::Request,
    ) -> Result<oneshot::Receiver<Answer>, WorkerError> {
        let instruction_id = self.next_id();
        let (sender, receiver) = oneshot::channel();
        match &mut *lock(&self.link) {
            Link::Closed(reason) => Err(WorkerError::Lost(reason.clone())),
            Link::Open {
                requests, pending, ..
            } => {
                pending.insert(instruction_id.clone(), sender);
                let request = InstructionRequest {
                    instruction_id,
                    request: Some(request),
                };
                requests
                    .send(request)
                    .map_err(|_| WorkerError::Lost("the control stream ended".to_owned()))?;
                Ok(receiver)
            }
        }
    }

    /// What is for the worker to do; `None` if it was closed.
    fn take_queue(&self) -> Result<Option<mpsc::UnboundedReceiver<InstructionRequest>>, Status> {
        match &mut *lock(&self.link) {
            Link::Closed(_) => Ok(None),
            Link::Open { queue, .. } => queue.take().map(Some).ok_or_else(|| {
                Status::failed_precondition(
                    "the worker already has a control stream; each worker process needs an id of its own",
                )
            }),
        }
    }

    fn complete(&self, response: InstructionResponse) {
        let waiting = match &mut *lock(&self.link) {
            Link::Closed(_) => None,
            Link::Open { pending, .. } => pending.remove(&response.instruction_id),
        };
        match waiting {
            // The one who asked may have stopped waiting; that is no error.
            Some(waiting) => drop(waiting.send(Ok(response))),
            None => debug!(
                instruction = response.instruction_id,
                error = response.error,
                "a response to no instruction in flight"
            ),
        }
    }

    pub(crate) fn close(&self, reason: &str) {
        let link = std::mem::replace(&mut *lock(&self.link), Link::Closed(reason.to_owned()));
        if let Link::Open { pending, .. } = link {
            for waiting in pending.into_values() {
                drop(waiting.send(Err(WorkerError::Lost(reason.to_owned()))));
            }
        }
    }
}

/// `BeamFnControl` over the registry.
pub(crate) struct ControlService {
    pub(crate) registry: Arc<Registry>,
}

#[tonic::async_trait]
impl BeamFnControl for ControlService {
    type ControlStream = BoxStream<'static, Result<InstructionRequest, Status>>;

    async fn control(
        &self,
        request: Request<Streaming<InstructionResponse>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        // A worker that comes too late has nothing to do, and is sent home as the others were: by the end of its stream.
        let too_late = || Ok(Response::new(futures::stream::empty().boxed()));
        let worker = self.registry.worker_unless_departed(&request, "control")?;
        let Some(worker) = worker else {
            return too_late();
        };
        let queue = worker.control.take_queue().inspect_err(|status| {
            warn!(worker_id = worker.id, %status, "control stream refused");
        })?;
        let Some(queue) = queue else {
            return too_late();
        };
        debug!(worker_id = worker.id, "worker connected");
        if let Some(ends) = request.local_addr().zip(request.remote_addr()) {
            // There is one control stream.
            let _ = worker.connection.set(ends);
        }
        worker.connected.cancel();
        // Closing the worker drops the queue's sender: what was queued is still sent, and then the
        // stream ends, which tells the SDK to finish.
        let requests = UnboundedReceiverStream::new(queue).map(Ok);
        tokio::spawn(read_responses(worker, request.into_inner()));
        Ok(Response::new(requests.boxed()))
    }

    async fn get_process_bundle_descriptor(
        &self,
        request: Request<GetProcessBundleDescriptorRequest>,
    ) -> Result<Response<ProcessBundleDescriptor>, Status> {
        let id = &request.get_ref().process_bundle_descriptor_id;
        let descriptor = if request.metadata().contains_key(WORKER_ID) {
            let worker = self.registry.worker_of(&request, "control")?;
            worker.descriptor_on_the_wire(id)
        } else {
            self.registry.descriptor(id)
        };
        match descriptor {
            Some(descriptor) => Ok(Response::new(descriptor.proto.clone())),
            None => Err(Status::not_found(format!(
                "no process bundle descriptor {id:?} is registered"
            ))),
        }
    }
}

async fn read_responses(worker: Arc<WorkerState>, mut responses: Streaming<InstructionResponse>) {
    loop {
        let message = tokio::select! {
            message = responses.message() => message,
            () = worker.closed.cancelled() => return,
        };
        match message {
            Ok(Some(response)) => dispatch(&worker, response),
            Ok(None) => return worker.close("the SDK harness closed its control stream"),
            Err(status) => {
                return worker.close(&format!(
                    "the SDK harness disconnected: {}",
                    status.message()
                ));
            }
        }
    }
}

fn dispatch(worker: &WorkerState, response: InstructionResponse) {
    let Some(bundle) = worker.bundle(&response.instruction_id) else {
        return worker.control.complete(response);
    };
    let over = if response.error.is_empty() {
        match response.response {
            Some(instruction_response::Response::ProcessBundle(response)) => {
                bundle.respond(response)
            }
            other => bundle.fail(BundleError::Protocol(format!(
                "ProcessBundleRequest {:?} was answered with {other:?}",
                bundle.instruction_id
            ))),
        }
    } else {
        bundle.fail(BundleError::Sdk(response.error))
    };
    if over {
        worker.remove_bundle(&bundle.instruction_id);
    }
}
