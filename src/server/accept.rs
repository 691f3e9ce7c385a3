//! The accept loop: it bounds the number and memory of connections, which `axum::serve` does not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, CONNECTION_MEMORY};
use super::connection_table::{ConnectionTable, LimitReached, Limits};
use super::handler::{ConnectionHandler, Outcome, Shutdown};
use super::listener;
use super::settings::ServerSettings;
use super::tls::Tls;
use crate::telemetry::{ConnectionLimit, Connections};

/// How long a new connection waits for an evicted one to end. Eviction only has to wake its task.
const EVICTION_TIMEOUT: Duration = Duration::from_millis(100);
/// The most likely accept error is a lack of file descriptors: retrying at once would only use CPU and fill the log.
const ACCEPT_RETRY: Duration = Duration::from_millis(500);

/// Serves until `shutdown`, then finishes open requests and returns.
pub(crate) async fn serve<H: ConnectionHandler>(
    listener: TcpListener,
    tls: Option<Tls>,
    handler: H,
    settings: ServerSettings,
    metrics: Connections,
    shutdown: CancellationToken,
) {
    let shutdown = Shutdown { drain: shutdown, abort: CancellationToken::new() };
    let limits = Limits {
        per_address: settings.max_connections_per_address,
        memory: settings.max_connection_memory,
    };
    let server = Server {
        slots: Arc::new(Semaphore::new(settings.max_connections)),
        table: ConnectionTable::new(limits, metrics.clone()),
        tasks: TaskTracker::new(),
        tls,
        handler,
        settings,
        metrics,
        shutdown: shutdown.clone(),
    };
    loop {
        let accepted = tokio::select! {
            () = shutdown.drain.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => server.admit(stream, address).await,
            Err(error) => {
                tracing::warn!(error.message = %error, "connection not accepted; trying again");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    for (stream, address) in listener::close(listener) {
        server.admit(stream, address).await;
    }
    let tasks = &server.tasks;
    tasks.close();
    if tokio::time::timeout(settings.drain_timeout, tasks.wait()).await.is_err() {
        tracing::warn!(
            server.connections = tasks.len(),
            "drain timed out; closing the remaining connections"
        );
        shutdown.abort.cancel();
        tasks.wait().await;
    }
}

/// What all connections of a listener share.
struct Server<H> {
    slots: Arc<Semaphore>,
    table: ConnectionTable,
    tasks: TaskTracker,
    tls: Option<Tls>,
    handler: H,
    settings: ServerSettings,
    metrics: Connections,
    shutdown: Shutdown,
}

impl<H: ConnectionHandler> Server<H> {
    /// Serves an accepted connection in a task of its own, if the limits allow it or an idle connection can be evicted.
    async fn admit(&self, stream: TcpStream, address: SocketAddr) {
        let Some(slot) = self.slot().await else {
            return self.metrics.refused(ConnectionLimit::Server);
        };
        let entry = match self.table.open(CONNECTION_MEMORY) {
            Ok(entry) => entry,
            Err(LimitReached(limit)) => return self.metrics.refused(limit),
        };
        let (tls, handler, shutdown) =
            (self.tls.clone(), self.handler.clone(), self.shutdown.clone());
        let (settings, metrics) = (self.settings, self.metrics.clone());
        self.tasks.spawn(async move {
            metrics.open.inc();
            // The future is created where it is awaited: if it were moved in, idle connections would hold its memory twice.
            let outcome = connection::serve(
                stream, address, tls, handler, settings, shutdown, &entry, &metrics,
            )
            .await;
            metrics.open.dec();
            if outcome == Outcome::Malformed {
                metrics.malformed.inc();
            }
            drop((entry, slot));
        });
    }

    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(slot);
        }
        if !self.table.evict_for_new() {
            return None;
        }
        let slot = Arc::clone(&self.slots).acquire_owned();
        tokio::time::timeout(EVICTION_TIMEOUT, slot).await.ok()?.ok()
    }
}
