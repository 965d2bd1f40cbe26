//! The state service: user state, side inputs and what the runner streams lazily.
//!
//! Requests of all of a worker's bundles share one stream. A handler that can answer at once is
//! answered within the stream's task: no task is spawned and no channel crossed per request. A
//! handler that has to wait does not hold up other requests, except those for the same cell of
//! user state of the same bundle: SDKs send an append without waiting for the one before it, and
//! rely on the order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use dataflume_proto::fn_execution::beam_fn_state_server::BeamFnState;
use dataflume_proto::fn_execution::{
    StateKey, StateRequest, StateResponse, state_key, state_response,
};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesUnordered};
use futures::{Stream, StreamExt};
use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};

use crate::registry::{Registry, WORKER_ID, WorkerState};

/// How many responses may wait for the connection before requests are no longer read.
const RESPONSES_IN_FLIGHT: usize = 64;

/// Answers the state requests of one bundle.
#[async_trait]
pub trait StateHandler: Send + Sync {
    /// Answers one request.
    ///
    /// Calls for different cells may overlap. For one cell of user state (transform, state id,
    /// window, key) they come one after the other, in the order in which the SDK sent them. The
    /// work between two awaits should be short: it runs on the worker's stream.
    ///
    /// # Errors
    /// The text becomes `StateResponse.error`, which fails the bundle in the SDK.
    async fn handle(&self, request: StateRequest) -> Result<state_response::Response, String>;
}

/// The handler of bundles that use no state: refuses every request.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoState;

#[async_trait]
impl StateHandler for NoState {
    async fn handle(&self, request: StateRequest) -> Result<state_response::Response, String> {
        Err(format!(
            "the stage has no state or side inputs, but {:?} was asked for",
            request.state_key
        ))
    }
}

/// `BeamFnState` over the registry.
pub(crate) struct StateService {
    pub(crate) registry: Arc<Registry>,
}

#[tonic::async_trait]
impl BeamFnState for StateService {
    type StateStream = BoxStream<'static, Result<StateResponse, Status>>;

    async fn state(
        &self,
        request: Request<Streaming<StateRequest>>,
    ) -> Result<Response<Self::StateStream>, Status> {
        let (responses, stream) = mpsc::channel(RESPONSES_IN_FLIGHT);
        if Registry::is_nameless(&request) {
            let registry = self.registry.clone();
            tokio::spawn(serve_nameless(registry, request.into_inner(), responses));
        } else {
            let worker = self.registry.worker_of(&request, "state")?;
            tokio::spawn(serve(worker, request.into_inner(), responses));
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

type Responses = mpsc::Sender<Result<StateResponse, Status>>;
type InFlight = FuturesUnordered<BoxFuture<'static, Answer>>;

/// A response, and the cell it frees.
struct Answer {
    response: StateResponse,
    cell: Option<Cell>,
}

/// Python's SDK before 2.63 doesn't say on this stream which worker it is, where that is a thread of a larger process. A stream is one
/// worker's: the one that runs the bundle which asks first.
async fn serve_nameless(
    registry: Arc<Registry>,
    mut requests: Streaming<StateRequest>,
    responses: Responses,
) {
    while let Ok(Some(first)) = requests.message().await {
        if let Some(worker) = registry.worker_that_runs(&first.instruction_id) {
            let first = futures::stream::once(async { Ok(first) });
            serve(worker, Box::pin(first.chain(requests)), responses).await;
            return;
        }
        let error = format!(
            "no worker runs a bundle with instruction id {:?}, and the call has no {WORKER_ID:?}",
            first.instruction_id
        );
        warn!(error, "a state request was refused");
        let response = StateResponse {
            id: first.id,
            error,
            response: None,
        };
        if responses.send(Ok(response)).await.is_err() {
            return;
        }
    }
}

async fn serve(
    worker: Arc<WorkerState>,
    mut requests: impl Stream<Item = Result<StateRequest, Status>> + Unpin,
    responses: Responses,
) {
    let mut in_flight = InFlight::new();
    let mut cells = Cells::default();
    let closed = worker.closed.clone();
    loop {
        tokio::select! {
            message = requests.next() => match message {
                Some(Ok(request)) => {
                    let Some(request) = cells.admit(request) else { continue };
                    if let Some(answer) = start(&worker, request, &mut cells, &mut in_flight)
                        && !settle(&worker, answer, &mut cells, &mut in_flight, &responses).await
                    {
                        return;
                    }
                }
                None => break,
                Some(Err(status)) => {
                    debug!(worker_id = worker.id, %status, "state stream ended");
                    return;
                }
            },
            Some(answer) = in_flight.next() => {
                if !settle(&worker, answer, &mut cells, &mut in_flight, &responses).await {
                    return;
                }
            }
            () = closed.cancelled() => return,
        }
    }
    // The worker has no more questions, but may still wait for answers.
    while let Some(answer) = in_flight.next().await {
        if !settle(&worker, answer, &mut cells, &mut in_flight, &responses).await {
            return;
        }
    }
}

/// Begins a request; its answer, if the handler had it at once.
fn start(
    worker: &WorkerState,
    request: StateRequest,
    cells: &mut Cells,
    in_flight: &mut InFlight,
) -> Option<Answer> {
    let cell = Cell::of(&request);
    let handler = worker.state_handler(&request.instruction_id);
    let mut answering: BoxFuture<'static, Answer> =
        Box::pin(answer(handler, request, cell.clone()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match answering.as_mut().poll(&mut context) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => {
            // Polled again by the set, this time with a waker.
            if let Some(cell) = cell {
                cells.occupy(cell);
            }
            in_flight.push(answering);
            None
        }
    }
}

async fn answer(
    handler: Result<Arc<dyn StateHandler>, String>,
    request: StateRequest,
    cell: Option<Cell>,
) -> Answer {
    let id = request.id.clone();
    let result = match handler {
        Ok(handler) => handler.handle(request).await,
        Err(error) => Err(error),
    };
    let response = match result {
        Ok(response) => StateResponse {
            id,
            error: String::new(),
            response: Some(response),
        },
        Err(error) => StateResponse {
            id,
            error,
            response: None,
        },
    };
    Answer { response, cell }
}

/// Sends an answer and begins whatever waited for its cell. False when nobody listens any more.
async fn settle(
    worker: &WorkerState,
    answer: Answer,
    cells: &mut Cells,
    in_flight: &mut InFlight,
    responses: &Responses,
) -> bool {
    let mut next = Some(answer);
    while let Some(answer) = next.take() {
        if responses.send(Ok(answer.response)).await.is_err() {
            return false;
        }
        if let Some(request) = answer.cell.and_then(|cell| cells.release(&cell)) {
            next = start(worker, request, cells, in_flight);
        }
    }
    true
}

/// A cell of user state of one bundle. Every kind of access to it counts as the same cell: the
/// keys of a map are read while its values are written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Cell {
    instruction: String,
    transform: String,
    state: String,
    window: Bytes,
    key: Bytes,
}

impl Cell {
    /// The cell that a request needs to itself; none for what is only read.
    fn of(request: &StateRequest) -> Option<Self> {
        use state_key::Type;
        let StateKey { r#type: Some(key) } = request.state_key.as_ref()? else {
            return None;
        };
        let (transform, state, window, key) = match key {
            Type::BagUserState(k) => (&k.transform_id, &k.user_state_id, &k.window, &k.key),
            Type::MultimapUserState(k) => (&k.transform_id, &k.user_state_id, &k.window, &k.key),
            Type::MultimapKeysUserState(k) => {
                (&k.transform_id, &k.user_state_id, &k.window, &k.key)
            }
            Type::MultimapEntriesUserState(k) => {
                (&k.transform_id, &k.user_state_id, &k.window, &k.key)
            }
            Type::OrderedListUserState(k) => (&k.transform_id, &k.user_state_id, &k.window, &k.key),
            Type::Runner(_)
            | Type::MultimapSideInput(_)
            | Type::IterableSideInput(_)
            | Type::MultimapKeysSideInput(_)
            | Type::MultimapKeysValuesSideInput(_) => return None,
        };
        Some(Self {
            instruction: request.instruction_id.clone(),
            transform: transform.clone(),
            state: state.clone(),
            window: window.clone(),
            key: key.clone(),
        })
    }
}

/// The cells with a request in flight, and who waits for them.
#[derive(Default)]
struct Cells {
    busy: FxHashMap<Cell, VecDeque<StateRequest>>,
}

impl Cells {
    /// The request, if it may begin now; otherwise it is kept until the cell is free.
    fn admit(&mut self, request: StateRequest) -> Option<StateRequest> {
        if self.busy.is_empty() {
            return Some(request);
        }
        let waiting = Cell::of(&request).and_then(|cell| self.busy.get_mut(&cell));
        match waiting {
            Some(waiting) => {
                waiting.push_back(request);
                None
            }
            None => Some(request),
        }
    }

    /// Marks a cell as having a request in flight.
    fn occupy(&mut self, cell: Cell) {
        self.busy.entry(cell).or_default();
    }

    /// Frees a cell for the next request, which is returned.
    fn release(&mut self, cell: &Cell) -> Option<StateRequest> {
        let waiting = self.busy.get_mut(cell)?;
        let next = waiting.pop_front();
        if next.is_none() {
            self.busy.remove(cell);
        }
        next
    }
}
