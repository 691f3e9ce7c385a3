//! STS's quota, spent like money: a call is made when its turn has come, and nobody waits in vain.

mod bucket;
mod place;
mod queue;
mod returns;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::VendError;
use super::settings::BudgetSettings;
use crate::domain::ClientId;
use crate::telemetry::VendMetrics;
use bucket::Bucket;
use queue::Queue;
use returns::Returns;

pub(super) use place::Place;

/// What a call to STS is taken to need once its turn has come: a turn that comes later is of no use to its
/// deadline. STS answers in some 50 to 200 ms.
const CALL: Duration = Duration::from_millis(250);

/// The share of STS's quota that this process may spend.
///
/// Every attempt at AssumeRole spends one, retries included. GetCallerIdentity is not counted: it is asked at the
/// start only.
#[derive(Debug)]
pub(super) struct Budget {
    /// A std mutex: held for a lookup in small maps, never across an await.
    state: Mutex<State>,
    metrics: VendMetrics,
}

#[derive(Debug)]
struct State {
    bucket: Bucket,
    /// What refreshing ahead may take of it.
    spare: Bucket,
    queue: Queue,
    returns: Returns,
    /// Whether the task that serves the queue is running. It runs only while somebody waits.
    pumping: bool,
}

impl Budget {
    pub(super) fn new(settings: BudgetSettings, metrics: VendMetrics) -> Self {
        let now = Instant::now();
        let per_second = f64::from(settings.per_second);
        let spare_rate = per_second * settings.refresh_share;
        // Refreshes come when they are due, not evenly: a second of them may come at once. None if there is no share.
        let spare_burst = if spare_rate > 0.0 { spare_rate.max(1.0) } else { 0.0 };
        let state = State {
            bucket: Bucket::new(per_second, f64::from(settings.burst), now),
            spare: Bucket::new(spare_rate, spare_burst, now),
            queue: Queue::default(),
            returns: Returns::default(),
            pumping: false,
        };
        Self { state: Mutex::new(state), metrics }
    }

    /// A place in the queue, or none if its turn would come too late for the deadline: then the caller is told at
    /// once when to come back.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: &ClientId,
        deadline: Instant,
    ) -> Result<Place, VendError> {
        let now = Instant::now();
        let mut state = self.state();
        state.bucket.fill(now);
        if state.queue.is_empty() && state.bucket.take() {
            return Ok(Place::served());
        }
        let ahead = state.queue.ahead_of(client, deadline);
        let wait = state.bucket.time_for(ahead + 1);
        if wait + CALL > deadline.saturating_duration_since(now) {
            return Err(state.turned_away(client, now, wait));
        }
        let (seat, turn) = state.queue.join(client, deadline);
        if !std::mem::replace(&mut state.pumping, true) {
            tokio::spawn(Arc::clone(self).pump());
        }
        Ok(Place::waiting(Arc::clone(self), client.clone(), seat, turn))
    }

    /// Refuses a caller for whom there is no room to wait at all.
    pub(super) fn turn_away(&self, client: &ClientId) -> VendError {
        let now = Instant::now();
        let mut state = self.state();
        state.bucket.fill(now);
        let wait = state.bucket.time_for(state.queue.len() + 1);
        state.turned_away(client, now, wait)
    }

    /// Spends a call on refreshing ahead: only if nobody waits, and within the share.
    pub(super) fn take_spare(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        state.bucket.fill(now);
        state.spare.fill(now);
        let may = state.queue.is_empty() && state.bucket.is_half_full();
        may && state.spare.take() && state.bucket.take()
    }

    /// STS has throttled: more is spent of the account's quota than we thought, or others spend it too.
    pub(super) fn cut(&self) {
        let now = Instant::now();
        let State { bucket, spare, .. } = &mut *self.state();
        for bucket in [bucket, spare] {
            bucket.fill(now);
            bucket.cut(now);
        }
    }

    /// Calls a second at this moment, and how many wait for one.
    pub(super) fn measure(&self) -> (f64, usize) {
        let mut state = self.state();
        state.bucket.fill(Instant::now());
        (state.bucket.rate(), state.queue.len())
    }

    /// Serves the queue until it is empty.
    async fn pump(self: Arc<Self>) {
        while let Some(pause) = self.serve() {
            sleep(pause).await;
        }
    }

    /// Gives out what the bucket holds; says when it will hold more, if somebody still waits for it.
    fn serve(&self) -> Option<Duration> {
        let mut state = self.state();
        state.bucket.fill(Instant::now());
        while state.bucket.holds_one()
            && let Some(turn) = state.queue.next()
        {
            // Nothing is spent on a place that was given up in this moment.
            if turn.send(()).is_ok() {
                state.bucket.take();
            }
        }
        state.pumping = !state.queue.is_empty();
        // Timers are good to a millisecond; so is the pause.
        state.pumping.then(|| state.bucket.time_for(1).max(Duration::from_millis(1)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turned_away(&mut self, client: &ClientId, now: Instant, wait: Duration) -> VendError {
        let (rate, clients) = (self.bucket.rate(), self.queue.clients());
        VendError::Overloaded { retry_after: self.returns.book(client, now, wait, rate, clients) }
    }
}
