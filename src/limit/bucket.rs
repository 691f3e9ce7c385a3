//! One token bucket: this replica's own, and what Redis has given of the one that all replicas share.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
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
    /// A std mutex: held for a few instructions, never across an await.
    shared: Mutex<Share>,
}

/// What Redis has said last.
#[derive(Debug)]
enum Share {
    /// So many requests may be let through until then.
    Given { left: u32, until: Instant },
    /// None until then.
    Spent { until: Instant },
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
        let shared = Mutex::new(Share::Spent { until: Instant::now() });
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
        let now = Instant::now();
        match &mut *self.shared() {
            Share::Given { left, until } if *left > 0 && now < *until => {
                *left -= 1;
                return Some(Duration::ZERO);
            }
            // Who is over the limit costs Redis nothing.
            Share::Spent { until } if now < *until => return Some(*until - now),
            Share::Given { .. } | Share::Spent { .. } => {}
        }
        let rate = self.terms.per_second();
        let wanted = (rate / PARTS_OF_A_SECOND).max(1.0) as u32;
        let burst = self.terms.burst.get();
        let (given, wait) = redis.take_requests(name, rate, burst, wanted).await?;
        let (share, wait) = match given.checked_sub(1) {
            Some(left) => (Share::Given { left, until: now + GOOD_FOR }, Duration::ZERO),
            None => (Share::Spent { until: now + wait }, wait),
        };
        let mut present = self.shared();
        match (&mut *present, share) {
            // Others have asked meanwhile; what both were given may be used.
            (Share::Given { left, until }, Share::Given { left: more, until: later }) => {
                *left = if now < *until { *left + more } else { more };
                *until = later;
            }
            (present, share) => *present = share,
        }
        Some(wait)
    }

    fn shared(&self) -> MutexGuard<'_, Share> {
        // Every change is an assignment or two, neither of which can panic.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
