//! The worker status service: a worker's own view of itself, as text for people.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dataflume_proto::fn_execution::beam_fn_worker_status_server::BeamFnWorkerStatus;
use dataflume_proto::fn_execution::{WorkerStatusRequest, WorkerStatusResponse};
use futures::StreamExt;
use futures::stream::BoxStream;
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use crate::error::WorkerError;
use crate::registry::{Registry, lock};

/// The way to a worker's status stream, which a worker may open or not, and open again.
#[derive(Default)]
pub(crate) struct StatusLink {
    stream: Mutex<Option<Stream>>,
    next_id: AtomicU64,
}

struct Stream {
    generation: u64,
    requests: mpsc::UnboundedSender<WorkerStatusRequest>,
    pending: FxHashMap<String, oneshot::Sender<Result<String, WorkerError>>>,
}

impl StatusLink {
    /// Asks the worker for its status.
    pub(crate) async fn request(&self) -> Result<String, WorkerError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).to_string();
        let (sender, receiver) = oneshot::channel();
        {
            let mut stream = lock(&self.stream);
            let stream = stream.as_mut().ok_or(WorkerError::NotConnected("status"))?;
            stream.pending.insert(id.clone(), sender);
            stream
                .requests
                .send(WorkerStatusRequest { id })
                .map_err(|_| WorkerError::NotConnected("status"))?;
        }
        receiver
            .await
            .map_err(|_| WorkerError::Lost("the status stream ended".to_owned()))?
    }

    /// Replaces the stream, and tells its generation.
    fn open(&self, requests: mpsc::UnboundedSender<WorkerStatusRequest>) -> u64 {
        let generation = self.next_id.fetch_add(1, Ordering::Relaxed);
        *lock(&self.stream) = Some(Stream {
            generation,
            requests,
            pending: FxHashMap::default(),
        });
        generation
    }

    fn complete(&self, response: WorkerStatusResponse) {
        let waiting = lock(&self.stream)
            .as_mut()
            .and_then(|stream| stream.pending.remove(&response.id));
        if let Some(waiting) = waiting {
            let result = if response.error.is_empty() {
                Ok(response.status_info)
            } else {
                Err(WorkerError::Sdk(response.error))
            };
            drop(waiting.send(result));
        }
    }

    /// Forgets the stream of this generation, if it is still the current one.
    fn ended(&self, generation: u64) {
        let mut stream = lock(&self.stream);
        if stream.as_ref().is_some_and(|s| s.generation == generation) {
            *stream = None;
        }
    }

    pub(crate) fn close(&self, reason: &str) {
        if let Some(stream) = lock(&self.stream).take() {
            for waiting in stream.pending.into_values() {
                drop(waiting.send(Err(WorkerError::Lost(reason.to_owned()))));
            }
        }
    }
}

/// `BeamFnWorkerStatus` over the registry.
pub(crate) struct StatusService {
    pub(crate) registry: Arc<Registry>,
}

#[tonic::async_trait]
impl BeamFnWorkerStatus for StatusService {
    type WorkerStatusStream = BoxStream<'static, Result<WorkerStatusRequest, Status>>;

    async fn worker_status(
        &self,
        request: Request<Streaming<WorkerStatusResponse>>,
    ) -> Result<Response<Self::WorkerStatusStream>, Status> {
        let worker = self.registry.worker_of(&request, "status")?;
        let (requests, queue) = mpsc::unbounded_channel();
        let generation = worker.status.open(requests);
        let mut responses = request.into_inner();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    message = responses.message() => match message {
                        Ok(Some(response)) => worker.status.complete(response),
                        Ok(None) => break,
                        Err(status) => {
                            debug!(worker_id = worker.id, %status, "status stream ended");
                            break;
                        }
                    },
                    () = worker.closed.cancelled() => break,
                }
            }
            worker.status.ended(generation);
        });
        Ok(Response::new(
            UnboundedReceiverStream::new(queue).map(Ok).boxed(),
        ))
    }
}
