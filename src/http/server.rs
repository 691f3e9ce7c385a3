//! The accept loop: what plain `axum::serve` does not bound is bounded here.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Phase, Watched};
use crate::telemetry::Connections;

/// The bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerSettings {
    /// Connections beyond this are closed at once, so that a balancer tries the next replica.
    pub(crate) max_connections: usize,
    /// How long a request's head may take from its first byte, or a connection until its first request.
    pub(crate) header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub(crate) idle_timeout: Duration,
    /// How long requests under way may take to end once the server is told to stop.
    pub(crate) drain_timeout: Duration,
}

/// The other end of the connection that a request came by: a caller, or a proxy in front of it.
///
/// As it stands in the log, written once for all requests of its connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer(Arc<str>);

impl Peer {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self(address.to_string().into())
    }
}

/// What answers a listener's requests.
pub(crate) trait Answers: Clone + Send + Sync + 'static {
    fn answer(&self, request: Request, peer: Peer) -> impl Future<Output = Response> + Send;
}

/// A request's head may be so long: our callers send tokens back to nobody, so a credential and a query fit many
/// times. hyper's own bound is 400 KB, which strangers could make it hold for each connection.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// Serves until `shutdown`, then finishes what is under way and returns.
pub(crate) async fn serve<A: Answers>(
    listener: TcpListener,
    answers: A,
    settings: ServerSettings,
    counts: Connections,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: retrying at once would only burn CPU, and log.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            },
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            counts.refused.inc();
            continue;
        };
        let (answers, shutdown) = (answers.clone(), shutdown.clone());
        let (counts, cut) = (counts.clone(), cut.clone());
        connections.spawn(async move {
            counts.open.inc();
            // Made where it is awaited: moved in from outside, idle connections would keep room for it twice.
            let ended =
                serve_connection(stream, peer.into(), answers, settings, shutdown, cut).await;
            counts.open.dec();
            // Phones come and go; only what was no HTTP is worth counting.
            if ended.is_err_and(|error| error.is_parse()) {
                counts.malformed.inc();
            }
            drop(slot);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(settings.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "the drain's deadline has passed, connections are cut"
        );
        cut.cancel();
        connections.wait().await;
    }
}

async fn serve_connection<A: Answers>(
    stream: TcpStream,
    peer: Peer,
    answers: A,
    settings: ServerSettings,
    shutdown: CancellationToken,
    cut: CancellationToken,
) -> hyper::Result<()> {
    // Answers are one small write each; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let phase = Phase::new();
    let stream =
        Watched::new(stream, Arc::clone(&phase), settings.header_timeout, settings.idle_timeout);
    let service = service_fn(move |request: Request<Incoming>| {
        phase.handling();
        let (answers, phase, peer) = (answers.clone(), Arc::clone(&phase), peer.clone());
        // Boxed, because hyper keeps the room for it while a connection is idle.
        Box::pin(async move {
            let answer = answers.answer(request.map(body), peer).await;
            phase.idle();
            Ok::<_, Infallible>(answer)
        })
    });
    // Without hyper's own time-out: `Watched` ends what takes too long.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        // Copying one kilobyte behind its head is less than gathering the two.
        .writev(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Only who drains is cut, so who serves need not look for it.
            cut.run_until_cancelled(connection).await.unwrap_or(Ok(()))
        }
    }
}

/// The body in axum's terms, which puts all but an empty one in a box.
fn body(incoming: Incoming) -> Body {
    if incoming.is_end_stream() { Body::empty() } else { Body::new(incoming) }
}
