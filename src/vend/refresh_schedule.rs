//! When which kept token is to be renewed: one timer for all of them.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};

use super::key::{Key, Prehashed};

/// The keys whose tokens are to be renewed, each once and in the order of their times: some 100 bytes each, beside the
/// key, which is the one that the token is kept by.
///
/// `Tokens` owns it and forgets here what it keeps no longer, so it is never longer than what is kept.
#[derive(Debug, Default)]
pub(super) struct RefreshSchedule {
    /// Held for a few instructions, never across an await; nothing else is locked while it is held.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    due: DelayQueue<Arc<Key>>,
    /// Where each key is in `due`. A place is used again for others once its key has left.
    places: HashMap<Arc<Key>, delay_queue::Key, Prehashed>,
}

impl RefreshSchedule {
    /// The key's token is to be renewed then, whatever was planned before.
    pub(super) fn schedule(&self, key: &Arc<Key>, at: Instant) {
        let State { due, places } = &mut *self.state();
        match places.get(key) {
            Some(place) => due.reset_at(place, at),
            None => {
                let place = due.insert_at(Arc::clone(key), at);
                places.insert(Arc::clone(key), place);
            }
        }
    }

    /// Nothing is to be renewed for the key.
    pub(super) fn forget(&self, key: &Arc<Key>) {
        let State { due, places } = &mut *self.state();
        if let Some(place) = places.remove(key) {
            due.remove(&place);
        }
    }

    /// Waits for the next key that is due, and takes it out. For one task: others would not be woken.
    pub(super) async fn next(&self) -> Arc<Key> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Arc<Key>> {
        let State { due, places } = &mut *self.state();
        match due.poll_expired(cx) {
            Poll::Ready(Some(expired)) => {
                let key = expired.into_inner();
                places.remove(&key);
                Poll::Ready(key)
            }
            // An empty queue wakes its task when the first key comes.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let State { due, places } = &*self.state();
        assert_eq!(due.len(), places.len());
        due.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A key is put into both or taken out of both, and nothing in between panics.
        self.state.lock()
    }
}
