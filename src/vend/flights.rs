//! Calls to STS that are under way, one for each key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::departure::Departure;
use super::error::VendError;
use super::key::{Key, Prehashed};
use super::token::Token;
use crate::domain::ClientId;

/// What a flight brings, to everyone who waits for it.
pub(super) type Outcome = Result<Arc<Token>, VendError>;

type ByKey = HashMap<Arc<Key>, UnderWay, Prehashed>;

#[derive(Debug)]
struct UnderWay {
    outcome: watch::Sender<Option<Outcome>>,
    departure: Arc<Departure>,
}

#[derive(Debug, Default)]
pub(super) struct Flights {
    /// A std mutex: held for a lookup, and to make sure of what must not change while a flight is started; never
    /// across an await.
    under_way: Mutex<ByKey>,
}

/// A flight's own end of it. However the flight ends, its key is free again.
#[derive(Debug)]
pub(super) struct Flight {
    flights: Arc<Flights>,
    key: Arc<Key>,
    departure: Arc<Departure>,
    outcome: watch::Sender<Option<Outcome>>,
}

/// A seat on a flight. Whoever drops it takes nobody down.
#[derive(Debug)]
pub(super) struct Passenger(watch::Receiver<Option<Outcome>>);

/// How a caller gets to wait.
pub(super) enum Boarding<P> {
    Joined(Passenger, Arc<Departure>),
    /// There was no flight for the key, and now there is: it must be flown with what was prepared.
    Started(Passenger, Flight, P),
}

impl Flights {
    /// Joins the key's flight, or starts one in the line of `client` if `prepare` finds nothing against it.
    ///
    /// `prepare` runs while no flight can start or end, so what it sees cannot be overtaken.
    pub(super) fn board<P, E>(
        self: &Arc<Self>,
        key: &Arc<Key>,
        client: Option<&ClientId>,
        prepare: impl FnOnce() -> Result<P, E>,
    ) -> Result<Boarding<P>, E> {
        let mut under_way = self.under_way();
        if let Some(UnderWay { outcome, departure }) = under_way.get(key) {
            return Ok(Boarding::Joined(Passenger(outcome.subscribe()), Arc::clone(departure)));
        }
        let prepared = prepare()?;
        let (outcome, passenger) = watch::channel(None);
        let departure = Arc::new(Departure::of(client));
        let entry = UnderWay { outcome: outcome.clone(), departure: Arc::clone(&departure) };
        under_way.insert(Arc::clone(key), entry);
        let (flights, key) = (Arc::clone(self), Arc::clone(key));
        let flight = Flight { flights, key, departure, outcome };
        Ok(Boarding::Started(Passenger(passenger), flight, prepared))
    }

    fn under_way(&self) -> MutexGuard<'_, ByKey> {
        // Nothing in here panics half way through a change.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    pub(super) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    pub(super) fn departure(&self) -> &Departure {
        &self.departure
    }

    /// Comes when nobody waits any more, and nobody can join: only then is it free to end unflown.
    pub(super) async fn deserted(&self) {
        loop {
            self.outcome.closed().await;
            let mut under_way = self.flights.under_way();
            // Whoever joins does so under the same lock.
            if self.outcome.is_closed() {
                under_way.remove(&self.key);
                return;
            }
        }
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.outcome.is_closed()
    }

    /// Ends the flight. What it brought must be where the next caller looks before: from here on a new flight may
    /// start.
    pub(super) fn land(self, outcome: Outcome) {
        self.flights.under_way().remove(&self.key);
        self.outcome.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut under_way = self.flights.under_way();
        // It may have landed, and another may have started since.
        if under_way.get(&self.key).is_some_and(|other| other.outcome.same_channel(&self.outcome)) {
            under_way.remove(&self.key);
        }
    }
}

impl Passenger {
    pub(super) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("it was waited for"),
            // The flight ended without a word: its task panicked, or the process stops.
            Err(_) => Err(VendError::TimedOut),
        }
    }
}
