//! Builds the server from its settings and runs it. No other layer constructs the parts.

mod access_key;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_http2;
mod grant_changes;
mod identity_renewal;
mod reload;
mod revocations;
mod rules;
mod start;
mod start_error;
mod upstream;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::http::{self, ActiveConfig, Api, Readiness};
use crate::server::{self, ServerSettings, Tls};
#[cfg(feature = "emulator")]
use crate::telemetry::Metrics;
use crate::telemetry::{Connections, Exporter, LogFilter};
use crate::vend::KeyRefused;
use access_key::KeyVerifier;
use identity_renewal::IdentityRenewer;
use reload::Reloader;
use revocations::{Enforcement, FileWatch, SharedWatch};

pub(crate) use grant_changes::{ChangeKind, GrantChange};
pub use reload::Reloads;
pub use start_error::StartError;

/// A server that is bound to its two addresses and does not serve yet.
#[derive(Debug)]
pub struct App {
    public: TcpListener,
    admin: TcpListener,
    api: Arc<Api>,
    readiness: Arc<Readiness>,
    active_config: Arc<ActiveConfig>,
    server: ServerSettings,
    tls: Option<Tls>,
    lame_duck: Duration,
    prompt: CancellationToken,
    reloader: Reloader,
    reloads: Reloads,
    /// One for each upstream.
    key_verifiers: Vec<KeyVerifier>,
    /// For upstreams with temporary credentials.
    identity_renewers: Vec<IdentityRenewer>,
    enforcement: Enforcement,
    /// Of `revoked.file`, if there is one.
    revoked_file: Option<FileWatch>,
    /// Of the list that replicas share, if they share anything.
    shared_revocations: Option<SharedWatch>,
    exporter: Option<Exporter>,
    ready: CancellationToken,
    #[cfg(feature = "emulator")]
    pages: Option<axum::Router>,
}

/// The AccessKey must not be used, which ends the server.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(#[from] KeyRefused);

/// Enough for probes, a scraper and an operator. Beyond it the longest idle connection is closed.
const ADMIN_CONNECTIONS: usize = 64;
/// One address must not displace all others.
const ADMIN_CONNECTIONS_PER_ADDRESS: usize = ADMIN_CONNECTIONS / 2;
/// Enough for a long head on each; separate from the public listener's memory.
const ADMIN_MEMORY: usize = ADMIN_CONNECTIONS * 48 * 1024;
/// The most that the admin listener adds to a stop after the public one is drained.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

impl App {
    /// Makes reloads change the filter of this log, which is the process's, and counts its dropped lines.
    pub(crate) fn with_log(mut self, log: LogFilter) -> Self {
        self.api.metrics.log.follow(log.dropped());
        self.reloader.log = Some(log);
        self
    }

    /// Serves these routes below `/dev`; only `appserver dev` has them.
    #[cfg(feature = "emulator")]
    pub(crate) fn with_pages(self, pages: axum::Router) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// The server's metrics.
    #[cfg(feature = "emulator")]
    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.api.metrics)
    }

    /// The public listener's address, with the actual port where 0 was configured.
    pub fn public_addr(&self) -> SocketAddr {
        self.public.local_addr().expect("a bound listener has an address")
    }

    /// The admin listener's address.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr().expect("a bound listener has an address")
    }

    /// Cancelled once the server vends.
    pub fn ready(&self) -> CancellationToken {
        self.ready.clone()
    }

    /// Cancel it to skip the lame-duck period, where no load balancer must notice a stop.
    pub fn prompt(&self) -> CancellationToken {
        self.prompt.clone()
    }

    /// A handle that reloads the configuration.
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Serves until `stop`, then drains; ends early if the AccessKey must not be used.
    ///
    /// Both listeners answer from the start, so that probes see a live process; nothing is vended until STS has verified
    /// the AccessKey.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Unfit> {
        let public_addr = self.public_addr();
        #[cfg(feature = "emulator")]
        let public_router =
            http::WithDevPages::new(http::router(Arc::clone(&self.api)), self.pages);
        #[cfg(not(feature = "emulator"))]
        let public_router = http::router(Arc::clone(&self.api));
        let Self {
            public,
            admin,
            api,
            readiness,
            active_config,
            server,
            tls,
            lame_duck,
            prompt,
            reloader,
            key_verifiers,
            identity_renewers,
            enforcement,
            revoked_file,
            shared_revocations,
            exporter,
            ready,
            ..
        } = self;
        let metrics = Arc::clone(&api.metrics);
        let closing = CancellationToken::new();
        let admin_router =
            http::admin_router(Arc::clone(&readiness), Arc::clone(&metrics), active_config);
        // The admin listener stops last: probes are answered until the drain is over.
        let admin_stop = CancellationToken::new();
        // Its connections are not counted as callers' connections.
        let uncounted = Connections::default();
        let admin_settings = ServerSettings {
            max_connections: ADMIN_CONNECTIONS,
            max_connections_per_address: Some(ADMIN_CONNECTIONS_PER_ADDRESS),
            max_connection_memory: ADMIN_MEMORY,
            knows_addresses: true,
            // No one authenticates on this listener.
            unauthenticated_idle_timeout: server.idle_timeout,
            drain_timeout: ADMIN_DRAIN.min(server.drain_timeout),
            proxy_protocol: false,
            ..server
        };
        let admin_server = tokio::spawn(server::serve(
            admin,
            None,
            admin_router,
            admin_settings,
            uncounted,
            admin_stop.clone(),
        ));
        let counted = metrics.connections.clone();
        let public_server = tokio::spawn(server::serve(
            public,
            tls,
            public_router,
            server,
            counted,
            closing.clone(),
        ));
        tracing::info!(listen.address = %public_addr, "serving");

        let stop_exporter = CancellationToken::new();
        let exporter = exporter.map(|exporter| tokio::spawn(exporter.run(stop_exporter.clone())));
        let reloader = tokio::spawn(reloader.run());
        let file_watch = revoked_file.map(|watch| tokio::spawn(watch.run(enforcement.clone())));
        let shared_watch = shared_revocations.map(|watch| tokio::spawn(watch.run(enforcement)));
        let stop_deliveries = CancellationToken::new();
        let deliveries = tokio::spawn(Arc::clone(&api.callbacks).run(stop_deliveries.clone()));
        let renewers: Vec<_> =
            identity_renewers.into_iter().map(|renewer| tokio::spawn(renewer.run())).collect();
        // Each ends only if its first key must not be used.
        let verifiers = try_join_all(key_verifiers.into_iter().map(KeyVerifier::run));
        let unfit = stop.run_until_cancelled(verifiers).await;
        reloader.abort();
        renewers.iter().for_each(tokio::task::JoinHandle::abort);
        let verified = unfit.unwrap_or(Ok(Vec::new()));
        if verified.is_ok() {
            tracing::info!("stopping; /readyz answers 503, requests in progress are completed");
        }
        let began = Instant::now();
        readiness.drain();
        // Load balancers never used a server that was not ready.
        if ready.is_cancelled() {
            prompt.run_until_cancelled(tokio::time::sleep(lame_duck)).await;
        }
        closing.cancel();
        let _ = public_server.await;
        // Requests in progress were checked until now.
        file_watch.iter().chain(&shared_watch).for_each(tokio::task::JoinHandle::abort);
        // Before the audit closes: what is delivered until now is still recorded.
        stop_deliveries.cancel();
        let _ = deliveries.await;
        api.audit.close().await;
        // Spans that ended until now are still exported.
        stop_exporter.cancel();
        if let Some(exporter) = exporter {
            let _ = exporter.await;
        }
        admin_stop.cancel();
        let _ = admin_server.await;
        verified?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(stop.took_ms = took_ms, "stopped");
        Ok(())
    }
}
