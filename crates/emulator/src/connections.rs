//! Accepts connections, and ends them early where a fault asks for it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long running calls have after a shutdown.
const DRAIN: Duration = Duration::from_secs(2);
/// The wait after a failed accept, for example with too many open files.
const PAUSE: Duration = Duration::from_millis(50);

/// Marks a response that is not sent: the connection is closed instead. `axum::serve` cannot do this, so the accept loop is ours.
#[derive(Clone, Copy)]
pub(crate) struct HangUp;

#[derive(Debug, thiserror::Error)]
#[error("a scripted fault closed the connection")]
struct HungUp;

/// Serves connections until the shutdown.
pub(crate) async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, router.clone(), shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(error.message = %error, "the emulator cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Dropping the set aborts the rest.
    let _ = tokio::time::timeout(DRAIN, drained).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    shutdown: CancellationToken,
) {
    let service =
        service_fn(move |request: Request<Incoming>| answer(router.clone(), peer, request));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error.message = %error, "a connection to the emulator ended early");
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, HungUp> {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    let answered: Result<_, Infallible> = router.oneshot(request).await;
    let response = match answered {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.extensions().get::<HangUp>().is_some() { Err(HungUp) } else { Ok(response) }
}

/// A body of which only the first half is sent.
pub(crate) struct CutBody {
    first_half: Option<Bytes>,
    has_paused: bool,
    whole: u64,
}

impl CutBody {
    pub(crate) fn first_half_of(text: String) -> Self {
        let mut bytes = Bytes::from(text);
        let whole = bytes.len() as u64;
        bytes.truncate(bytes.len() / 2);
        Self { first_half: Some(bytes), has_paused: false, whole }
    }
}

impl HttpBody for CutBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first_half) = self.first_half.take() {
            return Poll::Ready(Some(Ok(Frame::data(first_half))));
        }
        // hyper flushes its buffer when a body is pending, and discards it when a body fails.
        if !std::mem::replace(&mut self.has_paused, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::Error::other(HungUp))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.whole)
    }
}
