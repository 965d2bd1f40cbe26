//! The data service: one stream per worker, shared by its bundles.
//!
//! What the harness writes is handed to the bundle it belongs to; see [`crate::bundle`] for
//! back-pressure. Losing the stream is losing the worker: most SDKs never open it again.

use std::sync::Arc;

use dataflume_proto::fn_execution::Elements;
use dataflume_proto::fn_execution::beam_fn_data_server::BeamFnData;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{debug, warn};

use crate::bundle::shared::Bundle;
use crate::descriptor::Port;
use crate::registry::{Registry, WorkerState, lock};

/// `BeamFnData` over the registry.
pub(crate) struct DataService {
    pub(crate) registry: Arc<Registry>,
}

#[tonic::async_trait]
impl BeamFnData for DataService {
    type DataStream = BoxStream<'static, Result<Elements, Status>>;

    async fn data(
        &self,
        request: Request<Streaming<Elements>>,
    ) -> Result<Response<Self::DataStream>, Status> {
        let worker = self.registry.worker_of(&request, "data")?;
        let Some(queue) = lock(&worker.data_queue).take() else {
            warn!(worker_id = worker.id, "a second data stream was refused");
            return Err(Status::failed_precondition(
                "the worker already has, or had, a data stream: \
                 neither named streams nor reconnecting are supported",
            ));
        };
        let closed = worker.closed.clone().cancelled_owned();
        let outgoing = ReceiverStream::new(queue).map(Ok).take_until(closed);
        tokio::spawn(read_elements(worker, request.into_inner()));
        Ok(Response::new(outgoing.boxed()))
    }
}

async fn read_elements(worker: Arc<WorkerState>, mut stream: Streaming<Elements>) {
    loop {
        let message = tokio::select! {
            message = stream.message() => message,
            () = worker.closed.cancelled() => return,
        };
        match message {
            Ok(Some(elements)) => dispatch(&worker, elements).await,
            Ok(None) => return worker.close("the SDK harness closed its data stream"),
            Err(status) => {
                return worker.close(&format!("the data stream broke: {}", status.message()));
            }
        }
    }
}

/// Hands each piece to its bundle. Neighbouring pieces usually belong to the same one.
async fn dispatch(worker: &WorkerState, elements: Elements) {
    let mut current: Option<Arc<Bundle>> = None;
    for timers in elements.timers {
        let port = Port::Timers {
            transform: timers.transform_id,
            family: timers.timer_family_id,
        };
        if find(worker, &mut current, &timers.instruction_id, &port) {
            hand_over(worker, &current, port, timers.timers, timers.is_last).await;
        }
    }
    for data in elements.data {
        let port = Port::Data {
            transform: data.transform_id,
        };
        if find(worker, &mut current, &data.instruction_id, &port) {
            hand_over(worker, &current, port, data.data, data.is_last).await;
        }
    }
}

fn find(
    worker: &WorkerState,
    current: &mut Option<Arc<Bundle>>,
    instruction_id: &str,
    port: &Port,
) -> bool {
    if current
        .as_ref()
        .is_none_or(|bundle| bundle.instruction_id != instruction_id)
    {
        *current = worker.bundle(instruction_id);
    }
    if current.is_none() {
        debug!(
            worker_id = worker.id,
            instruction = instruction_id,
            ?port,
            "elements dropped: no such bundle is in flight"
        );
    }
    current.is_some()
}

async fn hand_over(
    worker: &WorkerState,
    bundle: &Option<Arc<Bundle>>,
    port: Port,
    bytes: bytes::Bytes,
    is_last: bool,
) {
    if let Some(bundle) = bundle {
        bundle.room().await;
        if bundle.deliver(port, bytes, is_last) {
            worker.remove_bundle(&bundle.instruction_id);
        }
    }
}
