//! What the HTTP/1 and HTTP/2 connections share: the handler of their requests, their shutdown and their outcome.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::{Body as _, Incoming};
use tokio_util::sync::CancellationToken;

use super::peer::Peer;

/// After shutdown begins, how long a connection that was already waiting has for its first request.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Handles the requests of one listener.
///
/// A trait of ours and no tower service: `tower::Service` would box the future of every request.
pub(crate) trait ConnectionHandler: Clone + Send + Sync + Unpin + 'static {
    fn handle(&self, request: Request, peer: Arc<Peer>) -> impl Future<Output = Response> + Send;

    /// Whether this address is a proxy that may name the client of a connection.
    fn trusts_proxy(&self, proxy: IpAddr) -> bool;
}

/// When a connection has to end.
#[derive(Clone, Debug)]
pub(super) struct Shutdown {
    /// Open requests are finished, new ones are not accepted.
    pub(super) drain: CancellationToken,
    /// The connection ends at once.
    pub(super) abort: CancellationToken,
}

impl Shutdown {
    /// Resolves when a connection without a request is no longer waited for.
    pub(super) async fn first_request_overdue(&self) {
        self.drain.cancelled().await;
        tokio::time::sleep(FIRST_REQUEST_GRACE).await;
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// By either side, or by the network.
    Closed,
    /// The peer sent no valid HTTP, or more than a limit allows.
    Malformed,
}

/// The body as axum's type, which boxes every body but an empty one.
pub(super) fn body(incoming: Incoming) -> Body {
    if incoming.is_end_stream() { Body::empty() } else { Body::new(incoming) }
}
