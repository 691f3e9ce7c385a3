//! Builds the server from its settings and runs it. No other layer constructs the parts.

mod access_key;
mod grant_changes;
mod identity_renewal;
mod reload;
mod revocations;
mod rules;
mod upstream;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::try_join_all;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::callback::Callbacks;
use crate::config::{FileReads, Problem, Problems, Secrets, Settings, UpstreamSettings};
use crate::http::{self, ActiveConfig, Api, PublicUrl, Readiness};
use crate::outbound::EgressByTarget;
use crate::revocation::Revocations;
use crate::server::{self, ServerSettings, Tls};
use crate::store::Store;
use crate::telemetry::{Connections, Exporter, LogFilter, Metrics, Traces};
use crate::vend::{Budgets, KeyRefused, Vendors};
use access_key::KeyVerifier;
use appserver_domain::clock::Clock;
use appserver_domain::{AccessKeyId, Upstreams};
use identity_renewal::IdentityRenewer;
use reload::Reloader;
use revocations::{Enforcement, FileWatch, SharedWatch};
use upstream::Upstream;
use watch::Watch;

pub(crate) use grant_changes::{ChangeKind, GrantChange};
pub use reload::Reloads;

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

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is in use or not available on this machine.
    #[error("cannot listen on {address} ({key})")]
    Listen {
        /// The configuration's key for the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The AccessKey or another secret cannot be read.
    #[error(transparent)]
    Secrets(#[from] Problems),
    /// The store cannot be used, and a retry would not help.
    #[error("the store cannot be used")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system's CA certificates cannot be loaded, so STS cannot be authenticated.
    #[error("TLS to STS cannot be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the source of the credentials that sign.
    #[error("TLS to the source of credentials cannot be set up (`sts.identity`)")]
    IdentityTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the issuers of JWTs.
    #[error("TLS to the issuers cannot be set up")]
    IssuersTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for OSS and the backends of uploads.
    #[error("TLS for callbacks of uploads cannot be set up")]
    UploadsTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the decision hook.
    #[error("TLS to the decision hook cannot be set up")]
    DecisionTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same for the collector of traces.
    #[error("TLS to the trace collector cannot be set up")]
    Tracing(#[source] Box<dyn std::error::Error + Send + Sync>),
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
const ADMIN_BACKLOG: u32 = 128;
/// The most that the admin listener adds to a stop after the public one is drained.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

impl App {
    /// Binds the addresses and builds the server.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        // On another thread: a file that hangs must not delay a stop.
        let at = clock.clone();
        let read = spawn_blocking(move || {
            let revoked = settings.revoked.clone().map(|file| FileWatch::start(file, &at));
            (settings.read_secrets(), revoked.transpose(), settings)
        });
        let (secrets, revoked, settings) = read.await.expect("reading files does not panic");
        let (secrets, revoked) = (secrets?, revoked?);
        let certificate = secrets.warning(clock.now());
        let Secrets {
            identities,
            egress,
            store,
            tickets,
            uploads,
            decision,
            tls,
            tracing,
            audit_names,
        } = secrets;
        let EgressByTarget { sts: to_sts, issuers: to_issuers, tracing: to_collector } = egress;
        tracing::info!(
            access_key.id = identities.of_sts().access_key_id().map(AccessKeyId::as_str),
            access_key.source = %settings.identity,
            config.hash = settings.hash,
            "configuration loaded"
        );
        for Problem { path, message } in settings.warnings.iter().chain(&certificate) {
            tracing::warn!(config.key = path, "{message}");
        }
        let metrics = Arc::new(Metrics::new());
        let tracing =
            tracing.map(|to| Traces::to(to, to_collector, clock.clone(), metrics.trace.clone()));
        let tracing = tracing.transpose().map_err(|problem| StartError::Tracing(problem.into()))?;
        let (traces, exporter) = tracing.unzip();
        let store = Store::open(store, clock.clone(), metrics.store.clone())
            .await
            .map_err(|problem| StartError::Store(problem.into()))
            .map(Arc::new)?;
        let own = UpstreamSettings {
            sts: settings.sts,
            identity: settings.identity,
            vend: settings.vend,
            accounts: settings.accounts,
        };
        let upstreams = Upstreams::new(own, settings.upstreams);
        let budgets =
            Budgets::new(Arc::clone(&store), upstreams.are_several(), metrics.vend.clone());
        let budgets = Arc::new(budgets);
        let upstreams = identities.zip(upstreams).try_map(|name, (identity, settings)| {
            Upstream::new(name, settings, identity, &to_sts, &budgets, &metrics, &clock)
        })?;
        let vendors = upstreams.map_ref(Upstream::vendor);
        let vendors = Arc::new(Vendors::new(vendors, metrics.vend.clone()));
        let enforcement = Enforcement {
            revocations: Arc::new(Revocations::default()),
            vendors: Arc::clone(&vendors),
            metrics: metrics.revocations.clone(),
            clock: clock.clone(),
        };
        let revoked_file = revoked.map(|(watch, list)| {
            enforcement.start(list);
            watch
        });
        let mut shared_revocations = SharedWatch::new(&store);
        if let Some(watch) = &mut shared_revocations {
            // Before the first request, so that a replica that starts serves nobody who is revoked.
            watch.look(&enforcement).await;
        }
        let public = bind("server.listen", settings.listen, settings.listen_backlog)?;
        let listener =
            PublicUrl::of_listener(public.local_addr().expect("a bound listener has an address"));
        let tickets = tickets.map(|seal| settings.tickets.rules(seal, listener.clone()));
        let callbacks = uploads.map(|secrets| {
            settings.uploads.config(secrets, &settings.rules.grants, &listener, &to_sts, None)
        });
        let callback_config = callbacks
            .transpose()
            .map_err(|problem| StartError::UploadsTls(problem.into()))?
            .map(Arc::new);
        let decision = rules::decision(settings.decision, decision, &to_sts, &clock, &metrics)
            .map_err(|problem| StartError::DecisionTls(problem.into()))?;
        let rules = rules::rules(
            settings.rules,
            tickets,
            callback_config.clone(),
            decision,
            None,
            &to_issuers,
            &store,
            &clock,
            &metrics,
        )
        .map_err(|problem| StartError::IssuersTls(problem.into()))?;
        let audit = match settings.audit {
            Some(audit) => Audit::start(audit, audit_names, &clock, metrics.audit.clone()),
            None => Audit::off(),
        };
        let callbacks = Arc::new(Callbacks::new(
            callback_config,
            &store,
            Arc::clone(&vendors),
            audit.clone(),
            clock.clone(),
            metrics.callbacks.clone(),
        ));
        let api = Arc::new(Api {
            revocations: Arc::clone(&enforcement.revocations),
            callbacks,
            rules: ArcSwap::from_pointee(rules),
            vendors: Arc::clone(&vendors),
            metrics: Arc::clone(&metrics),
            audit: audit.clone(),
            traces: traces.unwrap_or_default(),
            clock: clock.clone(),
        });
        metrics.config.active_config(&settings.hash, clock.now());
        let active_config = Arc::new(ActiveConfig::new(settings.hash, clock.clone()));
        let ready = CancellationToken::new();
        let key_verifiers = upstreams
            .values()
            .map(|upstream| upstream.verifier(&vendors, &metrics, &audit, &clock, &ready))
            .collect();
        let candidates = upstreams.map_ref(|upstream| upstream.candidates.clone());
        let identity_renewers =
            upstreams.into_values().filter_map(|(_, upstream)| upstream.renewer).collect();
        let (reloads, requests) = reload::requests();
        let tls = tls.map(|identity| Tls::new(identity, metrics.connections.transport.clone()));
        Ok(Self {
            public,
            admin: bind("admin.listen", settings.admin_listen, ADMIN_BACKLOG)?,
            reloader: Reloader {
                api: Arc::clone(&api),
                store,
                to_issuers,
                to_oss: to_sts,
                listener,
                active_config: Arc::clone(&active_config),
                tls: tls.clone(),
                candidates,
                source: settings.source,
                restart_only: settings.restart_only,
                watch: Watch::new(settings.files, settings.watch_interval),
                requests,
                log: None,
                reads: FileReads::default(),
            },
            reloads,
            key_verifiers,
            identity_renewers,
            enforcement,
            revoked_file,
            shared_revocations,
            api,
            exporter,
            readiness: Arc::new(Readiness::new(vendors, audit)),
            active_config,
            server: ServerSettings {
                max_connections: server::affordable_connections(settings.server.max_connections),
                max_connection_memory: server::affordable_memory(
                    settings.server.max_connection_memory,
                ),
                ..settings.server
            },
            tls,
            lame_duck: settings.lame_duck,
            prompt: CancellationToken::new(),
            ready,
            #[cfg(feature = "emulator")]
            pages: None,
        })
    }

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

fn bind(key: &'static str, address: SocketAddr, backlog: u32) -> Result<TcpListener, StartError> {
    server::listen(address, backlog).map_err(|source| StartError::Listen { key, address, source })
}
