//! The sequence of a request: the cache, or the key's call in flight, or a stale token while STS fails.
//!
//! The parts decide and do the work; the engine only says which one is next.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};

use super::budget::Turn;
use super::budgets::Budgets;
use super::cache::{
    CacheLookup, GrantHolder, GrantHolders, Key, LookupKey, Prehashed, Token, TokenCache,
    TokenSource,
};
use super::call_runner::CallRunner;
use super::error::{Outcome, VendError};
use super::refresh::Refresher;
use super::replicas::Replicas;
use super::settings::VendSettings;
use super::sts_calls::{Payer, StsCalls};
use super::turn_signal::TurnSignal;
use super::wait_limit::WaitLimit;
use crate::single_flight::{Entry, InFlightCalls, Waiter};
use crate::sts::{AssumeRole, RoleSession};
use crate::telemetry::{Lookup, Refresh, VendMetrics, in_child_span};
use appserver_domain::clock::{Clock, Moment};
use appserver_domain::{ClientId, UpstreamName};

/// How long a caller waits for a fresh token while a usable one is cached. STS answers within a fraction of it; a
/// slower answer counts as a failure.
const STALE_WAIT: Duration = Duration::from_secs(1);

type Calls = InFlightCalls<Arc<Key>, Outcome, TurnSignal, Prehashed>;

/// The parts that all requests share.
#[derive(Debug)]
pub(super) struct Engine<S> {
    pub(super) cache: Arc<TokenCache>,
    pub(super) replicas: Arc<Replicas>,
    pub(super) sts_calls: Arc<StsCalls<S>>,
    call_runner: Arc<CallRunner<S>>,
    in_flight: Arc<Calls>,
    refresher: Refresher,
    wait_limit: WaitLimit,
    metrics: VendMetrics,
}

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    pub(super) fn new(
        upstream: &UpstreamName,
        sts: S,
        budgets: &Budgets,
        settings: &VendSettings,
        metrics: VendMetrics,
        clock: Clock,
    ) -> Self {
        let cache = Arc::new(TokenCache::new(settings, clock.clone()));
        let budget = budgets.unused(settings.budget);
        let store = Arc::clone(budgets.store());
        let replicas = Replicas::new(store, upstream.clone(), Arc::clone(&cache));
        let replicas = Arc::new(replicas);
        let sts_calls = StsCalls::new(sts, upstream.clone(), budget, settings, clock);
        let sts_calls = Arc::new(sts_calls);
        let call_runner = CallRunner::new(
            Arc::clone(&cache),
            Arc::clone(&replicas),
            Arc::clone(&sts_calls),
            settings.call_timeout,
        );
        Self {
            cache,
            replicas,
            sts_calls,
            call_runner: Arc::new(call_runner),
            in_flight: Arc::default(),
            refresher: Refresher::default(),
            wait_limit: WaitLimit::new(settings.max_waiting),
            metrics,
        }
    }

    /// Looks for a fresh token in the cache, without waiting.
    pub(super) fn lookup<'a>(
        self: &Arc<Self>,
        session: &'a RoleSession,
        holder: &'a GrantHolder,
        now: Moment,
    ) -> CacheLookup<'a> {
        let found = self.cache.lookup(session, holder, now);
        if let CacheLookup::Fresh(token) = &found {
            if token.is_first_use() {
                self.refresh_ahead(token);
            }
            self.metrics.looked_up(Lookup::Hit);
        }
        found
    }

    /// A new token for a session without a fresh one; a stale one if none is available in time.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        key: LookupKey<'_>,
        deadline: Instant,
    ) -> Result<(Arc<Token>, TokenSource), VendError> {
        let error = match self.fetch_fresh(key, deadline).await {
            Ok(token) => {
                let (lookup, source) = if token.is_of_replica() {
                    (Lookup::Shared, TokenSource::Shared)
                } else {
                    (Lookup::Miss, TokenSource::Issued)
                };
                self.metrics.looked_up(lookup);
                return Ok((token, source));
            }
            Err(error) => error,
        };
        // Another replica's token may have arrived meanwhile.
        match self.cache.get(&key) {
            Some(token) if error.is_temporary() && self.cache.is_usable(&token) => {
                self.metrics.looked_up(Lookup::Stale);
                Ok((token, TokenSource::Stale))
            }
            Some(_) | None => {
                self.metrics.looked_up(Lookup::Failed);
                Err(error)
            }
        }
    }

    /// Waits for the other replicas, or else for the key's call.
    async fn fetch_fresh(self: &Arc<Self>, key: LookupKey<'_>, deadline: Instant) -> Outcome {
        let key = key.to_key();
        let client = &key.holder().client;
        let Some(_permit) = self.wait_limit.admit(client) else {
            return Err(match self.sts_calls.budget().reject(client) {
                VendError::Overloaded { retry_after } => VendError::Crowded { retry_after },
                other => other,
            });
        };
        let stale_at = Instant::now() + STALE_WAIT;
        let until = || if self.cache.has_usable(&key) { deadline.min(stale_at) } else { deadline };
        // A call of this replica has checked the others already.
        if self.replicas.is_shared() && !self.in_flight.contains(&key) {
            match timeout_at(until(), self.replicas.check(&key)).await {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(_) => return Err(VendError::TimedOut),
            }
        }
        let waiting = match self.join_or_start(client, &key, deadline) {
            Ok(waiting) => waiting,
            Err(outcome) => return outcome,
        };
        timeout_at(until(), waiting).await.unwrap_or(Err(VendError::TimedOut))
    }

    /// Joins the key's call or starts it, unless there is an outcome without one.
    fn join_or_start(
        self: &Arc<Self>,
        client: &ClientId,
        key: &Arc<Key>,
        deadline: Instant,
    ) -> Result<impl Future<Output = Outcome> + use<S>, Outcome> {
        let budget = self.sts_calls.budget();
        let entry = self.in_flight.join_or_start(key, || {
            // A call may have completed since the lookup.
            if let Some(token) = self.cache.peek_fresh(key) {
                return Err(Ok(token));
            }
            if let Some(refusal) = self.cache.negative().get(key, self.cache.now()) {
                return Err(Err(VendError::Sts(refusal)));
            }
            self.sts_calls.check().map_err(Err)?;
            let turn = budget.enter(client, deadline).map_err(Err)?;
            Ok((TurnSignal::of(Some(client)), turn))
        })?;
        let (waiter, own_turn) = match entry {
            Entry::Joined(waiter, signal) => {
                self.metrics.coalesced();
                signal.link_trace();
                // If the budget rejects it, the caller still waits for the call's own turn.
                let own_turn = signal
                    .add_queue_of(client)
                    .then_some(signal)
                    .and_then(|signal| Some((budget.enter(client, deadline).ok()?, signal)));
                (waiter, own_turn)
            }
            Entry::Started(waiter, call, turn) => {
                let payer = Payer::Client(client.clone(), turn);
                // A task of its own: the call goes on when its callers leave.
                let running = Arc::clone(&self.call_runner).run(call, payer);
                // Boxed: a future is moved several times until it runs, and this one is large.
                tokio::spawn(in_child_span("shared call", Box::pin(running)).map(drop));
                (waiter, None)
            }
        };
        Ok(wait(waiter, own_turn))
    }

    /// Schedules the refresh of a token before it stops being fresh.
    ///
    /// The first hit of a token calls this, so a key that is never used again has no timer. An evicted token takes its
    /// timer along.
    fn refresh_ahead(self: &Arc<Self>, token: &Arc<Token>) {
        let due = token.refresh_due(self.cache.freshness(), rand::random());
        self.cache.schedule_refresh(token, due);
        let engine = Arc::downgrade(self);
        self.refresher.ensure_started(self.cache.refresh_schedule(), move |key| {
            let engine = engine.upgrade()?;
            // Only a token that was used, and for whose successor no caller waits yet.
            let token = engine.cache.peek_fresh(&key).filter(|token| token.is_used())?;
            Some(async move { engine.refresh_and_reschedule(token).await })
        });
    }

    /// Refreshes the token, and schedules another try if it is still the cached one.
    async fn refresh_and_reschedule(self: Arc<Self>, token: Arc<Token>) {
        let refresh = Arc::clone(&self).refresh(token.key());
        let outcome = match token.first_traced() {
            Some(origin) => Box::pin(origin.start_linked("refresh").in_scope(refresh)).await,
            None => refresh.await,
        };
        self.metrics.refreshed(outcome);
        let (now, freshness) = (self.cache.now(), self.cache.freshness());
        self.cache.schedule_refresh(&token, token.refresh_retry(now, freshness, rand::random()));
    }

    /// Tries once to refresh the key's token, paid from the share for refreshes.
    async fn refresh(self: Arc<Self>, key: &Arc<Key>) -> Refresh {
        if let Some(elsewhere) = self.replicas.refreshed_elsewhere(key).await {
            return elsewhere;
        }
        if self.cache.negative().get(key, self.cache.now()).is_some() {
            return Refresh::Failed;
        }
        match self.sts_calls.check() {
            Ok(()) => {}
            Err(VendError::NoCredentials) => return Refresh::Failed,
            Err(_) => return Refresh::CircuitOpen,
        }
        if !self.sts_calls.budget().try_take_for_refresh().await {
            return Refresh::NoBudget;
        }
        let entry =
            self.in_flight.join_or_start(key, || Ok::<_, Infallible>((TurnSignal::of(None), ())));
        match entry {
            Ok(Entry::Started(waiter, call, ())) => {
                // Callers that join have waiters of their own.
                drop::<Waiter<_>>(waiter);
                match Arc::clone(&self.call_runner).run(call, Payer::RefreshShare).await {
                    Ok(_) => Refresh::Success,
                    Err(_) => Refresh::Failed,
                }
            }
            Ok(Entry::Joined(..)) => Refresh::UnderWay,
        }
    }

    /// Removes the tokens of all other grant holders, here and where replicas share them. None of them is refreshed.
    pub(super) fn retain_holders(self: &Arc<Self>, holders: GrantHolders) {
        let removed = self.cache.retain_holders(holders);
        if removed.is_empty() {
            return;
        }
        tracing::info!(
            cache.tokens = removed.len(),
            "removed cached tokens: their clients or grants were removed or changed"
        );
        self.forget(removed);
    }

    /// Removes the tokens of these grant holders, here and where replicas share them. Returns how many.
    pub(super) fn remove_holders(
        self: &Arc<Self>,
        is_removed: impl Fn(&GrantHolder) -> bool,
    ) -> usize {
        let removed = self.cache.remove_holders(is_removed);
        let count = removed.len();
        if count > 0 {
            self.forget(removed);
        }
        count
    }

    /// Removes what replicas share of these keys, without waiting for it.
    fn forget(&self, removed: Vec<Arc<Key>>) {
        let replicas = Arc::clone(&self.replicas);
        tokio::spawn(async move {
            for key in removed {
                replicas.forget(&key).await;
            }
        });
    }

    /// Updates the gauges of the upstream. Returns the cached tokens and the waiting callers.
    pub(super) fn measure(&self) -> (usize, usize) {
        let (rate, queued) = self.sts_calls.budget().measure();
        self.metrics.measured(rate, queued, self.sts_calls.breaker().is_open());
        (self.cache.len(), self.wait_limit.len())
    }
}

/// Waits for a call's outcome, and meanwhile for the caller's own turn, which wakes the call.
async fn wait(waiter: Waiter<Outcome>, own_turn: Option<(Turn, Arc<TurnSignal>)>) -> Outcome {
    let mut result = pin!(waiter.result());
    if let Some((mut turn, signal)) = own_turn {
        tokio::select! {
            biased;
            result = &mut result => return for_waiter(result),
            () = turn.wait() => signal.wake(),
        }
    }
    for_waiter(result.await)
}

/// A call's outcome as each waiter sees it: a time-out in it was the call's, not the waiter's.
fn for_waiter(result: Option<Outcome>) -> Outcome {
    match result {
        Some(Err(VendError::TimedOut)) => Err(VendError::CallTimedOut),
        Some(outcome) => outcome,
        None => Err(VendError::CallLost),
    }
}
