//! Refreshing ahead: what is in use is renewed before anyone has to wait for it.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::engine::Engine;
use super::flight::Fare;
use super::flights::{Boarding, Passenger};
use super::key::{Key, Sought};
use super::token::Token;
use crate::sts::AssumeRole;
use crate::telemetry::{Origin, Refresh, Trace};

/// The pause before another try, spread up to twice it.
const AGAIN: Duration = Duration::from_secs(10);

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    /// Sees to it that the token is renewed before it stops being fresh.
    ///
    /// The first hit of a token calls this, so a key that nobody asks for again has no timer and costs nothing,
    /// and what is kept for a key in use is a timer and four pointers.
    pub(super) fn refresh_ahead(self: &Arc<Self>, sought: &Sought<'_>, token: &Arc<Token>) {
        let due = token.refresh_due(&self.settings.freshness, rand::random());
        let refresher = Refresher {
            // Neither an evicted token nor an engine that is gone is kept alive for its timer.
            engine: Arc::downgrade(self),
            token: Arc::downgrade(token),
            key: sought.to_key(),
            origin: Trace::current().and_then(|trace| trace.origin()).map(Box::new),
        };
        tokio::spawn(refresher.run(due));
    }

    /// Whether the token is still the one to be renewed: not evicted, not replaced, not left to those who wait.
    fn is_due(&self, key: &Arc<Key>, token: &Arc<Token>) -> bool {
        let held = self.tokens.peek(key);
        held.is_some_and(|held| Arc::ptr_eq(&held, token))
            && token.is_fresh(Instant::now(), &self.settings.freshness)
    }

    /// Tries once to renew the key's token, out of the share for it.
    async fn refresh(self: Arc<Self>, key: &Arc<Key>) -> Refresh {
        if let Some(elsewhere) = self.renewed_elsewhere(key).await {
            return elsewhere;
        }
        if self.refusals.of(key).is_some() {
            return Refresh::Failed;
        }
        if self.breaker.check().is_err() {
            return Refresh::CircuitOpen;
        }
        if !self.budget.take_spare().await {
            return Refresh::NoBudget;
        }
        match self.flights.board(key, None, || Ok::<_, Infallible>(())) {
            Ok(Boarding::Started(passenger, flight, ())) => {
                // Whoever joins has a seat of its own.
                drop::<Passenger<_>>(passenger);
                match self.fly(flight, Fare::Ahead).await {
                    Ok(_) => Refresh::Success,
                    Err(_) => Refresh::Failed,
                }
            }
            Ok(Boarding::Joined(..)) => Refresh::UnderWay,
        }
    }
}

struct Refresher<S> {
    engine: Weak<Engine<S>>,
    token: Weak<Token>,
    key: Arc<Key>,
    /// The request that it began with, where that is traced: the refreshes are, too. Boxed, because hardly any is.
    origin: Option<Box<Origin>>,
}

impl<S: AssumeRole + Send + Sync + 'static> Refresher<S> {
    /// Waits until the refresh is due, and tries until it has succeeded or is of no use any more.
    async fn run(self, mut due: Instant) {
        loop {
            sleep_until(due).await;
            let (Some(engine), Some(token)) = (self.engine.upgrade(), self.token.upgrade()) else {
                return;
            };
            if !engine.is_due(&self.key, &token) {
                return;
            }
            let refresh = Arc::clone(&engine).refresh(&self.key);
            let outcome = match &self.origin {
                Some(origin) => Box::pin(origin.begin("refresh").within(refresh)).await,
                None => refresh.await,
            };
            engine.metrics.refreshed(outcome);
            due = Instant::now() + AGAIN.mul_f64(1.0 + rand::random::<f64>());
        }
    }
}
