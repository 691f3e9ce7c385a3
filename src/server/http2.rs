//! HTTP/2 on one connection: the same answers, many at a time, within bounds of its own.

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

use super::accept::{Answers, Ended, MAX_HEAD_BYTES, ServerSettings, Stop, body};
use super::connection_table::OpenConnection;
use super::framing;
use super::peer::Peer;
use super::streams::{Streams, Unwanted};

/// What a stream may send before it is read: a body is at most 16 KiB, and a little more is seen to be too much.
const STREAM_WINDOW: u32 = 32 * 1024;
/// The same for all streams together; the protocol's own least.
const CONNECTION_WINDOW: u32 = 64 * 1024;
/// What waits to be written for one stream: an answer has a few kilobytes.
const SEND_BUFFER: usize = 32 * 1024;
/// Streams that were reset before we have seen them. Beyond it the connection ends (CVE-2023-44487, "Rapid Reset").
const RESET_UNSEEN: usize = 20;
/// Streams that we had to reset for their errors. Beyond it the connection ends.
const RESET_FOR_ERRORS: usize = 64;
/// What a connection is reckoned to take beyond one of HTTP/1.1: its tables, and what streams have sent.
const MEMORY: usize = 16 * 1024;
/// How often a connection is asked whether anybody is left; a phone that lost its network does not say so.
const PING_EVERY: Duration = Duration::from_secs(30);

pub(super) async fn serve<S, A>(
    stream: S,
    peer: Arc<Peer>,
    answers: A,
    settings: ServerSettings,
    stop: Stop,
    open: Arc<OpenConnection>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answers,
{
    if open.charge(MEMORY).is_err() {
        return Ended::Well;
    }
    let streams = Streams::new(Arc::clone(&open));
    let opened = Arc::clone(&streams);
    let proven = Arc::clone(&open);
    let service = service_fn(move |request: Request<Incoming>| {
        let under_way = opened.begin();
        let (answers, peer, open) = (answers.clone(), Arc::clone(&peer), Arc::clone(&proven));
        let mut request = request.map(body);
        if let Some(error) = framing::check_http2(&request) {
            request.extensions_mut().insert(error);
        }
        async move {
            let answer = answers.answer(request, Arc::clone(&peer)).await;
            if peer.is_proven() {
                open.authenticated();
            }
            under_way.answered();
            if peer.has_ended() {
                open.close();
            }
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(settings.max_streams)
        .max_header_list_size(MAX_HEAD_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESET_UNSEEN)
        .max_local_error_reset_streams(RESET_FOR_ERRORS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(settings.header_timeout)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let unwanted = tokio::select! {
        ended = &mut connection => return of(ended),
        () = stop.drain.cancelled() => None,
        unwanted = streams.unwanted(settings.patience()) => Some(unwanted),
        () = open.evicted() => Some(Unwanted::Idle),
    };
    let parting = match unwanted {
        None => Duration::MAX,
        // A connection without requests has nobody to be told, and one that floods would not listen.
        Some(Unwanted::Silent) => return Ended::Well,
        Some(Unwanted::Flooding) => return Ended::Malformed,
        Some(Unwanted::Idle) => settings.header_timeout,
    };
    // By GOAWAY: what is under way is finished, what comes after it goes elsewhere.
    connection.as_mut().graceful_shutdown();
    let parted = tokio::time::timeout(parting, connection);
    match stop.cut.run_until_cancelled(parted).await {
        Some(Ok(ended)) => of(ended),
        Some(Err(_)) | None => Ended::Well,
    }
}

/// Phones come and go; only what broke the protocol's rules, or a bound of ours, is worth counting.
fn of(ended: hyper::Result<()>) -> Ended {
    let Err(error) = ended else { return Ended::Well };
    let error = error.source().and_then(|source| source.downcast_ref::<h2::Error>());
    match error {
        Some(error) if !error.is_io() && !error.is_remote() => Ended::Malformed,
        Some(_) | None => Ended::Well,
    }
}
