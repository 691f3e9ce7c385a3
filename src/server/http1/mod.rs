//! HTTP/1.1 on one connection.

mod chunked;
mod head_buffer;
mod request_state;
mod timeout_stream;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

pub(crate) use chunked::ChunkedError;

use super::connection_table::OpenConnection;
use super::handler::{ConnectionHandler, Outcome, Shutdown, body};
use super::peer::Peer;
use super::settings::{MAX_HEAD_BYTES, ServerSettings};
use request_state::RequestState;
use timeout_stream::TimeoutStream;

const MAX_HEADERS: usize = 64;

/// Serves the connection to its end. While it is idle for longer than a moment it rests: hyper, which would keep 16 KiB of
/// buffers, is dropped, and begins anew with the next head.
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
    let mut has_rested = false;
    loop {
        let closing = async {
            if has_rested {
                shutdown.drain.cancelled().await;
            } else {
                // A request that was sent before the client could notice the shutdown is still answered.
                shutdown.first_request_overdue().await;
            }
        };
        let has_request = tokio::select! {
            biased;
            has_head = stream.has_head() => has_head,
            () = closing => false,
            () = open.evicted() => false,
        };
        if !has_request {
            return Outcome::Closed;
        }
        let service = service(handler.clone(), Arc::clone(&state), Arc::clone(&peer));
        // hyper's own time-out is off: `TimeoutStream` has the time-outs. Boxed, because it is needed from here on only.
        let mut connection = Box::new(
            http1::Builder::new()
                .header_read_timeout(None)
                // Copying a body of one kilobyte behind its head costs less than a vectored write.
                .writev(false)
                .max_buf_size(MAX_HEAD_BYTES)
                .max_headers(MAX_HEADERS)
                .serve_connection(TokioIo::new(stream), service),
        );
        let drain_timeout = tokio::select! {
            // In this order: hyper closes a connection at once that it has not read from yet, and a request has arrived.
            biased;
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                if let Err(error) = ended {
                    return outcome(error);
                }
                stream = connection.into_parts().io.into_inner();
                if !stream.is_resting() {
                    // TLS says so; whether the peer hears it makes no difference.
                    let _ = stream.shutdown().await;
                    return Outcome::Closed;
                }
                has_rested = true;
                continue;
            }
            () = shutdown.drain.cancelled() => Duration::MAX,
            // A request that has just arrived is still answered.
            () = open.evicted() => if open.is_busy() { settings.header_timeout } else { return Outcome::Closed },
        };
        let mut connection = Pin::new(connection);
        connection.as_mut().graceful_shutdown();
        // `abort` is only cancelled while draining, so nothing above watches it.
        let drained = tokio::time::timeout(drain_timeout, connection);
        return match shutdown.abort.run_until_cancelled(drained).await {
            Some(Ok(Err(error))) => outcome(error),
            Some(Ok(Ok(())) | Err(_)) | None => Outcome::Closed,
        };
    }
}

/// Handles the requests of one connection, one after the other.
fn service<H: ConnectionHandler>(
    handler: H,
    state: Arc<RequestState>,
    peer: Arc<Peer>,
) -> impl HttpService<Incoming, ResBody = axum::body::Body, Error = Infallible, Future: Send + Unpin>
+ Unpin {
    service_fn(move |request: Request<Incoming>| {
        let length = request.body().size_hint().exact();
        let error = state.begin_request(length);
        let (handler, state, peer) = (handler.clone(), Arc::clone(&state), Arc::clone(&peer));
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
                state.connection().mark_authenticated();
            }
            state.end_request();
            Ok::<_, Infallible>(response)
        })
    })
}

/// Mobile clients disconnect at any time; only invalid HTTP is worth counting.
fn outcome(error: hyper::Error) -> Outcome {
    if error.is_parse() { Outcome::Malformed } else { Outcome::Closed }
}

#[cfg(test)]
mod tests;
