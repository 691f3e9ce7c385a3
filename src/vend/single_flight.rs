//! What is under way for a key, once for all who need it: calls to STS, and looks at what other replicas have.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::error::VendError;
use super::key::{Key, Prehashed};
use super::token::Token;
use super::turn_signal::TurnSignal;
use appserver_domain::ClientId;

/// What a flight brings, to everyone who waits for it.
pub(super) type Outcome = Result<Arc<Token>, VendError>;

type ByKey<T> = HashMap<Arc<Key>, UnderWay<T>, Prehashed>;

#[derive(Debug)]
struct UnderWay<T> {
    outcome: watch::Sender<Option<T>>,
    turn_signal: Arc<TurnSignal>,
}

#[derive(Debug)]
pub(super) struct InFlightCalls<T> {
    /// Held for a lookup, and to make sure of what must not change while a flight is started; never
    /// across an await.
    under_way: Mutex<ByKey<T>>,
}

/// A flight's own end of it. However the flight ends, its key is free again.
#[derive(Debug)]
pub(super) struct InFlightCall<T> {
    in_flight: Arc<InFlightCalls<T>>,
    key: Arc<Key>,
    turn_signal: Arc<TurnSignal>,
    outcome: watch::Sender<Option<T>>,
}

/// A position on a flight. Whoever drops it takes nobody down.
#[derive(Debug)]
pub(super) struct Waiter<T>(watch::Receiver<Option<T>>);

/// How a caller gets to wait.
pub(super) enum Entry<T, P> {
    Joined(Waiter<T>, Arc<TurnSignal>),
    /// There was no flight for the key, and now there is: it must be running with what was prepared.
    Started(Waiter<T>, InFlightCall<T>, P),
}

impl<T> Default for InFlightCalls<T> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<T> InFlightCalls<T> {
    /// Joins the key's flight, or starts one in the line of `client` if `prepare` finds nothing against it.
    ///
    /// `prepare` runs while no flight can start or end, so what it sees cannot be overtaken.
    pub(super) fn join_or_start<P, E>(
        self: &Arc<Self>,
        key: &Arc<Key>,
        client: Option<&ClientId>,
        prepare: impl FnOnce() -> Result<P, E>,
    ) -> Result<Entry<T, P>, E> {
        let mut under_way = self.under_way();
        if let Some(UnderWay { outcome, turn_signal }) = under_way.get(key) {
            return Ok(Entry::Joined(Waiter(outcome.subscribe()), Arc::clone(turn_signal)));
        }
        let prepared = prepare()?;
        let (outcome, waiter) = watch::channel(None);
        let turn_signal = Arc::new(TurnSignal::of(client));
        let entry = UnderWay { outcome: outcome.clone(), turn_signal: Arc::clone(&turn_signal) };
        under_way.insert(Arc::clone(key), entry);
        let (in_flight, key) = (Arc::clone(self), Arc::clone(key));
        let flight = InFlightCall { in_flight, key, turn_signal, outcome };
        Ok(Entry::Started(Waiter(waiter), flight, prepared))
    }

    pub(super) fn is_under_way(&self, key: &Arc<Key>) -> bool {
        self.under_way().contains_key(key)
    }

    fn under_way(&self) -> MutexGuard<'_, ByKey<T>> {
        // Nothing in here panics half way through a change.
        self.under_way.lock()
    }
}

impl<T> InFlightCall<T> {
    pub(super) fn key(&self) -> &Arc<Key> {
        &self.key
    }

    pub(super) fn turn_signal(&self) -> &TurnSignal {
        &self.turn_signal
    }

    /// Comes when nobody waits any more, and nobody can join: only then is it free to end unflown.
    pub(super) async fn abandoned(&self) {
        loop {
            self.outcome.closed().await;
            let mut under_way = self.in_flight.under_way();
            // Whoever joins does so under the same lock.
            if self.outcome.is_closed() {
                under_way.remove(&self.key);
                return;
            }
        }
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.outcome.is_closed()
    }

    /// Ends the flight. What it brought must be where the next caller looks before: from here on a new flight may
    /// start.
    pub(super) fn complete(self, outcome: T) {
        self.in_flight.under_way().remove(&self.key);
        self.outcome.send_replace(Some(outcome));
    }
}

impl<T> Drop for InFlightCall<T> {
    fn drop(&mut self) {
        let mut under_way = self.in_flight.under_way();
        // It may have landed, and another may have started since.
        if under_way.get(&self.key).is_some_and(|other| other.outcome.same_channel(&self.outcome)) {
            under_way.remove(&self.key);
        }
    }
}

impl<T: Clone> Waiter<T> {
    /// What the flight brought; nothing if it ended without a word: its task panicked, or the process stops.
    pub(super) async fn outcome(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone())
    }
}
