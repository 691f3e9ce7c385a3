//! One accepted connection, up to its first byte of HTTP: PROXY header, client address, TLS handshake, protocol.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client_address::proxy_protocol;
use super::connection_table::{Entry, LimitReached, OpenConnection};
use super::handler::{ConnectionHandler, Outcome, Shutdown};
use super::peer::Peer;
use super::settings::ServerSettings;
use super::tls::{Handshake, Tls};
use super::{http1, http2};
use crate::telemetry::{Connections, ProxyProtocolError};

/// The memory that every connection is estimated at: its task, and hyper's buffers once there is a request.
pub(super) const CONNECTION_MEMORY: usize = 16 * 1024;
/// What TLS adds to it.
const TLS_MEMORY: usize = 24 * 1024;
/// What a handshake adds, whose messages may be this long and arrive in pieces.
const HANDSHAKE_MEMORY: usize = 64 * 1024;

#[expect(clippy::too_many_arguments, reason = "a struct of them would be built once, here")]
pub(super) async fn serve<H: ConnectionHandler>(
    mut stream: TcpStream,
    mut address: SocketAddr,
    tls: Option<Tls>,
    handler: H,
    settings: ServerSettings,
    shutdown: Shutdown,
    entry: &Entry,
    metrics: &Connections,
) -> Outcome {
    // Answers are one small write each; delaying them to collect more gains nothing.
    let _ = stream.set_nodelay(true);
    let deadline = Instant::now() + settings.header_timeout;
    let open = Arc::clone(entry.connection());
    if settings.proxy_protocol {
        // Boxed, like all that not every connection needs: an idle connection holds the memory of its largest state.
        let proxied = Box::pin(proxied_address(&mut stream, address, &handler, deadline));
        match unless_ended(proxied, &shutdown, &open).await {
            Some(Ok(client)) => address = client,
            Some(Err(error)) => {
                metrics.transport.proxy_protocol_error(error);
                return Outcome::Closed;
            }
            None => return Outcome::Closed,
        }
    }
    if settings.knows_addresses
        && !handler.trusts_proxy(address.ip().to_canonical())
        && let Err(LimitReached(limit)) = entry.count_for_address(address.ip())
    {
        metrics.refused(limit);
        return Outcome::Closed;
    }
    match tls {
        None => http1::serve(stream, Peer::plain(address), handler, settings, shutdown, open).await,
        Some(tls) => {
            if let Err(LimitReached(limit)) = open.charge(TLS_MEMORY + HANDSHAKE_MEMORY) {
                metrics.refused(limit);
                return Outcome::Closed;
            }
            Box::pin(serve_tls(stream, address, tls, handler, settings, shutdown, open, deadline))
                .await
        }
    }
}

/// A step before HTTP, unless shutdown or eviction ends the connection first.
async fn unless_ended<T>(
    step: impl Future<Output = T>,
    shutdown: &Shutdown,
    open: &OpenConnection,
) -> Option<T> {
    tokio::select! {
        done = step => Some(done),
        () = shutdown.first_request_overdue() => None,
        () = open.evicted() => None,
    }
}

/// The client's address from the PROXY header of a trusted proxy.
async fn proxied_address<H: ConnectionHandler>(
    stream: &mut TcpStream,
    proxy: SocketAddr,
    handler: &H,
    deadline: Instant,
) -> Result<SocketAddr, ProxyProtocolError> {
    if !handler.trusts_proxy(proxy.ip().to_canonical()) {
        return Err(ProxyProtocolError::Untrusted);
    }
    proxy_protocol::client_address(stream, proxy, deadline).await
}

#[expect(clippy::too_many_arguments, reason = "a struct of them would be built once, here")]
async fn serve_tls<H: ConnectionHandler>(
    stream: TcpStream,
    address: SocketAddr,
    tls: Tls,
    handler: H,
    settings: ServerSettings,
    shutdown: Shutdown,
    open: Arc<OpenConnection>,
    deadline: Instant,
) -> Outcome {
    let handshake = unless_ended(tls.handshake(stream, deadline), &shutdown, &open).await;
    let Some(Handshake { stream, session, is_http2 }) = handshake.flatten() else {
        return Outcome::Closed;
    };
    open.release(HANDSHAKE_MEMORY);
    let peer = Peer::secure(address, session);
    if is_http2 {
        http2::serve(stream, peer, handler, settings, shutdown, open).await
    } else {
        http1::serve(stream, peer, handler, settings, shutdown, open).await
    }
}
