//! Changes the configuration of a running server: all of it or nothing.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use super::access_key::Candidate;
use super::grant_changes::GrantChange;
use super::rules::{holders, rules};
use super::upstream::Candidates;
use super::watch::Watch;
use crate::config::{ConfigSource, FileReads, Problem, Problems, RestartOnly, Secrets, Settings};
use crate::grant::{Entitlement, Grants};
use crate::http::{ActiveConfig, Api, PublicUrl, Rules};
use crate::outbound::Egress;
use crate::server::{Tls, TlsIdentity};
use crate::store::Store;
use crate::telemetry::{LogFilter, Reload, with_causes};
use crate::upstream::UpstreamIdentity;
use crate::vend::GrantHolders;
use appserver_domain::{GrantName, UpstreamName, Upstreams};

/// A handle that makes a running server reload its configuration.
#[derive(Clone, Debug)]
pub struct Reloads(mpsc::Sender<oneshot::Sender<Result<(), Problems>>>);

impl Reloads {
    /// Reads the configuration again and activates it if it is valid.
    ///
    /// Returns `Ok` if the server has ended.
    pub async fn reload(&self) -> Result<(), Problems> {
        let (done, outcome) = oneshot::channel();
        let _ = self.0.send(done).await;
        outcome.await.unwrap_or(Ok(()))
    }
}

/// Reloads the configuration of a running server.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) api: Arc<Api>,
    pub(super) store: Arc<Store>,
    /// How issuers are reached.
    pub(super) to_issuers: Egress,
    /// For uploads' callbacks and the decision hook: OSS is reached as STS is, and the hook without its proxy.
    pub(super) to_oss: Egress,
    pub(super) listener: PublicUrl,
    pub(super) active_config: Arc<ActiveConfig>,
    /// The certificate for new connections.
    pub(super) tls: Option<Tls>,
    pub(super) candidates: Upstreams<Candidates>,
    pub(super) source: ConfigSource,
    /// The settings that only a restart changes.
    pub(super) restart_only: RestartOnly,
    pub(super) watch: Watch,
    pub(super) requests: mpsc::Receiver<oneshot::Sender<Result<(), Problems>>>,
    /// The process's log filter; none where the process owns its log, as in tests.
    pub(super) log: Option<LogFilter>,
    pub(super) reads: FileReads,
}

/// A valid configuration, ready to be activated.
struct Next {
    rules: Rules,
    holders: GrantHolders,
    /// Without a key where the present one stays.
    candidates: Vec<(UpstreamName, Candidate)>,
    tls: Option<TlsIdentity>,
    log_filter: String,
    hash: String,
    restart_only: RestartOnly,
    warnings: Vec<Problem>,
    grant_changes: Vec<GrantChange>,
}

/// The handle and the reloader's receiver. Requests during a reload cause one more.
pub(super) fn requests() -> (Reloads, mpsc::Receiver<oneshot::Sender<Result<(), Problems>>>) {
    let (requests, received) = mpsc::channel(8);
    (Reloads(requests), received)
}

/// Warns about grants whose policies now contain the user's issuer: existing objects keep their old paths.
fn moved_paths(before: &Grants, after: &Grants) -> Vec<Problem> {
    let begins = |(name, before): (&GrantName, &Entitlement)| {
        let after = after.entitlements.get(name)?;
        let moved = after.template.policy_uses_issuer() && !before.template.policy_uses_issuer();
        moved.then(|| Problem {
            path: format!("grants.{name}.policy"),
            message: "it contains the user's issuer now and did not before: tokens reach other paths, and existing \
                      objects stay under the old paths until they are moved"
                .to_owned(),
        })
    };
    before.entitlements.iter().filter_map(begins).collect()
}

impl Reloader {
    /// Reloads on request and when a file changes.
    pub(super) async fn run(mut self) {
        loop {
            let request = tokio::select! {
                Some(request) = self.requests.recv() => Some(request),
                () = self.watch.changed() => None,
            };
            let outcome = self.reload().await;
            if let Some(request) = request {
                // The receiver may be gone.
                let _ = request.send(outcome);
            }
        }
    }

    async fn reload(&mut self) -> Result<(), Problems> {
        match self.load().await {
            Ok(next) => {
                self.apply(next);
                self.api.metrics.config.reloaded(Reload::Applied);
                Ok(())
            }
            Err(problems) => {
                for Problem { path, message } in problems.iter() {
                    tracing::error!(config.key = path, "{message}");
                }
                tracing::error!(
                    "configuration reload failed; the previous configuration stays active"
                );
                self.api.metrics.config.reloaded(Reload::Refused);
                Err(problems)
            }
        }
    }

    /// Reads and checks everything; all failures are found here.
    async fn load(&mut self) -> Result<Next, Problems> {
        let source = self.source.clone();
        let loaded = self.reads.read(move || {
            let looked = source.look_at_all();
            let settings = source.load();
            let secrets = settings.as_ref().ok().map(Settings::read_secrets);
            (settings, secrets, looked)
        });
        let (settings, secrets, looked) =
            loaded.await.map_err(|hang| Problems::one("(files)", hang))?;
        match &settings {
            Ok(settings) => self.watch.follow(settings.files.clone(), settings.watch_interval),
            Err(_) => self.watch.follow(looked, self.watch.interval()),
        }
        let settings = settings?;
        let secrets = secrets.expect("they are read if the settings are")?;
        let certificate = secrets.warning(self.api.clock.now());
        // Those that are left out are read to find their problems; only a restart applies them.
        let Secrets {
            identities,
            tickets,
            uploads,
            decision,
            tls,
            egress: _,
            store: _,
            tracing: _,
            audit_names: _,
        } = secrets;
        let tickets = tickets.map(|seal| settings.tickets.rules(seal, self.listener.clone()));
        let candidates = self.next_candidates(&settings, identities)?;
        let Settings {
            mut warnings,
            log_filter,
            hash,
            restart_only,
            rules: settings,
            uploads: upload_source,
            decision: decision_source,
            ..
        } = settings;
        warnings.extend(certificate);
        let before = self.api.rules.load_full();
        // Beside the threads that serve: an exact comparison computes for up to some seconds.
        let old = Arc::clone(&before);
        let compared =
            spawn_blocking(move || (GrantChange::between(&old.grants, &settings.grants), settings));
        let (grant_changes, settings) = compared.await.expect("a comparison does not panic");
        let holders = holders(&settings);
        warnings.extend(moved_paths(&before.grants, &settings.grants));
        let metrics = &self.api.metrics;
        let (egress, store, clock) = (&self.to_issuers, &self.store, &self.api.clock);
        let callbacks = uploads.map(|secrets| {
            let known = before.callbacks.as_deref();
            let (grants, to_oss) = (&settings.grants, &self.to_oss);
            upload_source.config(secrets, grants, &self.listener, to_oss, known)
        });
        let callbacks = callbacks
            .transpose()
            .map_err(|problem| Problems::one("uploads", with_causes(&problem)))?
            .map(Arc::new);
        let decision =
            super::rules::decision(decision_source, decision, &self.to_oss, clock, metrics)
                .map_err(|problem| Problems::one("decision", with_causes(&problem)))?;
        let rules = rules(
            settings,
            tickets,
            callbacks,
            decision,
            Some(&before),
            egress,
            store,
            clock,
            metrics,
        );
        let rules = rules.map_err(|problem| Problems::one("issuers", with_causes(&problem)))?;
        Ok(Next {
            rules,
            holders,
            candidates,
            tls,
            log_filter,
            hash,
            restart_only,
            warnings,
            grant_changes,
        })
    }

    /// Activates the configuration; cannot fail.
    fn apply(&self, next: Next) {
        let Next {
            rules,
            holders,
            candidates,
            tls,
            log_filter,
            hash,
            restart_only,
            warnings,
            grant_changes,
        } = next;
        if let Some(log) = &self.log {
            let checked = "a filter that cannot be used is a problem of the settings";
            log.change(&log_filter).expect(checked);
        }
        for Problem { path, message } in &warnings {
            tracing::warn!(config.key = path, "{message}");
        }
        let mut waiting = self.restart_only.differing(&restart_only);
        match (&self.tls, tls) {
            (Some(shown), Some(identity)) => shown.replace(identity),
            (None, None) => {}
            // Turning TLS on or off needs a restart.
            (Some(_), None) | (None, Some(_)) => waiting.push("server.tls"),
        }
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(config.keys = keys, "changed keys need a restart to take effect");
        }
        let metrics = &self.api.metrics.config;
        metrics.needs_restart.set(i64::from(!waiting.is_empty()));
        // Before the rules: in the audit a changed grant comes before the tokens of it.
        self.report(&grant_changes);
        self.api.callbacks.replace(rules.callbacks.clone());
        self.api.rules.store(Arc::new(rules));
        // After the rules: tokens that requests of the old rules still obtain are not cached.
        self.api.vendors.retain_holders(&holders);
        for (upstream, candidate) in candidates {
            self.propose(&upstream, candidate);
        }
        tracing::info!(config.hash = hash, "configuration reloaded and active");
        self.active_config.replace(hash.clone());
        metrics.active_config(&hash, self.active_config.since());
    }

    /// The credentials of the upstreams that run. Fails if the present ones may not assume the new roles, or if a grant needs an
    /// upstream that does not run.
    fn next_candidates(
        &self,
        settings: &Settings,
        identities: Upstreams<UpstreamIdentity>,
    ) -> Result<Vec<(UpstreamName, Candidate)>, Problems> {
        let grants = &settings.rules.grants.entitlements;
        let absent = grants.values().find(|grant| self.candidates.get(&grant.upstream).is_none());
        if let Some(Entitlement { name, upstream, .. }) = absent {
            return Err(Problems::one(
                format!("grants.{name}.role"),
                format!(
                    "its role names the upstream `{upstream}`, which the running server does not have: restart it, as new \
                     upstreams need"
                ),
            ));
        }
        let mut candidates = Vec::new();
        for (upstream, identity) in identities.into_values() {
            let Some(running) = self.candidates.get(&upstream) else { continue };
            // A change of the source needs a restart; until then the first source's credentials sign.
            let key = match identity {
                UpstreamIdentity::AccessKey(key) if running.reads_access_key => Some(key),
                UpstreamIdentity::AccessKey(_) | UpstreamIdentity::Renewed(_) => None,
            };
            let accounts = settings.accounts_of(&upstream);
            let is_present = key.is_none() || running.sender.borrow().key == key;
            if is_present && let Some(vendor) = self.api.vendors.get(&upstream) {
                let admitted = vendor.admits(&accounts);
                admitted.map_err(|refused| Problems::one("roles", refused))?;
            }
            candidates.push((upstream, Candidate { key, accounts }));
        }
        Ok(candidates)
    }

    /// Hands new credentials of the upstream to their verifier.
    fn propose(&self, upstream: &UpstreamName, candidate: Candidate) {
        let Some(Candidates { sender, .. }) = self.candidates.get(upstream) else { return };
        sender.send_if_modified(|present| {
            let new_key = candidate.key.filter(|key| present.key.as_ref() != Some(key));
            if let Some(key) = &new_key {
                self.api.metrics.config.key_unverified(upstream).set(1);
                tracing::info!(
                    upstream.name = upstream.name_unless_default(),
                    access_key.id = key.id().as_str(),
                    "new AccessKey configured; signing with the previous one until STS has verified it"
                );
            }
            let differs = new_key.is_some() || present.accounts != candidate.accounts;
            present.accounts = candidate.accounts;
            if new_key.is_some() {
                present.key = new_key;
            }
            differs
        });
    }

    /// Logs and audits what changed about the grants.
    fn report(&self, changes: &[GrantChange]) {
        for change in changes {
            change.log();
            if let Some(trail) = self.api.audit.trail() {
                let notes = change.notes().join("; ");
                trail.grant_changed(&change.record(self.api.clock.now(), &notes));
            }
        }
    }
}
