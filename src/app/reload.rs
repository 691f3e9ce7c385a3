//! Changes the configuration of a running server: all of it or nothing.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::access_key::Candidate;
use super::rules::{holders, rules};
use super::watch::Watch;
use crate::config::{FileReads, Problem, Problems, RestartOnly, Secrets, Settings, Source};
use crate::grant::{Entitlement, Grants};
use crate::http::{ActiveConfig, Api, PublicUrl, Rules};
use crate::server::{Tls, TlsIdentity};
use crate::store::Store;
use crate::telemetry::{LogFilter, Reload, with_causes};
use crate::vend::GrantHolders;
use appserver_domain::GrantName;

/// Has a running server read its configuration again.
#[derive(Clone, Debug)]
pub struct Reloads(mpsc::Sender<oneshot::Sender<Result<(), Problems>>>);

impl Reloads {
    /// Reads the configuration again, and puts it in force if there is no problem with it.
    ///
    /// A server that has ended has nothing to say against it.
    pub async fn reload(&self) -> Result<(), Problems> {
        let (done, outcome) = oneshot::channel();
        let _ = self.0.send(done).await;
        outcome.await.unwrap_or(Ok(()))
    }
}

/// What a reload changes, and what it needs for that.
#[derive(Debug)]
pub(super) struct Reloader {
    pub(super) api: Arc<Api>,
    pub(super) store: Arc<Store>,
    pub(super) listener: PublicUrl,
    pub(super) active_config: Arc<ActiveConfig>,
    /// What new connections are shown.
    pub(super) tls: Option<Tls>,
    pub(super) candidates: watch::Sender<Candidate>,
    pub(super) source: Source,
    /// What the server was started with.
    pub(super) restart_only: RestartOnly,
    pub(super) watch: Watch,
    pub(super) requests: mpsc::Receiver<oneshot::Sender<Result<(), Problems>>>,
    /// Of the process; none where it is not ours to change.
    pub(super) log: Option<LogFilter>,
    pub(super) reads: FileReads,
}

/// A configuration that may take the place of the one in force.
struct Next {
    rules: Rules,
    holders: GrantHolders,
    candidate: Candidate,
    tls: Option<TlsIdentity>,
    log_filter: String,
    hash: String,
    restart_only: RestartOnly,
    warnings: Vec<Problem>,
}

/// A reloader's two ends. Reloads that are asked for while one goes on are one more.
pub(super) fn requests() -> (Reloads, mpsc::Receiver<oneshot::Sender<Result<(), Problems>>>) {
    let (requests, received) = mpsc::channel(8);
    (Reloads(requests), received)
}

/// Grants whose policies begin to name users' issuers: objects that are there stay where they are.
fn moved_paths(before: &Grants, after: &Grants) -> Vec<Problem> {
    let begins = |(name, before): (&GrantName, &Entitlement)| {
        let after = after.entitlements.get(name)?;
        let moved = after.template.policy_uses_issuer() && !before.template.policy_uses_issuer();
        moved.then(|| Problem {
            path: format!("grants.{name}.policy"),
            message: "it names the users' issuer now, and did not before: its tokens reach other paths, and objects \
                      that are there stay under the old ones until somebody moves them"
                .to_owned(),
        })
    };
    before.entitlements.iter().filter_map(begins).collect()
}

impl Reloader {
    /// Reloads whenever it is asked to, or a file has changed.
    pub(super) async fn run(mut self) {
        loop {
            let asked = tokio::select! {
                Some(asked) = self.requests.recv() => Some(asked),
                () = self.watch.changed() => None,
            };
            let outcome = self.reload().await;
            if let Some(asked) = asked {
                // Who asked may not wait for it.
                let _ = asked.send(outcome);
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
                    "the configuration was not loaded again: the one before it stays in force"
                );
                self.api.metrics.config.reloaded(Reload::Refused);
                Err(problems)
            }
        }
    }

    /// Everything that could be wrong is found here.
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
        let certificate = secrets.warnings(self.api.clock.now());
        let Secrets { access_key: key, tickets, tls, store: _, tracing: _ } = secrets;
        let tickets = tickets.map(|seal| settings.tickets.rules(seal, self.listener.clone()));
        let candidate = Candidate { key, accounts: settings.accounts.clone() };
        if self.candidates.borrow().key == candidate.key {
            let admitted = self.api.vendor.admits(&candidate.accounts);
            admitted.map_err(|refused| Problems::one("roles", refused))?;
        }
        let Settings { mut warnings, log_filter, hash, restart_only, rules: settings, .. } =
            settings;
        warnings.extend(certificate);
        let holders = holders(&settings);
        let before = self.api.rules.load_full();
        warnings.extend(moved_paths(&before.grants, &settings.grants));
        let metrics = &self.api.metrics;
        let rules = rules(settings, tickets, Some(&before), &self.store, &self.api.clock, metrics);
        let rules = rules.map_err(|problem| Problems::one("issuers", with_causes(&problem)))?;
        Ok(Next { rules, holders, candidate, tls, log_filter, hash, restart_only, warnings })
    }

    /// Nothing can go wrong any more.
    fn apply(&self, next: Next) {
        let Next { rules, holders, candidate, tls, log_filter, hash, restart_only, warnings } =
            next;
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
            // Who speaks to this port goes on as it began.
            (Some(_), None) | (None, Some(_)) => waiting.push("server.tls"),
        }
        if !waiting.is_empty() {
            let keys = waiting.join(", ");
            tracing::warn!(
                config.keys = keys,
                "these keys are read at the start only: restart to put them in force"
            );
        }
        let metrics = &self.api.metrics.config;
        metrics.needs_restart.set(i64::from(!waiting.is_empty()));
        self.api.rules.store(Arc::new(rules));
        // After it: what a request of the old rules still fetches is not kept.
        self.api.vendor.retain_holders(holders);
        self.candidates.send_if_modified(|present| {
            let is_new_key = present.key != candidate.key;
            if is_new_key {
                metrics.key_unverified.set(1);
                let access_key_id = candidate.key.id.as_str();
                tracing::info!(
                    access_key.id = access_key_id,
                    "there is a new AccessKey; it is signed with once STS has verified it"
                );
            }
            let differs = is_new_key || present.accounts != candidate.accounts;
            *present = candidate;
            differs
        });
        tracing::info!(config.hash = hash, "the configuration was loaded again and is in force");
        self.active_config.replace(hash.clone());
        metrics.active_config(&hash, self.active_config.since());
    }
}
