//! Accepting and serving connections.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use dataflume_harness::fn_api::{HTTP2_CONNECTION_WINDOW_BYTES, HTTP2_STREAM_WINDOW_BYTES};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::listener::Listeners;

/// All of a worker's or client's calls may share one connection.
const MAX_STREAMS: u32 = 100_000;
/// Large data messages travel in fewer pieces than in the default's 16 KiB.
const MAX_FRAME_BYTES: u32 = 256 << 10;
/// Clients may send long metadata.
const MAX_HEADER_BYTES: u32 = 256 << 10;
/// A client that ends gives up all its calls at once.
const MAX_RESETS: usize = 10_000;
/// How much of a stream's answer may wait to be sent.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// How long to wait after a failed accept: the usual reason is a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long open calls may take to end when the server does.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections of a server.
#[derive(Debug)]
pub struct Connections {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    open: Arc<AtomicU64>,
}

impl Connections {
    /// The number of open connections, which goes on counting.
    #[must_use]
    pub fn open(&self) -> Arc<AtomicU64> {
        self.open.clone()
    }

    /// Accepts no more connections and closes those that are open: those with calls under way a
    /// little later.
    pub async fn close(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Serves the router on the port from now on, until [`Connections::close`].
#[must_use]
pub fn serve(listeners: Listeners, router: &Router, open: Arc<AtomicU64>) -> Connections {
    let stop = CancellationToken::new();
    let mut tasks = JoinSet::new();
    for listener in listeners.sockets {
        let acceptor = Acceptor {
            router: router.clone(),
            builder: builder(),
            open: open.clone(),
        };
        tasks.spawn(acceptor.run(listener, stop.clone()));
    }
    Connections { stop, tasks, open }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(HTTP2_CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_frame_size(MAX_FRAME_BYTES)
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .max_send_buf_size(SEND_BUFFER_BYTES);
    builder
}

struct Acceptor {
    router: Router,
    builder: Builder<TokioExecutor>,
    open: Arc<AtomicU64>,
}

impl Acceptor {
    async fn run(self, listener: TcpListener, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((socket, _)) => self.start(socket, &graceful, &mut connections),
                    Err(error) => pause_after(&error).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        drop(listener);
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, graceful.shutdown()).await;
        if closed.is_err() {
            debug!("connections are closed with calls under way");
        }
        // Nothing of the server is in use any more after this.
        connections.shutdown().await;
    }

    fn start(&self, socket: TcpStream, graceful: &GracefulShutdown, all: &mut JoinSet<()>) {
        // Small messages go back and forth: none may wait for the acknowledgement of the one before.
        if let Err(error) = socket.set_nodelay(true) {
            debug!(%error, "TCP_NODELAY could not be set");
        }
        // The calls of a worker tell by this which process it is.
        let ends = socket.connect_info();
        let router = self.router.clone();
        let service = router.map_request(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(ends.clone());
            request
        });
        let service = TowerToHyperService::new(service);
        let connection = self.builder.serve_connection(TokioIo::new(socket), service);
        let connection = graceful.watch(connection.into_owned());
        let counted = Counted::new(self.open.clone());
        all.spawn(async move {
            let _counted = counted;
            if let Err(error) = connection.await {
                debug!(error, "connection ended");
            }
        });
    }
}

async fn pause_after(error: &io::Error) {
    let of_the_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !of_the_client {
        warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Counts for as long as it lives.
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn new(count: Arc<AtomicU64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
