//! Triggers a fetch of keys outside the schedule, for a token whose key is unknown.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

/// The least time between triggered fetches. Anyone can invent a `kid`; this bounds what it costs the issuer.
const MIN_INTERVAL: Duration = Duration::from_mins(1);
/// How long a request waits for the fetch.
const WAIT: Duration = Duration::from_secs(2);

/// Connects requests, which need keys, and the one task that fetches them.
///
/// A waiting request holds one receiver and no lock; the connection limit bounds their number.
#[derive(Debug)]
pub(super) struct RefreshTrigger {
    /// Held for a few instructions, never across an await.
    state: Mutex<State>,
    /// Wakes the task.
    triggered: Notify,
    /// Counts the fetches that have ended; wakes the waiting requests.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// The earliest time of the next triggered fetch.
    next: Option<Instant>,
    is_triggered: bool,
    is_under_way: bool,
}

impl Default for RefreshTrigger {
    fn default() -> Self {
        Self { state: Mutex::default(), triggered: Notify::new(), ended: watch::Sender::new(0) }
    }
}

impl RefreshTrigger {
    /// Waits for the present fetch or triggers one, up to a limit; returns whether a fetch has ended.
    pub(super) async fn fetched(&self) -> bool {
        let mut ended = self.ended.subscribe();
        if !self.join_or_trigger() {
            return false;
        }
        timeout(WAIT, ended.changed()).await.is_ok_and(|changed| changed.is_ok())
    }

    fn join_or_trigger(&self) -> bool {
        let now = Instant::now();
        self.with_state(|state| {
            if state.is_under_way || state.is_triggered {
                return true;
            }
            if state.next.is_some_and(|next| now < next) {
                return false;
            }
            state.next = Some(now + MIN_INTERVAL);
            state.is_triggered = true;
            self.triggered.notify_one();
            true
        })
    }

    /// Returns when a fetch is triggered.
    pub(super) async fn triggered(&self) {
        // A scheduled fetch that began meanwhile satisfies the trigger.
        while !self.with_state(|state| state.is_triggered) {
            self.triggered.notified().await;
        }
    }

    pub(super) fn begins(&self) {
        self.with_state(|state| (state.is_triggered, state.is_under_way) = (false, true));
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
        look(&mut self.state.lock())
    }
}
