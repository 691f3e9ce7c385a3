//! The start of an app: reads the secrets, builds every part from the settings, and binds the two addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::App;
use super::reload::{self, Reloader};
use super::revocations::{Enforcement, FileWatch, SharedWatch};
use super::rules;
use super::start_error::StartError;
use super::upstream::Upstream;
use super::watch::Watch;
use crate::audit::Audit;
use crate::callback::Callbacks;
use crate::config::{FileReads, Problem, Secrets, Settings, UpstreamSettings};
use crate::http::{ActiveConfig, Api, PublicUrl, Readiness};
use crate::outbound::EgressByTarget;
use crate::revocation::Revocations;
use crate::server::{self, ServerSettings, Tls};
use crate::store::Store;
use crate::telemetry::{Metrics, Traces};
use crate::vend::{Budgets, Vendors};
use appserver_domain::clock::Clock;
use appserver_domain::{AccessKeyId, Upstreams};

const ADMIN_BACKLOG: u32 = 128;

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
}

fn bind(key: &'static str, address: SocketAddr, backlog: u32) -> Result<TcpListener, StartError> {
    server::listen(address, backlog).map_err(|source| StartError::Listen { key, address, source })
}
