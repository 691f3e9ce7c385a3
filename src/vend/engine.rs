//! The way of one request: a kept token, or a seat on its key's call, or a token that still does.

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::DropGuard;

use super::breaker::Breaker;
use super::budget::{Budget, Turn};
use super::error::VendError;
use super::grant_holder::{GrantHolder, GrantHolders};
use super::key::{Key, KeyHashing, LookupKey};
use super::negative_cache::NegativeCache;
use super::settings::VendSettings;
use super::single_flight::{Entry, InFlightCalls, Outcome, Waiter};
use super::sts_calls::Payer;
use super::token::Token;
use super::tokens::Tokens;
use super::turn_signal::TurnSignal;
use super::wait_limit::WaitLimit;
use crate::audit::Source;
use crate::store::Store;
use crate::sts::{AssumeRole, RoleSession};
use crate::telemetry::{Lookup, VendMetrics, in_child_span};
use appserver_domain::ClientId;
use appserver_domain::clock::{Clock, Moment};

/// How long a caller for whom a usable token lies ready waits for a fresh one. STS answers within a fraction of it;
/// if it does not, it is failing in one more way.
const STALE_WAIT: Duration = Duration::from_secs(1);

/// What all callers share.
#[derive(Debug)]
pub(super) struct Engine<S> {
    pub(super) sts: S,
    pub(super) settings: VendSettings,
    pub(super) metrics: VendMetrics,
    pub(super) tokens: Tokens,
    pub(super) budget: Arc<Budget>,
    pub(super) breaker: Breaker,
    pub(super) store: Arc<Store>,
    pub(super) in_flight: Arc<InFlightCalls<Outcome>>,
    /// At what other replicas have.
    pub(super) lookups: Arc<InFlightCalls<Option<Outcome>>>,
    pub(super) negative_cache: NegativeCache,
    /// Ends the task that refreshes ahead, if there has been anything to refresh.
    pub(super) refresher: OnceLock<DropGuard>,
    wait_limit: WaitLimit,
    /// By which what is kept ends.
    pub(super) clock: Clock,
    /// Changed by a reload, from one moment to the next.
    pub(super) holders: ArcSwap<GrantHolders>,
    hashing: KeyHashing,
}

/// What a first look finds.
pub(super) enum CacheLookup<'a> {
    Fresh(Arc<Token>),
    /// Nothing that is fresh, for this.
    Miss(LookupKey<'a>),
}

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    pub(super) fn new(
        sts: S,
        store: Arc<Store>,
        settings: VendSettings,
        metrics: VendMetrics,
        clock: Clock,
    ) -> Self {
        Self {
            sts,
            tokens: Tokens::new(settings.max_cached_tokens),
            budget: Arc::new(Budget::new(settings.budget, Arc::clone(&store), metrics.clone())),
            breaker: Breaker::new(settings.breaker),
            store,
            in_flight: Arc::default(),
            lookups: Arc::default(),
            negative_cache: NegativeCache::new(settings.negative_cache_lifetime),
            refresher: OnceLock::new(),
            wait_limit: WaitLimit::new(settings.max_waiting),
            holders: ArcSwap::from_pointee(GrantHolders::All),
            hashing: KeyHashing::default(),
            clock,
            settings,
            metrics,
        }
    }

    /// What is kept for the session, without a wait.
    pub(super) fn kept<'a>(
        self: &Arc<Self>,
        session: &'a RoleSession,
        holder: &'a GrantHolder,
        now: Moment,
    ) -> CacheLookup<'a> {
        let lookup_key = self.hashing.seek(session, holder);
        match self.tokens.of(&lookup_key) {
            Some(token) if token.is_fresh(now, &self.settings.freshness) => {
                if token.is_first_use() {
                    self.refresh_ahead(&token);
                }
                self.metrics.looked_up(Lookup::Hit);
                CacheLookup::Fresh(token)
            }
            Some(_) | None => CacheLookup::Miss(lookup_key),
        }
    }

    /// A token for a session for which none is kept: a new one, or while none can be had one that is still usable.
    pub(super) async fn fetched(
        self: &Arc<Self>,
        lookup_key: LookupKey<'_>,
        deadline: Instant,
    ) -> Result<(Arc<Token>, Source), VendError> {
        let freshness = &self.settings.freshness;
        let error = match self.fetch(lookup_key, deadline).await {
            Ok(token) => {
                let (lookup, source) = match token.is_of_replica() {
                    true => (Lookup::Shared, Source::Shared),
                    false => (Lookup::Miss, Source::Minted),
                };
                self.metrics.looked_up(lookup);
                return Ok((token, source));
            }
            Err(error) => error,
        };
        // Another replica's may have come meanwhile.
        match self.tokens.of(&lookup_key) {
            Some(token)
                if error.is_passing() && token.is_usable(self.clock.moment(), freshness) =>
            {
                self.metrics.looked_up(Lookup::Stale);
                Ok((token, Source::Stale))
            }
            Some(_) | None => {
                self.metrics.looked_up(Lookup::Failed);
                Err(error)
            }
        }
    }

    /// Waits for what other replicas have, or else for the key's flight.
    async fn fetch(self: &Arc<Self>, lookup_key: LookupKey<'_>, deadline: Instant) -> Outcome {
        let key = lookup_key.to_key();
        let client = &key.holder().client;
        let Some(_permit) = self.wait_limit.admit(client) else {
            return Err(match self.budget.reject(client) {
                VendError::Overloaded { retry_after } => VendError::Crowded { retry_after },
                other => other,
            });
        };
        let patient_until = Instant::now() + STALE_WAIT;
        let until = || if self.has_usable(&key) { deadline.min(patient_until) } else { deadline };
        match timeout_at(until(), self.check_replicas(&key)).await {
            Ok(Some(found)) => return found,
            Ok(None) => {}
            Err(_) => return Err(VendError::TimedOut),
        }
        let waiter = match self.join_or_start(client, &key, deadline) {
            Ok(waiter) => waiter,
            Err(outcome) => return outcome,
        };
        timeout_at(until(), waiter).await.unwrap_or(Err(VendError::TimedOut))
    }

    fn has_usable(&self, key: &Arc<Key>) -> bool {
        let held = self.tokens.peek(key);
        held.is_some_and(|token| token.is_usable(self.clock.moment(), &self.settings.freshness))
    }

    /// Joins the key's flight or starts it, unless there is an outcome without one.
    fn join_or_start(
        self: &Arc<Self>,
        client: &ClientId,
        key: &Arc<Key>,
        deadline: Instant,
    ) -> Result<impl Future<Output = Outcome> + use<S>, Outcome> {
        let entry = self.in_flight.join_or_start(key, Some(client), || {
            // A flight may have landed since the token was looked for.
            if let Some(token) = self.tokens.peek(key)
                && token.is_fresh(self.clock.moment(), &self.settings.freshness)
            {
                return Err(Ok(token));
            }
            if let Some(refusal) = self.negative_cache.of(key, self.clock.moment()) {
                return Err(Err(VendError::Sts(refusal)));
            }
            self.breaker.check().map_err(Err)?;
            self.budget.enter(client, deadline).map_err(Err)
        })?;
        // Refused a place of its own, who joins still has the flight's.
        let (waiter, second) = match entry {
            Entry::Joined(waiter, turn_signal) => {
                self.metrics.joined();
                turn_signal.link_trace();
                let second = turn_signal.add_queue_of(client).then_some(turn_signal);
                let turn = second.and_then(|turn_signal| {
                    Some((self.budget.enter(client, deadline).ok()?, turn_signal))
                });
                (waiter, turn)
            }
            Entry::Started(waiter, flight, turn) => {
                let payer = Payer::Client(client.clone(), turn);
                // A task of its own: callers come and go, the flight goes on.
                let running = Arc::clone(self).run(flight, payer);
                // Boxed: a future is moved several times until it runs, and this one is large.
                tokio::spawn(in_child_span("flight", Box::pin(running)).map(drop));
                (waiter, None)
            }
        };
        Ok(landing(waiter, second))
    }

    /// Brings the gauges up to date.
    pub(super) fn measure(&self) {
        let (rate, queued) = self.budget.measure();
        self.metrics.measured(self.tokens.len(), rate, queued, self.wait_limit.len());
        self.metrics.breaker(self.breaker.is_open());
    }
}

/// Waits for the flight's outcome, and meanwhile for the turn that may wake it.
async fn landing(waiter: Waiter<Outcome>, second: Option<(Turn, Arc<TurnSignal>)>) -> Outcome {
    let mut outcome = pin!(waiter.outcome());
    if let Some((mut turn, turn_signal)) = second {
        tokio::select! {
            biased;
            outcome = &mut outcome => return shared(outcome),
            () = turn.wait() => turn_signal.wake(),
        }
    }
    shared(outcome.await)
}

/// A flight's outcome as that of each who waited for it: a deadline in it was the flight's and not theirs.
fn shared(outcome: Option<Outcome>) -> Outcome {
    match outcome {
        Some(Err(VendError::TimedOut)) => Err(VendError::CallTimedOut),
        Some(outcome) => outcome,
        None => Err(VendError::CallLost),
    }
}
