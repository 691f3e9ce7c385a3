//! The accept loop: what plain `axum::serve` does not bound is bounded here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::peer::Peer;
use super::tls::{Secured, Tls};
use super::{http1, http2, proxy_protocol};
use crate::auth::LONGEST_TOKEN;
use crate::telemetry::{Connections, Unproxied};

/// The bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerSettings {
    /// Connections beyond this are closed at once, so that a balancer tries the next replica.
    pub(crate) max_connections: usize,
    /// Requests beyond this wait, on one connection of HTTP/2.
    pub(crate) max_streams: u32,
    /// How long a request's head may take from its first byte, or a connection until its first request. A TLS
    /// handshake has the same time once more, a PROXY header before it included.
    pub(crate) header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub(crate) idle_timeout: Duration,
    /// How long requests under way may take to end once the server is told to stop.
    pub(crate) drain_timeout: Duration,
    /// Whether each connection begins with a PROXY header, and comes from somebody whose word is taken.
    pub(crate) proxy_protocol: bool,
}

#[cfg(test)]
impl ServerSettings {
    pub(super) fn for_tests() -> Self {
        Self {
            max_connections: 100,
            max_streams: 128,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            drain_timeout: Duration::from_secs(20),
            proxy_protocol: false,
        }
    }
}

/// What answers a listener's requests.
pub(crate) trait Answers: Clone + Send + Sync + 'static {
    fn answer(&self, request: Request, peer: Arc<Peer>) -> impl Future<Output = Response> + Send;

    /// Whether this is a proxy that may say whose a connection is.
    fn trusts(&self, proxy: IpAddr) -> bool;
}

/// A request's head may be so long: our callers send tokens back to nobody, so a credential and a query fit many
/// times. hyper's own bound is 400 KB, which strangers could make it hold for each connection.
pub(super) const MAX_HEAD_BYTES: usize = 16 * 1024;
// A token that fits a head is read, whatever it says.
const _: () = assert!(LONGEST_TOKEN == MAX_HEAD_BYTES);

/// When a connection is to end.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// What is under way is finished, and nothing new is taken.
    pub(super) drain: CancellationToken,
    /// At once.
    pub(super) cut: CancellationToken,
}

/// How a connection has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ended {
    /// By either side, or by the network.
    Well,
    /// What came was no HTTP, or too much of it.
    Malformed,
}

/// Serves until `shutdown`, then finishes what is under way and returns.
pub(crate) async fn serve<A: Answers>(
    listener: TcpListener,
    tls: Option<Tls>,
    answers: A,
    settings: ServerSettings,
    counts: Connections,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(settings.max_connections));
    let connections = TaskTracker::new();
    let stop = Stop { drain: shutdown, cut: CancellationToken::new() };
    loop {
        let (stream, address) = tokio::select! {
            () = stop.drain.cancelled() => break,
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
        let (tls, answers, stop, counts) =
            (tls.clone(), answers.clone(), stop.clone(), counts.clone());
        connections.spawn(async move {
            counts.open.inc();
            // Made where it is awaited: moved in from outside, idle connections would keep room for it twice.
            let ended = connection(stream, address, tls, answers, settings, stop, &counts).await;
            counts.open.dec();
            if ended == Ended::Malformed {
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
        stop.cut.cancel();
        connections.wait().await;
    }
}

async fn connection<A: Answers>(
    mut stream: TcpStream,
    mut address: SocketAddr,
    tls: Option<Tls>,
    answers: A,
    settings: ServerSettings,
    stop: Stop,
    counts: &Connections,
) -> Ended {
    // Answers are one small write each; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let deadline = Instant::now() + settings.header_timeout;
    if settings.proxy_protocol {
        // Boxed, as is all that is not part of every connection: hyper's room is what idle ones keep.
        let source = Box::pin(source(&mut stream, address, &answers, deadline));
        match stop.drain.run_until_cancelled(source).await {
            Some(Ok(source)) => address = source,
            Some(Err(why)) => {
                counts.transport.unproxied(why);
                return Ended::Well;
            }
            None => return Ended::Well,
        }
    }
    match tls {
        None => http1::serve(stream, Peer::plain(address), answers, settings, stop).await,
        Some(tls) => {
            Box::pin(secured(stream, address, tls, answers, settings, stop, deadline)).await
        }
    }
}

/// Whose connection it is, by the word of a trusted proxy and nobody else's.
async fn source<A: Answers>(
    stream: &mut TcpStream,
    proxy: SocketAddr,
    answers: &A,
    deadline: Instant,
) -> Result<SocketAddr, Unproxied> {
    if !answers.trusts(proxy.ip().to_canonical()) {
        return Err(Unproxied::Untrusted);
    }
    proxy_protocol::source(stream, proxy, deadline).await
}

async fn secured<A: Answers>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Tls,
    answers: A,
    settings: ServerSettings,
    stop: Stop,
    deadline: Instant,
) -> Ended {
    // Who has not even shaken hands yet has nothing under way.
    let secured = stop.drain.run_until_cancelled(tls.secure(stream, deadline)).await.flatten();
    let Some(Secured { stream, names, speaks_http2 }) = secured else { return Ended::Well };
    let peer = Peer::secure(address, names);
    if speaks_http2 {
        http2::serve(stream, peer, answers, settings, stop).await
    } else {
        http1::serve(stream, peer, answers, settings, stop).await
    }
}

/// The body in axum's terms, which puts all but an empty one in a box.
pub(super) fn body(incoming: Incoming) -> Body {
    if incoming.is_end_stream() { Body::empty() } else { Body::new(incoming) }
}
