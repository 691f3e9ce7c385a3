//! Cache, flight, budget, STS: the way of one request.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::breaker::Breaker;
use super::budget::{Budget, Place};
use super::error::VendError;
use super::flights::{Boarding, Flight, Flights, Outcome, Passenger};
use super::key::{Key, KeyHashing, Sought};
use super::refusals::Refusals;
use super::settings::VendSettings;
use super::token::{Origin, Token};
use super::tokens::Tokens;
use super::waiters::Waiters;
use crate::domain::ClientId;
use crate::sts::{AssumeRole, RoleSession, StsError, retrying};
use crate::telemetry::{Lookup, VendMetrics};

/// How long a caller for whom a usable token lies ready waits for a fresh one. STS answers within a fraction of it;
/// if it does not, it is failing in one more way.
const PATIENCE: Duration = Duration::from_secs(1);

/// What all callers share.
#[derive(Debug)]
pub(super) struct Engine<S> {
    pub(super) sts: S,
    pub(super) settings: VendSettings,
    pub(super) metrics: VendMetrics,
    pub(super) tokens: Tokens,
    pub(super) budget: Arc<Budget>,
    pub(super) breaker: Breaker,
    pub(super) flights: Arc<Flights>,
    pub(super) refusals: Refusals,
    waiters: Waiters,
    hashing: KeyHashing,
}

/// Who pays for a flight.
#[derive(Debug)]
pub(super) enum Fare {
    /// A caller who waits, out of the budget, with its place in the queue.
    Waited(ClientId, Place),
    /// The share for refreshing ahead: one attempt, and it is paid.
    Ahead,
}

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    pub(super) fn new(sts: S, settings: VendSettings, metrics: VendMetrics) -> Self {
        Self {
            sts,
            tokens: Tokens::new(settings.max_keys),
            budget: Arc::new(Budget::new(settings.budget, metrics.clone())),
            breaker: Breaker::new(settings.breaker),
            flights: Arc::default(),
            refusals: Refusals::new(settings.remember_refusals),
            waiters: Waiters::new(settings.max_waiting),
            hashing: KeyHashing::default(),
            settings,
            metrics,
        }
    }

    /// A token for the session: a fresh one, or while none can be had one that is still usable.
    pub(super) async fn vend(
        self: &Arc<Self>,
        client: &ClientId,
        session: &RoleSession,
        deadline: Instant,
    ) -> Outcome {
        let freshness = &self.settings.freshness;
        let sought = self.hashing.seek(session);
        let now = Instant::now();
        let held = self.tokens.of(&sought);
        if let Some(token) = &held
            && token.is_fresh(now, freshness)
        {
            if token.is_first_use() {
                self.refresh_ahead(&sought, token);
            }
            self.metrics.looked_up(Lookup::Hit);
            return Ok(Arc::clone(token));
        }
        let usable = held.filter(|token| token.is_usable(now, freshness));
        let until = if usable.is_some() { deadline.min(now + PATIENCE) } else { deadline };
        let fetched = self.fetch(client, sought, deadline, until).await;
        let error = match fetched {
            Ok(token) => {
                self.metrics.looked_up(Lookup::Miss);
                return Ok(token);
            }
            Err(error) => error,
        };
        match usable {
            Some(token) if error.is_passing() && token.is_usable(Instant::now(), freshness) => {
                self.metrics.looked_up(Lookup::Stale);
                Ok(token)
            }
            Some(_) | None => {
                self.metrics.looked_up(Lookup::Failed);
                Err(error)
            }
        }
    }

    /// Waits for the key's flight, at most until `until`.
    async fn fetch(
        self: &Arc<Self>,
        client: &ClientId,
        sought: Sought<'_>,
        deadline: Instant,
        until: Instant,
    ) -> Outcome {
        let Some(_waiter) = self.waiters.admit(client) else {
            return Err(self.budget.turn_away(client));
        };
        let passenger = match self.board(client, &sought.to_key(), deadline) {
            Ok(passenger) => passenger,
            Err(landed) => return landed,
        };
        timeout_at(until, passenger.outcome()).await.unwrap_or(Err(VendError::TimedOut))
    }

    /// Joins the key's flight or starts it, unless there is an outcome without one.
    fn board(
        self: &Arc<Self>,
        client: &ClientId,
        key: &Arc<Key>,
        deadline: Instant,
    ) -> Result<Passenger, Outcome> {
        let boarding = self.flights.board(key, || {
            // A flight may have landed since the token was looked for.
            if let Some(token) = self.tokens.peek(key)
                && token.is_fresh(Instant::now(), &self.settings.freshness)
            {
                return Err(Ok(token));
            }
            if let Some(refusal) = self.refusals.of(key) {
                return Err(Err(VendError::Sts(refusal)));
            }
            self.breaker.check().map_err(Err)?;
            self.budget.enter(client, deadline).map_err(Err)
        })?;
        match boarding {
            Boarding::Joined(passenger) => {
                self.metrics.joined();
                Ok(passenger)
            }
            Boarding::Started(passenger, flight, place) => {
                let fare = Fare::Waited(client.clone(), place);
                // A task of its own: callers come and go, the flight goes on.
                let flown = Arc::clone(self).fly(flight, fare);
                tokio::spawn(async move { drop(flown.await) });
                Ok(passenger)
            }
        }
    }

    /// Flies, keeps what it brings, and tells everyone who waits.
    pub(super) async fn fly(self: Arc<Self>, flight: Flight, mut fare: Fare) -> Outcome {
        let turn = async {
            match &mut fare {
                Fare::Waited(_, place) => place.turn().await,
                Fare::Ahead => {}
            }
        };
        // In the queue a flight costs nothing yet, so one that nobody waits for ends there.
        tokio::select! {
            biased;
            () = turn => {}
            () = flight.deserted() => return Err(VendError::TimedOut),
        }
        let deadline = Instant::now() + self.settings.flight_timeout;
        let outcome = match self.call(&flight, &fare, deadline).await {
            Ok(token) => {
                self.tokens.keep(flight.key(), &token);
                Ok(token)
            }
            Err(error) => {
                if let VendError::Sts(error) = &error {
                    self.refusals.note(flight.key(), error);
                }
                Err(error)
            }
        };
        flight.land(outcome.clone());
        outcome
    }

    /// Calls STS, as often as it is worth it and the budget allows.
    async fn call(&self, flight: &Flight, fare: &Fare, deadline: Instant) -> Outcome {
        let attempt = |number| self.attempt(flight, fare, number, deadline);
        let most = match fare {
            Fare::Waited(..) => self.settings.max_attempts,
            Fare::Ahead => NonZeroU32::MIN,
        };
        match retrying(deadline, most, attempt).await {
            Ok(outcome) => outcome,
            Err(error) => Err(VendError::Sts(Arc::new(error))),
        }
    }

    /// One attempt, paid and learnt from. The inner error ends the call: nothing was sent.
    async fn attempt(
        &self,
        flight: &Flight,
        fare: &Fare,
        number: u32,
        deadline: Instant,
    ) -> Result<Outcome, StsError> {
        if number > 1
            && let Fare::Waited(client, _) = fare
        {
            // Another attempt is another call, with another place in the queue; and not for nobody.
            if flight.is_deserted() {
                return Ok(Err(VendError::TimedOut));
            }
            match self.budget.enter(client, deadline) {
                Ok(mut place) => place.turn().await,
                Err(overloaded) => return Ok(Err(overloaded)),
            }
        }
        if let Err(open) = self.breaker.admit() {
            return Ok(Err(open));
        }
        let outcome = self.sts.assume_role(flight.key().session(), number, deadline).await;
        self.breaker.learn(!outcome.as_ref().is_err_and(StsError::is_an_outage));
        if outcome.as_ref().is_err_and(StsError::is_throttling) {
            self.budget.cut();
        }
        let origin = match fare {
            Fare::Waited(..) => Origin::Need,
            Fare::Ahead => Origin::Renewal,
        };
        outcome.map(|credentials| Ok(Arc::new(Token::new(credentials, Instant::now(), origin))))
    }

    /// Brings the gauges up to date.
    pub(super) fn measure(&self) {
        let (rate, queued) = self.budget.measure();
        self.metrics.measured(self.tokens.len(), rate, queued, self.waiters.len());
        self.metrics.breaker(self.breaker.is_open());
    }
}
