//! How many requests a second each client may make, of all replicas together.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use crate::domain::ClientId;
use crate::store::{LimitTerms, Redis, Store};

/// What is asked of Redis at once is what comes in this part of a second: so a busy client costs some twenty calls a
/// second and replica, and not one for each request.
const PARTS_OF_A_SECOND: u32 = 20;
/// What was given and is not used for so long is given up.
const GOOD_FOR: Duration = Duration::from_millis(250);

/// The clients' limits. A client without one is not limited here; its part of STS's quota is fair in any case.
#[derive(Debug)]
pub(crate) struct Limits {
    of_clients: HashMap<ClientId, Arc<Limit>>,
    store: Arc<Store>,
}

/// A client has made more requests than it may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {} requests a second", .terms.per_second)]
pub(crate) struct Throttled {
    pub(crate) terms: LimitTerms,
    pub(crate) retry_after: Duration,
}

#[derive(Debug)]
struct Limit {
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

impl Limits {
    /// The limits by these terms. What `before` has counted goes on where the terms are the same.
    pub(crate) fn new(
        terms: HashMap<ClientId, LimitTerms>,
        store: Arc<Store>,
        before: Option<&Self>,
    ) -> Self {
        let parts = store.expected_replicas();
        let limit = |(client, terms)| {
            let same = before.and_then(|before| before.of_clients.get(&client));
            let same = same.filter(|limit| limit.terms == terms).map(Arc::clone);
            (client, same.unwrap_or_else(|| Arc::new(Limit::new(terms, parts))))
        };
        Self { of_clients: terms.into_iter().map(limit).collect(), store }
    }

    pub(crate) fn of(&self, client: &ClientId) -> Option<LimitTerms> {
        self.of_clients.get(client).map(|limit| limit.terms)
    }

    /// Lets a request of the client through, or says when one will be.
    pub(crate) async fn admit(&self, client: &ClientId) -> Result<(), Throttled> {
        let Some(limit) = self.of_clients.get(client) else { return Ok(()) };
        let decided = match self.store.shared() {
            // Boxed: requests of clients without a limit have no room for it.
            Some(redis) => Box::pin(limit.decide_with(redis, client)).await,
            None => None,
        };
        let wait = decided.unwrap_or_else(|| limit.decide_alone());
        match wait {
            Duration::ZERO => Ok(()),
            retry_after => Err(Throttled { terms: limit.terms, retry_after }),
        }
    }
}

impl Limit {
    fn new(terms: LimitTerms, parts: NonZeroU32) -> Self {
        let LimitTerms { per_second, burst } = terms;
        let burst = NonZeroU32::new(burst.get() / parts).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_secs(1) * parts.get() / per_second.get();
        let quota = Quota::with_period(period).expect("it is not zero").allow_burst(burst);
        let shared = Mutex::new(Share::Spent { until: Instant::now() });
        Self { terms, own: RateLimiter::direct_with_clock(quota, TokioClock), shared }
    }

    /// Zero if a request may go, or else how long it takes until one may.
    fn decide_alone(&self) -> Duration {
        let refused = self.own.check().err();
        refused.map_or(Duration::ZERO, |until| until.wait_time_from(TokioClock.now()))
    }

    /// The same with what Redis gives; nothing if it is lost over it.
    async fn decide_with(&self, redis: &Redis, client: &ClientId) -> Option<Duration> {
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
        let wanted = (self.terms.per_second.get() / PARTS_OF_A_SECOND).max(1);
        let (given, wait) = redis.take_requests(client, self.terms, wanted).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_second: u32, burst: u32) -> Limits {
        let [per_second, burst] = [per_second, burst].map(|n| NonZeroU32::new(n).unwrap());
        let terms = LimitTerms { per_second, burst };
        Limits::new(
            HashMap::from([("greedy".parse().unwrap(), terms)]),
            Arc::new(Store::Memory),
            None,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_gets_its_burst_and_then_its_rate() {
        let limits = limits(10, 5);
        let client = "greedy".parse().unwrap();
        let mut admitted = 0;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            match limits.admit(&client).await {
                Ok(()) => admitted += 1,
                Err(Throttled { retry_after, .. }) => {
                    assert!(retry_after <= Duration::from_millis(100), "{retry_after:?}");
                    tokio::time::advance(retry_after).await;
                }
            }
        }
        assert!((104..=105).contains(&admitted), "{admitted}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_without_a_limit_is_not_limited() {
        let limits = limits(1, 1);
        for _ in 0..1000 {
            limits.admit(&"modest".parse().unwrap()).await.unwrap();
        }
    }
}
