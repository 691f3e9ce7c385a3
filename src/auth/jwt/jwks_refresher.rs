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
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), JITTER);

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
    /// When what the ring holds was fetched, if a fetch has ever succeeded.
    fetched: Option<Moment>,
    /// Failures since.
    failures: u32,
    /// Keys that were passed over, and named, at the last fetch.
    faulty: Vec<FaultyKey>,
    /// It has been said that none of the issuer's tokens is believed.
    is_given_up: bool,
}

impl JwksRefresher {
    /// Goes on until it is dropped.
    pub(super) async fn keep(self) {
        let mut history = History::default();
        loop {
            self.trigger.begins();
            let fetched = self.fetcher.fetch().await;
            let outcome = fetched.as_ref().map_or_else(FetchProblem::kind, |_| "success");
            self.metrics.fetched(&self.id, outcome);
            match fetched {
                Ok(keys) => self.take(keys, &mut history),
                Err(problem) => self.tell(&problem, &mut history),
            }
            self.trigger.ends();
            let next = Instant::now() + self.wait(history.failures);
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.trigger.wanted() => {}
            }
        }
    }

    fn take(&self, keys: Jwks, history: &mut History) {
        // Said once, and again when it is another fault: the keys are fetched every few minutes.
        if history.faulty != keys.faulty() {
            for faulty in keys.faulty() {
                tracing::warn!(
                    issuer.id = self.id,
                    issuer.address = %self.fetcher.address(),
                    "a key of the issuer `{}` is passed over: {faulty}",
                    self.id,
                );
            }
        }
        let faulty = keys.faulty().to_vec();
        let now = self.clock.moment();
        let Change { came, went, held } = self.ring.replace(keys, now, self.refresh_policy.max_age);
        self.shown.came(held);
        let was_away = history.failures > 0 || history.fetched.is_none();
        if came > 0 || went > 0 || was_away {
            tracing::info!(
                issuer.id = self.id,
                issuer.address = %self.fetcher.address(),
                jwks.keys_added = came,
                jwks.keys_removed = went,
                jwks.keys = held,
                "the keys of the issuer `{}` were fetched",
                self.id,
            );
        }
        *history = History { fetched: Some(now), faulty, ..History::default() };
    }

    fn tell(&self, problem: &FetchProblem, history: &mut History) {
        history.failures = history.failures.saturating_add(1);
        let kind = problem.kind();
        tracing::warn!(
            issuer.id = self.id,
            issuer.address = %self.fetcher.address(),
            issuer.failures = history.failures,
            error.kind = kind,
            error.cause = causes(problem),
            "the keys of the issuer `{}` could not be fetched: {problem}",
            self.id,
        );
        let (now, max_age) = (self.clock.moment(), self.refresh_policy.max_age);
        let is_valid = history.fetched.is_some_and(|fetched| now.since(fetched) < max_age);
        if !is_valid && !history.is_given_up {
            history.is_given_up = true;
            tracing::error!(
                issuer.id = self.id,
                "none of the tokens of the issuer `{}` is believed until its keys can be fetched",
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
