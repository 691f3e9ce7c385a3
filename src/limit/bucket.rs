//! The limit of one client or one user: a local token bucket, and a share of the bucket that all replicas have in Redis.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::LimitTerms;
use crate::store::Redis;

/// A busy client costs about this many calls to Redis per second and replica, and not one for each request: each call
/// takes the requests of that interval.
const CALLS_PER_SECOND: f64 = 20.0;
/// A granted share that is not used within this time expires. The clock is monotonic, as for the whole limit: it does not
/// count a suspend.
const SHARE_LIFETIME: Duration = Duration::from_millis(250);

/// What one client, or one user, has left of its limit.
#[derive(Debug)]
pub(super) struct Bucket {
    terms: LimitTerms,
    /// Used while nothing is shared.
    own: RateLimiter<NotKeyed, InMemoryState, TokioClock>,
    /// Held for a few instructions, never across an await.
    shared: Mutex<Share>,
}

/// The last results of Redis. They are valid only on the connection with this number: another connection may lead to another
/// Redis, or to an empty one.
#[derive(Debug)]
struct Share {
    connection: u64,
    /// Requests that may be admitted until `valid_until`.
    left: u32,
    valid_until: Instant,
    /// Redis grants nothing before this time.
    exhausted_until: Instant,
}

/// Tokio's clock, which tests can pause, for governor.
#[derive(Clone, Copy, Debug)]
struct TokioClock;

impl governor::clock::Clock for TokioClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        Instant::now().into_std()
    }
}

impl Bucket {
    /// A full bucket. The local one has one of `parts` equal parts of the limit.
    pub(super) fn new(terms: LimitTerms, parts: NonZeroU32) -> Self {
        let burst = NonZeroU32::new(terms.burst.get() / parts).unwrap_or(NonZeroU32::MIN);
        let period = terms.interval() * parts.get();
        let quota = Quota::with_period(period).expect("it is not zero").allow_burst(burst);
        let shared = Mutex::new(Share::none(0, Instant::now()));
        Self { terms, own: RateLimiter::direct_with_clock(quota, TokioClock), shared }
    }

    pub(super) fn terms(&self) -> LimitTerms {
        self.terms
    }

    /// Admits a request by the local bucket: zero if it is admitted, otherwise the time until the next one is.
    pub(super) fn decide_locally(&self) -> Duration {
        let refused = self.own.check().err();
        refused.map_or(Duration::ZERO, |until| until.wait_time_from(TokioClock.now()))
    }

    /// Admits a request by the bucket of this name in Redis: zero if it is admitted, otherwise the time until the next one
    /// is. Returns `None` if the call to Redis fails.
    pub(super) async fn decide_shared(&self, redis: &Redis, name: &[&str]) -> Option<Duration> {
        let connection = redis.connection_number();
        if let Some(decided) = self.shared().decide(connection, Instant::now()) {
            return Some(decided);
        }
        let rate = self.terms.per_second();
        let burst = self.terms.burst.get();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let requested = ((rate / CALLS_PER_SECOND).max(1.0) as u32).min(burst);
        let (granted, wait) = redis.take_requests(name, rate, burst, requested).await?;
        // A caller beyond the limit waits until a whole share is available, or each request would cost a call.
        let answer = (granted, wait + self.terms.interval() * (requested - 1));
        Some(self.shared().apply(connection, answer, Instant::now()))
    }

    fn shared(&self) -> MutexGuard<'_, Share> {
        // Every change is an assignment or two, neither of which can panic.
        self.shared.lock()
    }
}

impl Share {
    fn none(connection: u64, now: Instant) -> Self {
        Self { connection, left: 0, valid_until: now, exhausted_until: now }
    }

    /// Zero if a request is admitted, otherwise the time until the next one is; `None` if Redis must decide.
    fn decide(&mut self, connection: u64, now: Instant) -> Option<Duration> {
        if self.connection != connection {
            *self = Self::none(connection, now);
        }
        if now < self.valid_until && self.left > 0 {
            self.left -= 1;
            return Some(Duration::ZERO);
        }
        // A caller beyond the limit costs no call to Redis.
        (now < self.exhausted_until).then(|| self.exhausted_until - now)
    }

    /// Records a result of Redis, the number granted and the wait, and decides by it. Results of concurrent calls add up.
    fn apply(
        &mut self,
        connection: u64,
        (granted, wait): (u32, Duration),
        now: Instant,
    ) -> Duration {
        if granted == 0 {
            self.exhausted_until = self.exhausted_until.max(now + wait);
        } else {
            let kept = if now < self.valid_until { self.left } else { 0 };
            self.left = kept.saturating_add(granted);
            self.valid_until = now + SHARE_LIFETIME;
        }
        self.decide(connection, now).unwrap_or(wait)
    }
}

#[cfg(test)]
mod tests;
