//! HTTP/1.1 on one connection.

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

use super::accept::{Answers, Ended, MAX_HEAD_BYTES, ServerSettings, Stop, body};
use super::connection::{Phase, Watched};
use super::connection_table::OpenConnection;
use super::peer::Peer;

const MAX_HEADERS: usize = 64;

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
    let phase = Phase::new(Arc::clone(&open));
    let mut stream = Watched::new(stream, Arc::clone(&phase), settings.patience());
    let first = tokio::select! {
        first = stream.has_first_head() => first,
        // What was sent before it was known that we stop is still answered.
        () = stop.too_late() => false,
        () = open.evicted() => false,
    };
    if !first {
        return Ended::Well;
    }
    let requested = Arc::clone(&open);
    let service = service_fn(move |request: Request<Incoming>| {
        let length = request.body().size_hint().exact();
        let error = phase.handling(length);
        let (answers, phase, peer) = (answers.clone(), Arc::clone(&phase), Arc::clone(&peer));
        let open = Arc::clone(&requested);
        let mut request = request.map(body);
        if let Some(error) = error {
            request.extensions_mut().insert(error);
        }
        // Boxed, because hyper keeps the room for it while a connection is idle.
        Box::pin(async move {
            let mut answer = answers.answer(request, Arc::clone(&peer)).await;
            // Where a body ends that says so itself hyper knows and we do not, so none may come behind it. Behind a
            // head that two could read differently there may be anything.
            if length.is_none() || error.is_some() || peer.has_ended() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            if peer.is_proven() {
                open.authenticated();
            }
            phase.idle();
            Ok::<_, Infallible>(answer)
        })
    });
    // Without hyper's own time-out: `Watched` ends what takes too long. Boxed, as it is needed from here on only.
    let connection = http1::Builder::new()
        .header_read_timeout(None)
        // Copying one kilobyte behind its head is less than gathering the two.
        .writev(false)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = Box::pin(connection);
    let parting = tokio::select! {
        // In this order: hyper closes at once what has not been read from yet, and a request is here.
        biased;
        ended = &mut connection => return of(ended),
        () = stop.drain.cancelled() => Duration::MAX,
        // Unless a request has just come that is still answered.
        () = open.evicted() => match open.is_busy() {
            false => return Ended::Well,
            true => settings.header_timeout,
        },
    };
    connection.as_mut().graceful_shutdown();
    // Only who drains is cut, so who serves need not look for it.
    let parted = tokio::time::timeout(parting, connection);
    match stop.cut.run_until_cancelled(parted).await {
        Some(Ok(ended)) => of(ended),
        Some(Err(_)) | None => Ended::Well,
    }
}

/// Phones come and go; only what was no HTTP is worth counting.
fn of(ended: hyper::Result<()>) -> Ended {
    match ended {
        Err(error) if error.is_parse() => Ended::Malformed,
        Ok(()) | Err(_) => Ended::Well,
    }
}
