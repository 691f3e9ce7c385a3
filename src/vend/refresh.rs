//! Refreshing ahead: what is in use is renewed before anyone has to wait for it.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::engine::Engine;
use super::key::Key;
use super::refresh_schedule::RefreshSchedule;
use super::single_flight::{Entry, Waiter};
use super::sts_calls::Payer;
use super::token::Token;
use crate::sts::AssumeRole;
use crate::telemetry::Refresh;

/// The pause before another try, spread up to twice it.
const AGAIN: Duration = Duration::from_secs(10);
/// Refreshes under way at one time, some 5 KB each; what is due beyond it waits for one of them. STS answers in a fifth
/// of a second, so that is some hundreds a second, and the budget's share for refreshes is less.
const AT_ONCE: usize = 64;

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    /// Sees to it that the token is renewed before it stops being fresh.
    ///
    /// The first hit of a token calls this, so a key that nobody asks for again has no timer and costs nothing. A
    /// token that is evicted takes its timer with it.
    pub(super) fn refresh_ahead(self: &Arc<Self>, token: &Token) {
        let due = token.refresh_due(&self.settings.freshness, rand::random());
        self.tokens.renew_at(token.key(), due);
        self.refresher.get_or_init(|| self.start_refreshing());
    }

    /// Starts the one task that waits for what is due; it ends with the guard, which is the engine's.
    fn start_refreshing(self: &Arc<Self>) -> DropGuard {
        let ends = CancellationToken::new();
        let ended = ends.clone();
        let refresh_schedule = Arc::clone(self.tokens.refresh_schedule());
        let refreshing = refreshing(Arc::downgrade(self), refresh_schedule);
        tokio::spawn(async move { ended.run_until_cancelled(refreshing).await });
        ends.drop_guard()
    }

    /// The key's token, if it is to be renewed: used since it came, and not yet left to those who wait.
    fn due(&self, key: &Arc<Key>) -> Option<Arc<Token>> {
        let token = self.tokens.peek(key)?;
        let is_due =
            token.is_used() && token.is_fresh(self.clock.moment(), &self.settings.freshness);
        is_due.then_some(token)
    }

    /// Tries to renew the token, and plans another try if it is still the one that is kept.
    async fn renew(self: Arc<Self>, token: Arc<Token>) {
        let refresh = Arc::clone(&self).refresh(token.key());
        let outcome = match token.first_traced() {
            Some(origin) => Box::pin(origin.start_linked("refresh").in_scope(refresh)).await,
            None => refresh.await,
        };
        self.metrics.refreshed(outcome);
        if self.tokens.keeps(&token) {
            let again = AGAIN.mul_f64(1.0 + rand::random::<f64>());
            self.tokens.renew_at(token.key(), Instant::now() + again);
        }
    }

    /// Tries once to renew the key's token, out of the share for it.
    async fn refresh(self: Arc<Self>, key: &Arc<Key>) -> Refresh {
        if let Some(elsewhere) = self.renewed_elsewhere(key).await {
            return elsewhere;
        }
        if self.negative_cache.of(key, self.clock.moment()).is_some() {
            return Refresh::Failed;
        }
        if self.breaker.check().is_err() {
            return Refresh::CircuitOpen;
        }
        if !self.budget.try_take_for_refresh().await {
            return Refresh::NoBudget;
        }
        match self.in_flight.join_or_start(key, None, || Ok::<_, Infallible>(())) {
            Ok(Entry::Started(waiter, flight, ())) => {
                // Each caller that joins has a waiter of its own.
                drop::<Waiter<_>>(waiter);
                match self.run(flight, Payer::RefreshShare).await {
                    Ok(_) => Refresh::Success,
                    Err(_) => Refresh::Failed,
                }
            }
            Ok(Entry::Joined(..)) => Refresh::UnderWay,
        }
    }
}

/// Waits for what is due and has it renewed, each on a task of its own that lives as long as that takes.
async fn refreshing<S>(engine: Weak<Engine<S>>, refresh_schedule: Arc<RefreshSchedule>)
where
    S: AssumeRole + Send + Sync + 'static,
{
    let room = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let key = refresh_schedule.next().await;
        let Some(engine) = engine.upgrade() else { return };
        let Some(token) = engine.due(&key) else { continue };
        tokio::spawn(Box::pin(async move {
            engine.renew(token).await;
            drop(place);
        }));
    }
}
