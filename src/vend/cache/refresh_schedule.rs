//! When each cached token is to be refreshed: one timer for all of them.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;
use tokio_util::time::{DelayQueue, delay_queue};

use super::key::{Key, Prehashed};
use super::sync::{Mutex, MutexGuard};

/// The keys whose tokens are to be refreshed, each once and in the order of their times: some 100 bytes each, beside the
/// key, which is shared with the token.
///
/// `Tokens` owns it and cancels the entries of removed tokens, so it never has more entries than there are tokens.
#[derive(Debug, Default)]
pub(in crate::vend) struct RefreshSchedule {
    /// Held for a few instructions, never across an await; nothing else is locked while it is held.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    due: DelayQueue<Arc<Key>>,
    /// The position of each key in `due`. A position is reused once its key has left.
    positions: HashMap<Arc<Key>, delay_queue::Key, Prehashed>,
}

impl RefreshSchedule {
    /// Schedules the refresh of the key's token, replacing an earlier schedule.
    pub(in crate::vend) fn schedule(&self, key: &Arc<Key>, at: Instant) {
        let State { due, positions } = &mut *self.state();
        if let Some(position) = positions.get(key) {
            due.reset_at(position, at);
        } else {
            let position = due.insert_at(Arc::clone(key), at);
            positions.insert(Arc::clone(key), position);
        }
    }

    /// Cancels the refresh of the key's token.
    pub(in crate::vend) fn cancel(&self, key: &Arc<Key>) {
        let State { due, positions } = &mut *self.state();
        if let Some(position) = positions.remove(key) {
            due.remove(&position);
        }
    }

    /// Waits for the next key that is due and removes it. For a single task: others would not be woken.
    pub(in crate::vend) async fn next(&self) -> Arc<Key> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Arc<Key>> {
        let State { due, positions } = &mut *self.state();
        match due.poll_expired(cx) {
            Poll::Ready(Some(expired)) => {
                let key = expired.into_inner();
                positions.remove(&key);
                Poll::Ready(key)
            }
            // An empty queue wakes its task when the first key arrives.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    #[cfg(test)]
    pub(in crate::vend) fn len(&self) -> usize {
        let State { due, positions } = &*self.state();
        assert_eq!(due.len(), positions.len());
        due.len()
    }

    #[cfg(test)]
    pub(in crate::vend) fn contains(&self, key: &Arc<Key>) -> bool {
        self.state().positions.contains_key(key)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A key is put into both or taken out of both, and nothing in between panics.
        self.state.lock()
    }
}
