//! How the vending engine is set. `config/default.toml` says what each number means to operators.

use std::num::NonZeroU32;
use std::time::Duration;

/// Everything that operators decide about vending.
#[derive(Clone, Debug)]
pub(crate) struct VendSettings {
    /// Tokens that are kept; beyond it those that are asked for least go.
    pub(crate) max_cached_tokens: usize,
    pub(crate) freshness: Freshness,
    /// How long a refusal that would only be repeated is remembered.
    pub(crate) negative_cache_lifetime: Duration,
    /// For one key's call from its turn on: its attempts, the pauses and the turns between them.
    pub(crate) call_timeout: Duration,
    /// Attempts of one call, the first included. Each spends budget.
    pub(crate) max_attempts: NonZeroU32,
    /// Callers who may wait at one time; one client's may be half of them.
    pub(crate) max_waiting: usize,
    pub(crate) budget: BudgetSettings,
    pub(crate) breaker: BreakerSettings,
}

/// When a token is still handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness {
    /// What must be left of a token's life; `None` is half of it.
    pub(crate) min_remaining: Option<Duration>,
    /// The same while STS fails.
    pub(crate) stale_remaining: Duration,
}

impl Freshness {
    /// What must be left of a token that lives so long. At most three quarters of its life, or none would be handed
    /// out twice; at least what is asked of a stale one.
    pub(crate) fn least(&self, life: Duration) -> Duration {
        let wanted = self.min_remaining.unwrap_or(life / 2);
        wanted.min(life * 3 / 4).max(self.stale_remaining)
    }
}

/// The share of STS's quota that may be spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetSettings {
    /// Calls a second.
    pub(crate) per_second: u32,
    /// Calls at once after a pause.
    pub(crate) burst: u32,
    /// The part of it that refreshing ahead may take, 0 to 1.
    pub(crate) refresh_share: f64,
}

/// When STS counts as gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerSettings {
    /// Attempts in a row that found no STS.
    pub(crate) failures: u32,
    /// How long nothing is then sent, until one call tries again.
    pub(crate) open_for: Duration,
}

#[cfg(test)]
impl VendSettings {
    /// The defaults of `config/default.toml`.
    pub(crate) fn for_tests() -> Self {
        Self {
            max_cached_tokens: 100_000,
            freshness: Freshness { min_remaining: None, stale_remaining: Duration::from_secs(300) },
            negative_cache_lifetime: Duration::from_secs(60),
            call_timeout: Duration::from_secs(15),
            max_attempts: NonZeroU32::new(4).unwrap(),
            max_waiting: 10_000,
            budget: BudgetSettings { per_second: 90, burst: 10, refresh_share: 0.2 },
            breaker: BreakerSettings { failures: 10, open_for: Duration::from_secs(5) },
        }
    }
}
