//! HTTP/2 on one connection: the same handler, many requests at a time, with limits of its own.

mod streams;

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection_table::OpenConnection;
use super::framing;
use super::handler::{ConnectionHandler, Outcome, Shutdown, body};
use super::peer::Peer;
use super::settings::{MAX_HEAD_BYTES, ServerSettings};
use streams::{CloseReason, Streams};

/// The bytes that a stream may send before they are read. A body has at most 16 KiB; the rest lets a longer one be detected.
const STREAM_WINDOW: u32 = 32 * 1024;
/// The same for all streams together: about the minimum that the protocol allows.
const CONNECTION_WINDOW: u32 = 64 * 1024;
/// The bytes that may wait to be written on one stream: an answer has a few kilobytes.
const SEND_BUFFER: usize = 32 * 1024;
/// Streams that the client resets before we have accepted them. Beyond it the connection ends (CVE-2023-44487, "Rapid
/// Reset").
const MAX_PENDING_RESETS: usize = 20;
/// Streams that we reset for their errors. Beyond it the connection ends.
const MAX_LOCAL_RESETS: usize = 64;
/// The estimated memory of a connection beyond one of HTTP/1.1: its tables, and data that streams have sent.
const MEMORY: usize = 16 * 1024;
/// How often a connection is pinged; a client that lost its network does not close it.
const PING_INTERVAL: Duration = Duration::from_secs(30);

pub(super) async fn serve<S, H>(
    stream: S,
    peer: Arc<Peer>,
    handler: H,
    settings: ServerSettings,
    shutdown: Shutdown,
    open: Arc<OpenConnection>,
) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: ConnectionHandler,
{
    if open.charge(MEMORY).is_err() {
        return Outcome::Closed;
    }
    let streams = Streams::new(Arc::clone(&open));
    let (opened, entry) = (Arc::clone(&streams), Arc::clone(&open));
    let service = service_fn(move |request: Request<Incoming>| {
        let active = opened.begin();
        let (handler, peer, open) = (handler.clone(), Arc::clone(&peer), Arc::clone(&entry));
        let mut request = request.map(body);
        if let Some(error) = framing::check_http2(&request) {
            request.extensions_mut().insert(error);
        }
        async move {
            let response = handler.handle(request, Arc::clone(&peer)).await;
            if peer.is_authenticated() {
                open.mark_authenticated();
            }
            active.answered();
            if peer.certificate_expired() {
                open.close();
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(u32::try_from(MAX_HEAD_BYTES).expect("some KiB"))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(settings.header_timeout)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let reason = tokio::select! {
        ended = &mut connection => return outcome(ended),
        () = shutdown.drain.cancelled() => None,
        reason = streams.close_reason(settings.timeouts()) => Some(reason),
        () = open.evicted() => Some(CloseReason::Idle),
    };
    let drain_timeout = match reason {
        None => Duration::MAX,
        // A GOAWAY has no use for a client without requests, and a flooding client ignores it.
        Some(CloseReason::NoRequest) => return Outcome::Closed,
        Some(CloseReason::Flooding) => return Outcome::Malformed,
        Some(CloseReason::Idle) => settings.header_timeout,
    };
    // Sends GOAWAY: open requests are finished, the client sends further ones elsewhere.
    connection.as_mut().graceful_shutdown();
    let drained = tokio::time::timeout(drain_timeout, connection);
    match shutdown.abort.run_until_cancelled(drained).await {
        Some(Ok(ended)) => outcome(ended),
        Some(Err(_)) | None => Outcome::Closed,
    }
}

/// Mobile clients disconnect at any time; only a violation of the protocol or of a limit of ours is worth counting.
fn outcome(ended: hyper::Result<()>) -> Outcome {
    let Err(error) = ended else { return Outcome::Closed };
    let error = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    match error {
        Some(error) if !error.is_io() && !error.is_remote() => Outcome::Malformed,
        Some(_) | None => Outcome::Closed,
    }
}
