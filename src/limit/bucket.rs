//! One token bucket: this replica's own, and what Redis has given of the one that all replicas share.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::LimitTerms;
use crate::store::Redis;

/// What is asked of Redis at once is what comes in this part of a second: so a busy client costs some twenty calls a
/// second and replica, and not one for each request.
const PARTS_OF_A_SECOND: f64 = 20.0;
/// What was given and is not used for so long is given up. By the monotonic clock, as all of a limit: after a suspend these
/// few are still there.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// How much of its limit one client, or one user, has left.
#[derive(Debug)]
pub(super) struct Bucket {
    terms: LimitTerms,
    /// This replica's own, for while nothing is shared.
    own: RateLimiter<NotKeyed, InMemoryState, TokioClock>,
    /// Held for a few instructions, never across an await.
    shared: Mutex<Share>,
}

/// What Redis has said, on the connection of this number: on another one it may be another Redis, or an empty one.
#[derive(Debug)]
struct Share {
    connection: u64,
    /// So many requests may be let through until `good_until`.
    left: u32,
    good_until: Instant,
    /// Redis holds nothing until then.
    spent_until: Instant,
}

/// Governor's view of tokio's clock, which tests pause.
#[derive(Clone, Copy, Debug)]
struct TokioClock;

impl governor::clock::Clock for TokioClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        Instant::now().into_std()
    }
}

impl Bucket {
    /// A full bucket; while nothing is shared, one of so many parts of it.
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

    /// Zero if a request may go, or else how long it takes until one may.
    pub(super) fn decide_alone(&self) -> Duration {
        let refused = self.own.check().err();
        refused.map_or(Duration::ZERO, |until| until.wait_time_from(TokioClock.now()))
    }

    /// The same with what Redis gives of the bucket of this name; nothing if it is lost over it.
    pub(super) async fn decide_with(&self, redis: &Redis, name: &[&str]) -> Option<Duration> {
        let connection = redis.connection_number();
        if let Some(decided) = self.shared().decide(connection, Instant::now()) {
            return Some(decided);
        }
        let rate = self.terms.per_second();
        let burst = self.terms.burst.get();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let wanted = ((rate / PARTS_OF_A_SECOND).max(1.0) as u32).min(burst);
        let (given, wait) = redis.take_requests(name, rate, burst, wanted).await?;
        // Who is over the limit waits for as many as are asked for at once, or each would cost a call.
        let answer = (given, wait + self.terms.interval() * (wanted - 1));
        Some(self.shared().answered(connection, answer, Instant::now()))
    }

    fn shared(&self) -> MutexGuard<'_, Share> {
        // Every change is an assignment or two, neither of which can panic.
        self.shared.lock()
    }
}

impl Share {
    fn none(connection: u64, now: Instant) -> Self {
        Self { connection, left: 0, good_until: now, spent_until: now }
    }

    /// Zero if a request may go, or else how long it takes until one may; nothing if Redis has to be asked.
    fn decide(&mut self, connection: u64, now: Instant) -> Option<Duration> {
        if self.connection != connection {
            *self = Self::none(connection, now);
        }
        if now < self.good_until && self.left > 0 {
            self.left -= 1;
            return Some(Duration::ZERO);
        }
        // Who is over the limit costs Redis nothing.
        (now < self.spent_until).then(|| self.spent_until - now)
    }

    /// Decides by what Redis answered: how many it gave, or else when it has another. Others have asked meanwhile; what
    /// all of them were given may be used.
    fn answered(
        &mut self,
        connection: u64,
        (given, wait): (u32, Duration),
        now: Instant,
    ) -> Duration {
        if given == 0 {
            self.spent_until = self.spent_until.max(now + wait);
        } else {
            let kept = if now < self.good_until { self.left } else { 0 };
            self.left = kept.saturating_add(given);
            self.good_until = now + GOOD_FOR;
        }
        self.decide(connection, now).unwrap_or(wait)
    }
}

#[cfg(test)]
mod tests;
