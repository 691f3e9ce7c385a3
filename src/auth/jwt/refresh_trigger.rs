//! Fetches out of turn: somebody has a token whose key is not known.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

/// So far apart fetches out of turn are. Anyone can make up the names of keys; this is all that it costs an issuer.
const APART: Duration = Duration::from_secs(60);
/// How long the request waits that met an unknown key.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between requests, which want keys, and the one task that fetches them.
///
/// Who waits holds one receiver and no lock, and there are never more of them than the listener has connections.
#[derive(Debug)]
pub(super) struct RefreshTrigger {
    /// A short lock, for a look at three values.
    state: Mutex<State>,
    /// Wakes the task.
    wanted: Notify,
    /// Wakes those who wait: counts the fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next fetch out of turn may be, if there was one.
    next: Option<Instant>,
    is_wanted: bool,
    is_under_way: bool,
}

impl Default for RefreshTrigger {
    fn default() -> Self {
        Self { state: Mutex::default(), wanted: Notify::new(), ended: watch::Sender::new(0) }
    }
}

impl RefreshTrigger {
    /// Waits a moment for a fetch, the one that is under way or one that this brings about. Whether one has ended.
    pub(super) async fn fetched(&self) -> bool {
        let mut ended = self.ended.subscribe();
        if !self.joins_or_asks() {
            return false;
        }
        timeout(PATIENCE, ended.changed()).await.is_ok_and(|changed| changed.is_ok())
    }

    fn joins_or_asks(&self) -> bool {
        let now = Instant::now();
        self.with_state(|state| {
            if state.is_under_way || state.is_wanted {
                return true;
            }
            if state.next.is_some_and(|next| now < next) {
                return false;
            }
            state.next = Some(now + APART);
            state.is_wanted = true;
            self.wanted.notify_one();
            true
        })
    }

    /// Comes back when somebody has asked for a fetch.
    pub(super) async fn wanted(&self) {
        // What a fetch in turn has answered meanwhile is not wanted any more.
        while !self.with_state(|state| state.is_wanted) {
            self.wanted.notified().await;
        }
    }

    pub(super) fn begins(&self) {
        self.with_state(|state| (state.is_wanted, state.is_under_way) = (false, true));
    }

    pub(super) fn ends(&self) {
        self.with_state(|state| state.is_under_way = false);
        self.ended.send_modify(|count| *count = count.wrapping_add(1));
    }

    #[cfg(test)]
    pub(super) fn fetches(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }

    #[cfg(test)]
    pub(super) fn is_under_way(&self) -> bool {
        self.with_state(|state| state.is_under_way)
    }

    fn with_state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        // Nothing in the lock panics half way.
        look(&mut self.state.lock())
    }
}
