//! The accept loop: what plain `axum::serve` does not bound is bounded here.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Patience;
use super::connection_table::{Bounds, ConnectionTable, Entry, Full, OpenConnection};
use super::peer::Peer;
use super::tls::{Secured, Tls};
use super::{http1, http2, listener, proxy_protocol};
use crate::auth::LONGEST_TOKEN;
use crate::telemetry::{Bound, Connections, ProxyProtocolError};

/// The bounds of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerSettings {
    /// For one beyond this the longest idle one without an authenticated caller is closed; without one it is closed at
    /// once, so that a balancer tries the next replica.
    pub(crate) max_connections: usize,
    /// The same for each address of a caller, which no trusted proxy is. None: they are not counted.
    pub(crate) max_connections_per_address: Option<usize>,
    /// Bytes that connections may take together, each reckoned at what it may need.
    pub(crate) max_connection_memory: usize,
    /// Requests beyond this wait, on one connection of HTTP/2.
    pub(crate) max_streams: u32,
    /// How long a request's head may take from its first byte, or a connection until its first request. A TLS
    /// handshake has the same time once more, a PROXY header before it included.
    pub(crate) header_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub(crate) idle_timeout: Duration,
    /// The same while nobody has authenticated on it, where callers' addresses are known.
    pub(crate) unauthenticated_idle_timeout: Duration,
    /// How long requests under way may take to end once the server is to stop.
    pub(crate) drain_timeout: Duration,
    /// Whether each connection begins with a PROXY header, and comes from somebody whose word is taken.
    pub(crate) proxy_protocol: bool,
    /// Whether a connection's address is its caller's, if no trusted proxy's.
    pub(crate) knows_addresses: bool,
}

impl ServerSettings {
    pub(super) fn patience(&self) -> Patience {
        Patience {
            header: self.header_timeout,
            idle: self.idle_timeout,
            stranger: self.unauthenticated_idle_timeout,
        }
    }
}

#[cfg(test)]
impl ServerSettings {
    pub(super) fn for_tests() -> Self {
        Self {
            max_connections: 100,
            max_connections_per_address: None,
            max_connection_memory: 1 << 30,
            max_streams: 128,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            unauthenticated_idle_timeout: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(20),
            proxy_protocol: false,
            knows_addresses: true,
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

/// What a connection is reckoned to take at the least: its task, and the buffers that hyper has once there is a request.
const MEMORY: usize = 16 * 1024;
/// What TLS adds to it.
const TLS_MEMORY: usize = 24 * 1024;
/// And in its handshake, whose messages may be so long, and come in pieces.
const HANDSHAKE_MEMORY: usize = 64 * 1024;
/// How long a new connection waits for one that is closed for it. It only needs to be told.
const ROOM_TIMEOUT: Duration = Duration::from_millis(100);
/// How long a connection has for its first request once the server is to stop. What waits here was sent to us when
/// we still took connections.
const LATE: Duration = Duration::from_secs(1);

/// When a connection is to end.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// What is under way is finished, and nothing new is taken.
    pub(super) drain: CancellationToken,
    /// At once.
    pub(super) cut: CancellationToken,
}

impl Stop {
    /// Resolves when it is too late for a first request.
    pub(super) async fn too_late(&self) {
        self.drain.cancelled().await;
        tokio::time::sleep(LATE).await;
    }
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
    let stop = Stop { drain: shutdown, cut: CancellationToken::new() };
    let bounds = Bounds {
        per_address: settings.max_connections_per_address,
        memory: settings.max_connection_memory,
    };
    let server = Server {
        slots: Arc::new(Semaphore::new(settings.max_connections)),
        table: ConnectionTable::new(bounds, counts.clone()),
        connections: TaskTracker::new(),
        tls,
        answers,
        settings,
        counts,
        stop: stop.clone(),
    };
    loop {
        let accepted = tokio::select! {
            () = stop.drain.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => server.take(stream, address).await,
            Err(error) => {
                // Out of file descriptors, most likely: retrying at once would only burn CPU, and log.
                tracing::warn!(error.message = %error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
    for (stream, address) in listener::close(listener) {
        server.take(stream, address).await;
    }
    let connections = &server.connections;
    connections.close();
    if tokio::time::timeout(settings.drain_timeout, connections.wait()).await.is_err() {
        tracing::warn!(
            server.connections = connections.len(),
            "the drain's deadline has passed, connections are cut"
        );
        stop.cut.cancel();
        connections.wait().await;
    }
}

/// What a listener's connections have in common.
struct Server<A> {
    slots: Arc<Semaphore>,
    table: ConnectionTable,
    connections: TaskTracker,
    tls: Option<Tls>,
    answers: A,
    settings: ServerSettings,
    counts: Connections,
    stop: Stop,
}

impl<A: Answers> Server<A> {
    /// Serves a connection that was accepted, if there is room for it or can be made.
    async fn take(&self, stream: TcpStream, address: SocketAddr) {
        let Some(slot) = self.slot().await else { return self.counts.refused(Bound::Server) };
        let entry = match self.table.open(MEMORY) {
            Ok(entry) => entry,
            Err(Full(bound)) => return self.counts.refused(bound),
        };
        let (tls, answers, stop) = (self.tls.clone(), self.answers.clone(), self.stop.clone());
        let (settings, counts) = (self.settings, self.counts.clone());
        self.connections.spawn(async move {
            counts.open.inc();
            // Made where it is awaited: moved in from outside, idle connections would keep room for it twice.
            let ended =
                connection(stream, address, tls, answers, settings, stop, &entry, &counts).await;
            counts.open.dec();
            if ended == Ended::Malformed {
                counts.malformed.inc();
            }
            drop((entry, slot));
        });
    }

    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        if !self.table.make_room() {
            return None;
        }
        let slot = Arc::clone(&self.slots).acquire_owned();
        tokio::time::timeout(ROOM_TIMEOUT, slot).await.ok()?.ok()
    }
}

#[expect(clippy::too_many_arguments, reason = "each is one thing, and all are needed")]
async fn connection<A: Answers>(
    mut stream: TcpStream,
    mut address: SocketAddr,
    tls: Option<Tls>,
    answers: A,
    settings: ServerSettings,
    stop: Stop,
    entry: &Entry,
    counts: &Connections,
) -> Ended {
    // Answers are one small write each; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let deadline = Instant::now() + settings.header_timeout;
    let open = Arc::clone(entry.connection());
    if settings.proxy_protocol {
        // Boxed, as is all that is not part of every connection: hyper's room is what idle ones keep.
        let source = Box::pin(source(&mut stream, address, &answers, deadline));
        match in_time(source, &stop, &open).await {
            Some(Ok(source)) => address = source,
            Some(Err(why)) => {
                counts.transport.proxy_protocol_error(why);
                return Ended::Well;
            }
            None => return Ended::Well,
        }
    }
    if settings.knows_addresses
        && !answers.trusts(address.ip().to_canonical())
        && let Err(Full(bound)) = entry.join(address.ip())
    {
        counts.refused(bound);
        return Ended::Well;
    }
    match tls {
        None => http1::serve(stream, Peer::plain(address), answers, settings, stop, open).await,
        Some(tls) => {
            if let Err(Full(bound)) = open.charge(TLS_MEMORY + HANDSHAKE_MEMORY) {
                counts.refused(bound);
                return Ended::Well;
            }
            Box::pin(secured(stream, address, tls, answers, settings, stop, open, deadline)).await
        }
    }
}

/// What comes before HTTP, unless it is too late for it or there is no room any more.
async fn in_time<T>(
    before: impl Future<Output = T>,
    stop: &Stop,
    open: &OpenConnection,
) -> Option<T> {
    tokio::select! {
        done = before => Some(done),
        () = stop.too_late() => None,
        () = open.evicted() => None,
    }
}

/// Whose connection it is, by the word of a trusted proxy and nobody else's.
async fn source<A: Answers>(
    stream: &mut TcpStream,
    proxy: SocketAddr,
    answers: &A,
    deadline: Instant,
) -> Result<SocketAddr, ProxyProtocolError> {
    if !answers.trusts(proxy.ip().to_canonical()) {
        return Err(ProxyProtocolError::Untrusted);
    }
    proxy_protocol::source(stream, proxy, deadline).await
}

#[expect(clippy::too_many_arguments, reason = "each is one thing, and all are needed")]
async fn secured<A: Answers>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Tls,
    answers: A,
    settings: ServerSettings,
    stop: Stop,
    open: Arc<OpenConnection>,
    deadline: Instant,
) -> Ended {
    let secured = in_time(tls.secure(stream, deadline), &stop, &open).await.flatten();
    let Some(Secured { stream, session, speaks_http2 }) = secured else { return Ended::Well };
    open.release(HANDSHAKE_MEMORY);
    let peer = Peer::secure(address, session);
    if speaks_http2 {
        http2::serve(stream, peer, answers, settings, stop, open).await
    } else {
        http1::serve(stream, peer, answers, settings, stop, open).await
    }
}

/// The body in axum's terms, which puts all but an empty one in a box.
pub(super) fn body(incoming: Incoming) -> Body {
    if incoming.is_end_stream() { Body::empty() } else { Body::new(incoming) }
}
