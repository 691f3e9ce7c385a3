//! The calls in flight, by key, with the running end of each and its waiters.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use tokio::sync::watch;

use super::sync::{Mutex, MutexGuard};

type ByKey<K, T, C, S> = HashMap<K, Registered<T, C>, S>;

#[derive(Debug)]
struct Registered<T, C> {
    result: watch::Sender<Option<T>>,
    context: Arc<C>,
}

/// The calls in flight, by key. `C` is what a call shares with the callers that join it.
#[derive(Debug)]
pub(crate) struct InFlightCalls<K, T, C, S> {
    /// Held for a lookup, and while `prepare` checks what must not change while a call starts; never across an await.
    calls: Mutex<ByKey<K, T, C, S>>,
}

/// The running end of a call. Dropping it frees the key.
#[derive(Debug)]
pub(crate) struct InFlightCall<K: Eq + Hash, T, C, S: BuildHasher> {
    calls: Arc<InFlightCalls<K, T, C, S>>,
    key: K,
    context: Arc<C>,
    result: watch::Sender<Option<T>>,
}

/// A caller that waits for a call. Dropping it affects no other waiter.
#[derive(Debug)]
pub(crate) struct Waiter<T>(watch::Receiver<Option<T>>);

/// How a caller came to wait.
pub(crate) enum Entry<K: Eq + Hash, T, C, S: BuildHasher, P> {
    Joined(Waiter<T>, Arc<C>),
    /// No call was in flight, and now one is: the caller must run it, with what it prepared.
    Started(Waiter<T>, InFlightCall<K, T, C, S>, P),
}

impl<K, T, C, S: Default> Default for InFlightCalls<K, T, C, S> {
    fn default() -> Self {
        Self { calls: Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, T, C, S: BuildHasher> InFlightCalls<K, T, C, S> {
    /// Joins the key's call, or starts one unless `prepare` objects.
    ///
    /// No call starts or ends while `prepare` runs, so what it checks stays true until the call is registered.
    pub(crate) fn join_or_start<P, E>(
        self: &Arc<Self>,
        key: &K,
        prepare: impl FnOnce() -> Result<(C, P), E>,
    ) -> Result<Entry<K, T, C, S, P>, E> {
        let mut calls = self.calls();
        if let Some(Registered { result, context }) = calls.get(key) {
            return Ok(Entry::Joined(Waiter(result.subscribe()), Arc::clone(context)));
        }
        let (context, prepared) = prepare()?;
        let context = Arc::new(context);
        let (result, waiter) = watch::channel(None);
        let registered = Registered { result: result.clone(), context: Arc::clone(&context) };
        calls.insert(key.clone(), registered);
        let call = InFlightCall { calls: Arc::clone(self), key: key.clone(), context, result };
        Ok(Entry::Started(Waiter(waiter), call, prepared))
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.calls().contains_key(key)
    }
}

impl<K, T, C, S> InFlightCalls<K, T, C, S> {
    fn calls(&self) -> MutexGuard<'_, ByKey<K, T, C, S>> {
        self.calls.lock()
    }
}

impl<K: Eq + Hash, T, C, S: BuildHasher> InFlightCall<K, T, C, S> {
    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn context(&self) -> &C {
        &self.context
    }

    /// Resolves when no caller waits any more and none can join: only then may the call end without a result.
    pub(crate) async fn abandoned(&self) {
        loop {
            self.result.closed().await;
            let mut calls = self.calls.calls();
            // Callers join under the same lock.
            if self.result.is_closed() {
                calls.remove(&self.key);
                return;
            }
        }
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.result.is_closed()
    }

    /// Ends the call for all waiters. The result must be stored where the next caller looks first, because a new call
    /// may start from here on.
    pub(crate) fn complete(self, result: T) {
        self.calls.calls().remove(&self.key);
        self.result.send_replace(Some(result));
    }
}

impl<K: Eq + Hash, T, C, S: BuildHasher> Drop for InFlightCall<K, T, C, S> {
    fn drop(&mut self) {
        let mut calls = self.calls.calls();
        // The call may be complete, and another may have started since.
        if calls.get(&self.key).is_some_and(|other| other.result.same_channel(&self.result)) {
            calls.remove(&self.key);
        }
    }
}

impl<T: Clone> Waiter<T> {
    /// The result; `None` if the call ended without one because its task panicked or the process stops.
    pub(crate) async fn result(mut self) -> Option<T> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|result| result.clone())
    }
}
