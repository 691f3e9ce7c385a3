//! HTTP/1.1 on one connection.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Phase, Watched};
use super::peer::Peer;
use super::server::{Answers, Ended, MAX_HEAD_BYTES, ServerSettings, Stop, body};

const MAX_HEADERS: usize = 64;

pub(super) async fn serve<S, A>(
    stream: S,
    peer: Arc<Peer>,
    answers: A,
    settings: ServerSettings,
    stop: Stop,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    A: Answers,
{
    let phase = Phase::new();
    let stream =
        Watched::new(stream, Arc::clone(&phase), settings.header_timeout, settings.idle_timeout);
    let service = service_fn(move |request: Request<Incoming>| {
        phase.handling();
        let (answers, phase, peer) = (answers.clone(), Arc::clone(&phase), Arc::clone(&peer));
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
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.drain.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // Only who drains is cut, so who serves need not look for it.
            stop.cut.run_until_cancelled(connection).await.unwrap_or(Ok(()))
        }
    };
    match ended {
        // Phones come and go; only what was no HTTP is worth counting.
        Err(error) if error.is_parse() => Ended::Malformed,
        Ok(()) | Err(_) => Ended::Well,
    }
}
