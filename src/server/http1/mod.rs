//! HTTP/1.1 on one connection.

mod chunked;
mod head_buffer;
mod request_state;
mod timeout_stream;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use chunked::ChunkedError;

use super::connection_table::OpenConnection;
use super::handler::{ConnectionHandler, Outcome, Shutdown, body};
use super::peer::Peer;
use super::settings::{MAX_HEAD_BYTES, ServerSettings};
use request_state::RequestState;
use timeout_stream::TimeoutStream;

const MAX_HEADERS: usize = 64;

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
    let state = RequestState::new(Arc::clone(&open));
    let mut stream = TimeoutStream::new(stream, Arc::clone(&state), settings.timeouts());
    let has_request = tokio::select! {
        has_head = stream.has_first_head() => has_head,
        // A request that was sent before the client could notice the shutdown is still answered.
        () = shutdown.first_request_overdue() => false,
        () = open.evicted() => false,
    };
    if !has_request {
        return Outcome::Closed;
    }
    let entry = Arc::clone(&open);
    let service = service_fn(move |request: Request<Incoming>| {
        let length = request.body().size_hint().exact();
        let error = state.begin_request(length);
        let (handler, state, peer) = (handler.clone(), Arc::clone(&state), Arc::clone(&peer));
        let open = Arc::clone(&entry);
        let mut request = request.map(body);
        if let Some(error) = error {
            request.extensions_mut().insert(error);
        }
        // Boxed, because hyper holds memory for this future while a connection is idle.
        Box::pin(async move {
            let mut response = handler.handle(request, Arc::clone(&peer)).await;
            // Only hyper knows where a body of unknown length ends, so no request may follow it. After an ambiguous
            // head the next bytes may be anything.
            if length.is_none() || error.is_some() || peer.certificate_expired() {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if peer.is_authenticated() {
                open.mark_authenticated();
            }
            state.end_request();
            Ok::<_, Infallible>(response)
        })
    });
    // hyper's own time-out is off: `TimeoutStream` has the time-outs. Boxed, because it is needed from here on only.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        // Copying a body of one kilobyte behind its head costs less than a vectored write.
        .writev(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = Box::pin(connection);
    let drain_timeout = tokio::select! {
        // In this order: hyper closes a connection at once that it has not read from yet, and a request has arrived.
        biased;
        ended = &mut connection => return outcome(ended),
        () = shutdown.drain.cancelled() => Duration::MAX,
        // A request that has just arrived is still answered.
        () = open.evicted() => if open.is_busy() { settings.header_timeout } else { return Outcome::Closed },
    };
    connection.as_mut().graceful_shutdown();
    // `abort` is only cancelled while draining, so nothing above watches it.
    let drained = tokio::time::timeout(drain_timeout, connection);
    match shutdown.abort.run_until_cancelled(drained).await {
        Some(Ok(ended)) => outcome(ended),
        Some(Err(_)) | None => Outcome::Closed,
    }
}

/// Mobile clients disconnect at any time; only invalid HTTP is worth counting.
fn outcome(ended: hyper::Result<()>) -> Outcome {
    match ended {
        Err(error) if error.is_parse() => Outcome::Malformed,
        Ok(()) | Err(_) => Outcome::Closed,
    }
}
