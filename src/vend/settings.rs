//! The settings of vending. `config/default.toml` describes each of them for operators.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::breaker::BreakerSettings;

/// All settings of vending.
#[derive(Clone, Debug)]
pub(crate) struct VendSettings {
    /// The capacity of the cache; beyond it the least used tokens are evicted.
    pub(crate) max_cached_tokens: usize,
    pub(crate) freshness: Freshness,
    /// How long a refusal that STS would repeat is cached.
    pub(crate) negative_cache_lifetime: Duration,
    /// For one call from its turn on: its attempts, and the pauses and turns between them.
    pub(crate) call_timeout: Duration,
    /// Attempts of one call, including the first. Each spends budget.
    pub(crate) max_attempts: NonZeroU32,
    /// The limit of waiting callers; those of one client may be half of them.
    pub(crate) max_waiting: usize,
    pub(crate) budget: BudgetSettings,
    pub(crate) breaker: BreakerSettings,
}

/// How long before its expiration a token is still handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    /// The minimum remaining lifetime; `None` is half of the lifetime.
    pub(crate) min_remaining: Option<Duration>,
    /// The minimum while STS fails.
    pub(crate) stale_remaining: Duration,
}

impl Freshness {
    /// The minimum remaining lifetime for a token of this lifetime. At most three quarters of it, or no token would be
    /// handed out twice; at least the minimum of a stale one.
    pub(crate) fn least(&self, life: Duration) -> Duration {
        let wanted = self.min_remaining.unwrap_or(life / 2);
        wanted.min(life * 3 / 4).max(self.stale_remaining)
    }
}

/// The part of STS's quota that may be spent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BudgetSettings {
    /// Calls per second.
    pub(crate) per_second: u32,
    /// Calls at once after a pause.
    pub(crate) burst: u32,
    /// The fraction of it that refreshes may take, 0 to 1.
    pub(crate) refresh_share: f64,
}

impl BudgetSettings {
    /// The smaller of each value: of an account whose upstreams have different budgets.
    pub(super) fn at_most(self, other: Self) -> Self {
        Self {
            per_second: self.per_second.min(other.per_second),
            burst: self.burst.min(other.burst),
            refresh_share: self.refresh_share.min(other.refresh_share),
        }
    }
}

#[cfg(test)]
impl VendSettings {
    /// The defaults of `config/default.toml`.
    pub(crate) fn for_tests() -> Self {
        Self {
            max_cached_tokens: 100_000,
            freshness: Freshness { min_remaining: None, stale_remaining: Duration::from_mins(5) },
            negative_cache_lifetime: Duration::from_mins(1),
            call_timeout: Duration::from_secs(15),
            max_attempts: NonZeroU32::new(4).unwrap(),
            max_waiting: 10_000,
            budget: BudgetSettings { per_second: 90, burst: 10, refresh_share: 0.2 },
            breaker: BreakerSettings { failures: 10, open_for: Duration::from_secs(5) },
        }
    }
}
