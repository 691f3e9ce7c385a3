//! The budget of calls to STS: a call is made when its turn comes, and a caller whose turn would come too late is
//! rejected at once.

mod bucket;
mod queue;
mod retry_schedule;
mod shared_rate;
mod turn;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

use super::error::VendError;
use super::settings::BudgetSettings;
use crate::store::{BudgetTerms, Redis, Store};
use crate::telemetry::VendMetrics;
use appserver_domain::{AccountId, ClientId};
use bucket::Bucket;
use queue::Queue;
use retry_schedule::RetrySchedule;
use shared_rate::SharedRate;

pub(super) use turn::Turn;

/// The expected duration of a call to STS: a turn that comes later before the deadline is useless. STS answers in some 50
/// to 200 ms.
const CALL_DURATION: Duration = Duration::from_millis(250);

/// The part of STS's quota that may be spent: by all replicas together while they share it, and otherwise this replica's
/// share of it.
///
/// Every attempt of AssumeRole spends one call, retries included. GetCallerIdentity is not counted: it is called for each
/// AccessKey only once.
#[derive(Debug)]
pub(super) struct Budget {
    /// Held for a lookup in small maps, never across an await.
    state: Mutex<State>,
    store: Arc<Store>,
    /// The account whose quota it is, in the names of Redis; `None` if there is only one upstream.
    account: Option<AccountId>,
    metrics: VendMetrics,
}

#[derive(Debug)]
struct State {
    settings: BudgetSettings,
    /// The terms of the budget that replicas share.
    terms: BudgetTerms,
    /// This replica's own, for the time in which nothing is shared.
    bucket: Bucket,
    /// The part of it that refreshes may take.
    refresh_bucket: Bucket,
    /// How fast turns come while the budget is shared.
    shared_rate: Option<SharedRate>,
    queue: Queue,
    retry_schedule: RetrySchedule,
    /// Whether the task that serves the queue is running. It runs only while calls are queued.
    serving_queue: bool,
}

impl Budget {
    pub(super) fn new(
        settings: BudgetSettings,
        account: Option<AccountId>,
        store: Arc<Store>,
        metrics: VendMetrics,
    ) -> Self {
        let now = Instant::now();
        let terms = bucket::terms(settings, NonZeroU32::MIN);
        // Without a store each replica has its part. More replicas than expected spend more together.
        let own = bucket::terms(settings, store.expected_replicas());
        let state = State {
            settings,
            terms,
            bucket: Bucket::new(own.per_second, own.burst, now),
            refresh_bucket: Bucket::new(own.refresh_per_second, own.refresh_burst, now),
            shared_rate: None,
            queue: Queue::default(),
            retry_schedule: RetrySchedule::default(),
            serving_queue: false,
        };
        Self { state: Mutex::new(state), store, account, metrics }
    }

    /// Allows no more than these settings do from now on: another upstream of the account has them. Returns the settings
    /// that apply.
    pub(super) fn restrict(&self, settings: BudgetSettings) -> BudgetSettings {
        let mut state = self.state();
        let settings = state.settings.at_most(settings);
        let own = bucket::terms(settings, self.store.expected_replicas());
        state.settings = settings;
        state.terms = bucket::terms(settings, NonZeroU32::MIN);
        state.bucket.restrict(own.per_second, own.burst);
        state.refresh_bucket.restrict(own.refresh_per_second, own.refresh_burst);
        settings
    }

    pub(super) fn settings(&self) -> BudgetSettings {
        self.state().settings
    }

    /// Where Redis has it, and its terms there.
    fn shared_terms(&self) -> (Option<&AccountId>, BudgetTerms) {
        (self.account.as_ref(), self.state().terms)
    }

    /// A turn for one call, or an error that says when to retry if the turn would come too late for the deadline.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: &ClientId,
        deadline: Instant,
    ) -> Result<Turn, VendError> {
        let now = Instant::now();
        let mut state = self.up_to_date(now);
        if state.shared_rate.is_none() && state.queue.is_empty() && state.bucket.take() {
            return Ok(Turn::served());
        }
        let ahead = state.queue.ahead_of(client, deadline);
        let wait = state.time_for(ahead + 1, now);
        if wait.saturating_add(CALL_DURATION) > deadline.saturating_duration_since(now) {
            return Err(state.overloaded(client, now, wait));
        }
        let (position, turn) = state.queue.join(client, deadline);
        if !std::mem::replace(&mut state.serving_queue, true) {
            tokio::spawn(Arc::clone(self).serve_queue());
        }
        Ok(Turn::waiting(Arc::clone(self), client.clone(), position, turn))
    }

    /// The rejection of a caller that cannot wait because too many do.
    pub(super) fn reject(&self, client: &ClientId) -> VendError {
        let now = Instant::now();
        let mut state = self.up_to_date(now);
        let wait = state.time_for(state.queue.len() + 1, now);
        state.overloaded(client, now, wait)
    }

    /// Gives a turn that is not needed any more to the next call in the queue.
    pub(super) fn refund(&self) {
        let mut state = self.state();
        while state.queue.next().is_some_and(|turn| turn.send(()).is_err()) {}
    }

    /// Spends a call on a refresh: only if no call is queued, and within the share for refreshes.
    pub(super) async fn try_take_for_refresh(&self) -> bool {
        if !self.state().queue.is_empty() {
            return false;
        }
        let (account, terms) = self.shared_terms();
        if let Some(redis) = self.store.shared()
            && let Some(taken) = redis.try_take_for_refresh(account, &terms).await
        {
            return taken;
        }
        let now = Instant::now();
        let mut state = self.up_to_date(now);
        state.refresh_bucket.fill(now);
        let may = state.queue.is_empty() && state.bucket.is_half_full();
        may && state.refresh_bucket.take() && state.bucket.take()
    }

    /// Reduces the rate after STS throttled a call: others spend the account's quota too.
    pub(super) async fn cut(&self) {
        {
            let now = Instant::now();
            let State { bucket, refresh_bucket, .. } = &mut *self.state();
            for bucket in [bucket, refresh_bucket] {
                bucket.fill(now);
                bucket.cut(now);
            }
        }
        if let Some(redis) = self.store.shared() {
            let (account, terms) = self.shared_terms();
            redis.cut(account, &terms).await;
        }
    }

    /// The current rate in calls per second, and the length of the queue.
    pub(super) fn measure(&self) -> (f64, usize) {
        let now = Instant::now();
        let state = self.up_to_date(now);
        (state.rate(now), state.queue.len())
    }

    /// Serves the queue until it is empty.
    async fn serve_queue(self: Arc<Self>) {
        loop {
            let waits = match self.store.shared() {
                Some(redis) => self.serve_shared(redis).await,
                None => self.serve().await,
            };
            if !waits {
                return;
            }
        }
    }

    /// Reserves turns of the shared budget and hands them out when they come; true if calls are still queued.
    async fn serve_shared(&self, redis: &Redis) -> bool {
        let calls = {
            let mut state = self.state();
            if state.queue.is_empty() {
                state.serving_queue = false;
                return false;
            }
            u32::try_from(state.queue.len())
                .unwrap_or(u32::MAX)
                .min(state.terms.calls_per_reservation())
                .max(1)
        };
        // Taken before the request: a reservation is valid only on the connection that made it.
        let changed = redis.changed();
        let (account, terms) = self.shared_terms();
        let Some(reservation) = redis.reserve(account, &terms, calls).await else { return true };
        self.state().shared_rate = Some(SharedRate::new(&reservation, Instant::now()));
        tokio::select! {
            () = sleep(reservation.wait) => {}
            () = changed => return true,
        }
        let mut state = self.state();
        let mut left = calls;
        while left > 0
            && let Some(turn) = state.queue.next()
        {
            left -= u32::from(turn.send(()).is_ok());
        }
        state.serving_queue = !state.queue.is_empty();
        state.serving_queue
    }

    /// Hands out what the bucket holds and waits until it holds more; true if calls are still queued.
    async fn serve(&self) -> bool {
        let Some(pause) = self.give_out() else { return false };
        sleep(pause).await;
        true
    }

    fn give_out(&self) -> Option<Duration> {
        let mut state = self.up_to_date(Instant::now());
        while state.bucket.holds_one()
            && let Some(turn) = state.queue.next()
        {
            // A turn that was given up at this moment spends nothing.
            if turn.send(()).is_ok() {
                state.bucket.take();
            }
        }
        state.serving_queue = !state.queue.is_empty();
        // Timers have a resolution of a millisecond, and so has the pause.
        state.serving_queue.then(|| state.bucket.time_for(1).max(Duration::from_millis(1)))
    }

    /// The current state: filled, and switched between shared and own budget.
    fn up_to_date(&self, now: Instant) -> MutexGuard<'_, State> {
        let shared = self.store.shared().is_some();
        let mut state = self.state();
        state.bucket.fill(now);
        match (shared, state.shared_rate) {
            (true, None) => state.shared_rate = Some(SharedRate::unknown(&state.terms, now)),
            // Back from the shared budget: what the other replicas have just spent must not be spent again.
            (false, Some(_)) => {
                state.shared_rate = None;
                state.bucket.drain();
            }
            (true, Some(_)) | (false, None) => {}
        }
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// How long it takes until `calls` can be made.
    fn time_for(&self, calls: usize, now: Instant) -> Duration {
        match &self.shared_rate {
            Some(shared_rate) => shared_rate.time_for(calls, now),
            None => self.bucket.time_for(calls),
        }
    }

    /// The rate in calls per second of this replica.
    fn rate(&self, now: Instant) -> f64 {
        self.shared_rate
            .as_ref()
            .map_or_else(|| self.bucket.rate(), |shared_rate| shared_rate.rate(now))
    }

    fn overloaded(&mut self, client: &ClientId, now: Instant, wait: Duration) -> VendError {
        let (rate, clients) = (self.rate(now), self.queue.clients());
        VendError::Overloaded {
            retry_after: self.retry_schedule.book(client, now, wait, rate, clients),
        }
    }
}
