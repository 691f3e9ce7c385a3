//! Builds the server from its settings and runs it: the only place that constructs.

mod access_key;
mod reload;
mod rules;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::config::{FileReads, Problem, Problems, Secrets, Settings};
use crate::http::{self, ActiveConfig, Api, PublicUrl, Readiness};
use crate::server::{self, ServerSettings, Tls};
use crate::store::Store;
use crate::sts::StsClient;
use crate::telemetry::{Connections, Exporter, LogFilter, Metrics, Traces};
use crate::vend::{KeyRefused, Vendor};
use access_key::{Candidate, KeyKeeper};
use appserver_domain::clock::Clock;
use reload::Reloader;
use watch::Watch;

pub use reload::Reloads;

/// A server that has its two addresses and serves nothing yet.
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
    key_keeper: KeyKeeper,
    exporter: Option<Exporter>,
    ready: CancellationToken,
    #[cfg(feature = "emulator")]
    pages: Option<axum::Router>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address} ({key})")]
    Listen {
        /// The configuration's key for the address.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There is no AccessKey to sign with, or another secret cannot be read.
    #[error(transparent)]
    Secrets(#[from] Problems),
    /// The store cannot be used, now or later.
    #[error("there is no store")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system's certificates cannot be used, so STS cannot be verified.
    #[error("STS cannot be called safely")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same, so the keys of issuers would be anybody's.
    #[error("the keys of issuers cannot be fetched safely")]
    IssuersTls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system's certificates cannot be used, so the collector of traces cannot be verified.
    #[error("spans cannot be exported safely")]
    Tracing(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a server ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(#[from] KeyRefused);

/// Probes, a scraper and an operator; more would be somebody else. For one more the longest idle one is closed.
const ADMIN_CONNECTIONS: usize = 64;
/// No address may have so many that others' are closed for it.
const ADMIN_CONNECTIONS_PER_ADDRESS: usize = ADMIN_CONNECTIONS / 2;
/// For all of them, each with a long head; callers of the public listener cannot take it away.
const ADMIN_MEMORY: usize = ADMIN_CONNECTIONS * 48 * 1024;
const ADMIN_BACKLOG: u32 = 128;
/// What the admin listener adds to a stop at the most, once the public one is drained.
const ADMIN_DRAIN: Duration = Duration::from_secs(1);

impl App {
    /// Binds the addresses and builds what will serve on them.
    pub async fn start(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        // Not here, where a file that hangs would keep a stop waiting.
        let read = spawn_blocking(move || (settings.read_secrets(), settings));
        let (secrets, settings) = read.await.expect("reading secrets does not panic");
        let secrets = secrets?;
        let certificate = secrets.warnings(clock.now());
        let Secrets { access_key: key, store, tickets, tls, tracing } = secrets;
        tracing::info!(
            access_key.id = %key.id,
            access_key.source = %settings.access_key,
            config.hash = settings.hash,
            "configured"
        );
        for Problem { path, message } in settings.warnings.iter().chain(&certificate) {
            tracing::warn!(config.key = path, "{message}");
        }
        let metrics = Arc::new(Metrics::new());
        let tracing = tracing.map(|to| Traces::to(to, clock.clone(), metrics.trace.clone()));
        let tracing = tracing.transpose().map_err(|problem| StartError::Tracing(problem.into()))?;
        let (traces, exporter) = tracing.unzip();
        let sts = StsClient::new(settings.sts, key.clone(), clock.clone(), Arc::clone(&metrics))
            .map_err(|problem| StartError::Tls(problem.into()))?;
        let store = Store::open(store, clock.clone(), metrics.store.clone())
            .await
            .map_err(|problem| StartError::Store(problem.into()))
            .map(Arc::new)?;
        let vendor = Arc::new(Vendor::new(
            sts,
            Arc::clone(&store),
            settings.vend,
            metrics.vend.clone(),
            clock.clone(),
        ));
        let public = bind("server.listen", settings.listen, settings.listen_backlog)?;
        let listener =
            PublicUrl::of_listener(public.local_addr().expect("a bound listener has an address"));
        let tickets = tickets.map(|seal| settings.tickets.rules(seal, listener.clone()));
        let rules = rules::rules(settings.rules, tickets, None, &store, &clock, &metrics)
            .map_err(|problem| StartError::IssuersTls(problem.into()))?;
        let audit = match settings.audit {
            Some(audit) => Audit::start(audit, metrics.audit.clone()),
            None => Audit::off(),
        };
        let api = Arc::new(Api {
            rules: ArcSwap::from_pointee(rules),
            vendor: Arc::clone(&vendor),
            metrics: Arc::clone(&metrics),
            audit: audit.clone(),
            traces: traces.unwrap_or_default(),
            clock: clock.clone(),
        });
        metrics.config.active_config(&settings.hash, clock.now());
        let active_config = Arc::new(ActiveConfig::new(settings.hash, clock));
        let ready = CancellationToken::new();
        let (candidates, candidate) =
            tokio::sync::watch::channel(Candidate { key, accounts: settings.accounts });
        let (reloads, requests) = reload::requests();
        let tls = tls.map(|identity| Tls::new(identity, metrics.connections.transport.clone()));
        Ok(Self {
            public,
            admin: bind("admin.listen", settings.admin_listen, ADMIN_BACKLOG)?,
            reloader: Reloader {
                api: Arc::clone(&api),
                store,
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
            key_keeper: KeyKeeper {
                vendor: Arc::clone(&vendor),
                candidates: candidate,
                metrics: metrics.config.clone(),
                ready: ready.clone(),
            },
            api,
            exporter,
            readiness: Arc::new(Readiness::new(vendor, audit)),
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

    /// Has a reload change the filter of this log, which is the whole process's, and counts what is dropped of it.
    pub(crate) fn with_log(mut self, log: LogFilter) -> Self {
        self.api.metrics.log.follow(log.dropped());
        self.reloader.log = Some(log);
        self
    }

    /// Answers what begins with `/dev` by these routes, which `appserver dev` has and no service.
    #[cfg(feature = "emulator")]
    pub(crate) fn with_pages(self, pages: axum::Router) -> Self {
        Self { pages: Some(pages), ..self }
    }

    /// What the server counts.
    #[cfg(feature = "emulator")]
    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.api.metrics)
    }

    /// The public listener's address; the port that was given, where 0 was asked for.
    pub fn public_addr(&self) -> SocketAddr {
        self.public.local_addr().expect("a bound listener has an address")
    }

    /// The admin listener's address.
    pub fn admin_addr(&self) -> SocketAddr {
        self.admin.local_addr().expect("a bound listener has an address")
    }

    /// Is cancelled once the server vends.
    pub fn ready(&self) -> CancellationToken {
        self.ready.clone()
    }

    /// Is to be cancelled where a stop need not wait until balancers have noticed: by who sits before it.
    pub fn prompt(&self) -> CancellationToken {
        self.prompt.clone()
    }

    /// Has it read its configuration again.
    pub fn reloads(&self) -> Reloads {
        self.reloads.clone()
    }

    /// Serves until `stop`, then drains; ends early if the AccessKey may not be used.
    ///
    /// Both listeners answer from the start, so that probes see a process that lives; nothing is vended until
    /// STS has said whose the AccessKey is.
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
            key_keeper,
            exporter,
            ready,
            ..
        } = self;
        let metrics = Arc::clone(&api.metrics);
        let closing = CancellationToken::new();
        let admin_router =
            http::admin_router(Arc::clone(&readiness), Arc::clone(&metrics), active_config);
        // The admin listener goes last: probes are answered until the drain is over.
        let admin_stop = CancellationToken::new();
        // Its connections are not those of callers, and are not counted as theirs.
        let uncounted = Connections::default();
        let few = ServerSettings {
            max_connections: ADMIN_CONNECTIONS,
            max_connections_per_address: Some(ADMIN_CONNECTIONS_PER_ADDRESS),
            max_connection_memory: ADMIN_MEMORY,
            knows_addresses: true,
            // Nobody ever authenticates here.
            unauthenticated_idle_timeout: server.idle_timeout,
            drain_timeout: ADMIN_DRAIN.min(server.drain_timeout),
            proxy_protocol: false,
            ..server
        };
        let admin_server = tokio::spawn(server::serve(
            admin,
            None,
            admin_router,
            few,
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

        let told = CancellationToken::new();
        let exporter = exporter.map(|exporter| tokio::spawn(exporter.run(told.clone())));
        let reloader = tokio::spawn(reloader.run());
        let unfit = stop.run_until_cancelled(key_keeper.keep()).await;
        reloader.abort();
        let proven = unfit.unwrap_or(Ok(()));
        if proven.is_ok() {
            tracing::info!("stopping: /readyz says so, requests under way are finished");
        }
        let began = Instant::now();
        readiness.drain();
        // Nobody was ever sent to a server that was not ready.
        if ready.is_cancelled() {
            prompt.run_until_cancelled(tokio::time::sleep(lame_duck)).await;
        }
        closing.cancel();
        let _ = public_server.await;
        api.audit.close().await;
        // What was traced until then is still told.
        told.cancel();
        if let Some(exporter) = exporter {
            let _ = exporter.await;
        }
        admin_stop.cancel();
        let _ = admin_server.await;
        proven?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(stop.took_ms = took_ms, "stopped");
        Ok(())
    }
}

fn bind(key: &'static str, address: SocketAddr, backlog: u32) -> Result<TcpListener, StartError> {
    server::listen(address, backlog).map_err(|source| StartError::Listen { key, address, source })
}
