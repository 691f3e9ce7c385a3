//! The task that keeps one issuer's keys fresh.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::active_jwks::{ActiveJwks, Change};
use super::configured_keys::RefreshPolicy;
use super::fetch::{FetchProblem, Fetcher};
use super::jwk::FaultyKey;
use super::jwks::Jwks;
use super::refresh_trigger::RefreshTrigger;
use crate::backoff::{Backoff, jittered};
use crate::telemetry::{IssuerKeys, IssuerMetrics, causes};
use appserver_domain::clock::{Clock, Moment};

/// Part of each wait that is random, so that replicas do not fetch together.
const JITTER: f64 = 0.2;
/// Waits after failed fetches, none longer than between two successful ones.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_mins(1), JITTER);

/// Fetches in turn and on trigger, one fetch at a time.
#[derive(Debug)]
pub(super) struct JwksRefresher {
    /// The operator's name for the issuer.
    pub(super) id: String,
    pub(super) fetcher: Fetcher,
    pub(super) refresh_policy: RefreshPolicy,
    pub(super) ring: Arc<ActiveJwks>,
    pub(super) trigger: Arc<RefreshTrigger>,
    pub(super) clock: Clock,
    pub(super) metrics: IssuerMetrics,
    pub(super) shown: Arc<IssuerKeys>,
}

/// What the refresher knows between two fetches.
#[derive(Debug, Default)]
struct History {
    /// The time of the last successful fetch.
    fetched: Option<Moment>,
    /// Failed fetches since then.
    failures: u32,
    /// The unusable keys that the last fetch logged.
    faulty: Vec<FaultyKey>,
    /// Whether the expiry of all keys was logged.
    expiry_logged: bool,
}

impl JwksRefresher {
    /// Runs until the task is cancelled.
    pub(super) async fn run(self) {
        let mut history = History::default();
        loop {
            self.trigger.begins();
            let fetched = self.fetcher.fetch().await;
            let outcome = fetched.as_ref().map_or_else(FetchProblem::kind, |_| "success");
            self.metrics.fetched(&self.id, outcome);
            match fetched {
                Ok(keys) => self.store(keys, &mut history),
                Err(problem) => self.log_failure(&problem, &mut history),
            }
            self.trigger.ends();
            let next = Instant::now() + self.wait(history.failures);
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.trigger.triggered() => {}
            }
        }
    }

    fn store(&self, keys: Jwks, history: &mut History) {
        // Logged once for each change of the faults: keys are fetched every few minutes.
        if history.faulty != keys.faulty() {
            for faulty in keys.faulty() {
                tracing::warn!(
                    issuer.id = self.id,
                    issuer.address = %self.fetcher.address(),
                    "ignoring an unusable key of issuer `{}`: {faulty}",
                    self.id,
                );
            }
        }
        let faulty = keys.faulty().to_vec();
        let now = self.clock.moment();
        let Change { added, removed, count } =
            self.ring.replace(keys, now, self.refresh_policy.max_age);
        self.shown.fetched_keys(count);
        let was_away = history.failures > 0 || history.fetched.is_none();
        if added > 0 || removed > 0 || was_away {
            tracing::info!(
                issuer.id = self.id,
                issuer.address = %self.fetcher.address(),
                jwks.keys_added = added,
                jwks.keys_removed = removed,
                jwks.keys = count,
                "fetched the keys of issuer `{}`",
                self.id,
            );
        }
        *history = History { fetched: Some(now), faulty, ..History::default() };
    }

    fn log_failure(&self, problem: &FetchProblem, history: &mut History) {
        history.failures = history.failures.saturating_add(1);
        let kind = problem.kind();
        tracing::warn!(
            issuer.id = self.id,
            issuer.address = %self.fetcher.address(),
            issuer.failures = history.failures,
            error.kind = kind,
            error.cause = causes(problem),
            "fetching the keys of issuer `{}` failed; retrying: {problem}",
            self.id,
        );
        let (now, max_age) = (self.clock.moment(), self.refresh_policy.max_age);
        let are_valid = history.fetched.is_some_and(|fetched| now.since(fetched) < max_age);
        if !are_valid && !history.expiry_logged {
            history.expiry_logged = true;
            tracing::error!(
                issuer.id = self.id,
                "the keys of issuer `{}` are too old; rejecting all of its tokens until a fetch succeeds",
                self.id,
            );
        }
    }

    /// How long until the next fetch.
    fn wait(&self, failures: u32) -> Duration {
        let refresh = self.refresh_policy.refresh;
        match failures {
            0 => jittered(refresh, JITTER),
            _ => RETRY.at_most(refresh).wait_after(failures),
        }
    }
}
