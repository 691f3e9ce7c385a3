//! `[vend]`: keeping tokens and spending STS's quota.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::breaker::BreakerSettings;
use crate::config::bounds::{Attempts, Bounded, Callers, Calls, Millis, Percent, Secs, Tokens};
use crate::config::field::Field;
use crate::config::problems::Problems;
use crate::vend::{BudgetSettings, Freshness, VendSettings};

#[derive(Debug, Deserialize)]
pub(crate) struct RawVend {
    /// Default 100000. Beyond it, the least requested tokens are evicted.
    max_cached_tokens: Field<Bounded<Tokens, 1, 10_000_000>>,
    /// Default 0: half of the token's life. With less left, a new token is fetched.
    min_remaining_secs: Field<Secs<0, 32_400>>,
    /// Default 300. With less left, a token is not handed out even while STS fails.
    stale_remaining_secs: Field<Secs<60, 3_600>>,
    /// Default 60. After it, a refused call is made again.
    negative_cache_secs: Field<Secs<0, 60>>,
    /// Default 15000. Then the callers that wait for the call get its last error.
    call_timeout_ms: Field<Millis<100, 600_000>>,
    /// Default 10000. A caller beyond it is answered 503.
    max_waiting: Field<Bounded<Callers, 2, 1_000_000>>,
    pub(super) budget: RawBudget,
    pub(super) breaker: RawBreaker,
}

/// The share of STS's quota that may be spent.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RawBudget {
    /// Default 90. Callers beyond it wait, or are answered 503 if their turn would come too late.
    calls_per_second: Field<Bounded<Calls, 1, 10_000>>,
    /// Default 10. Calls that may be made at once after a pause.
    burst: Field<Bounded<Calls, 1, 1_000>>,
    /// Default 20. Refreshing ahead waits beyond it.
    refresh_percent: Field<Bounded<Percent, 0, 50>>,
}

/// When STS counts as down.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct RawBreaker {
    /// Default 10. After so many attempts in a row without an answer, none is made for a while.
    failures: Field<Bounded<Attempts, 1, 1_000>>,
    /// Default 5000. Then one call tries again.
    open_ms: Field<Millis<100, 60_000>>,
}

pub(crate) fn resolve(
    raw: RawVend,
    max_attempts: Option<NonZeroU32>,
    problems: &mut Problems,
) -> Option<VendSettings> {
    let max_cached_tokens = problems.require(raw.max_cached_tokens);
    let min_remaining = problems.require(raw.min_remaining_secs);
    let stale_remaining = problems.require(raw.stale_remaining_secs);
    let negative_cache_lifetime = problems.require(raw.negative_cache_secs);
    let call_timeout = problems.require(raw.call_timeout_ms);
    let max_waiting = problems.require(raw.max_waiting);
    let budget = budget(raw.budget, problems);
    let breaker = breaker(raw.breaker, problems);
    let min_remaining = std::time::Duration::from(min_remaining?);
    Some(VendSettings {
        max_cached_tokens: max_cached_tokens?.get(),
        freshness: Freshness {
            min_remaining: (!min_remaining.is_zero()).then_some(min_remaining),
            stale_remaining: stale_remaining?.into(),
        },
        negative_cache_lifetime: negative_cache_lifetime?.into(),
        call_timeout: call_timeout?.into(),
        max_attempts: max_attempts?,
        max_waiting: max_waiting?.get(),
        budget: budget?,
        breaker: breaker?,
    })
}

impl RawBudget {
    /// The same, with what `[vend.budget]` has where this table has no value.
    pub(super) fn or(self, vend: &Self) -> Self {
        Self {
            calls_per_second: self.calls_per_second.or(&vend.calls_per_second),
            burst: self.burst.or(&vend.burst),
            refresh_percent: self.refresh_percent.or(&vend.refresh_percent),
        }
    }
}

impl RawBreaker {
    /// The same, with what `[vend.breaker]` has where this table has no value.
    pub(super) fn or(self, vend: &Self) -> Self {
        Self { failures: self.failures.or(&vend.failures), open_ms: self.open_ms.or(&vend.open_ms) }
    }
}

pub(super) fn budget(raw: RawBudget, problems: &mut Problems) -> Option<BudgetSettings> {
    let per_second = problems.require(raw.calls_per_second);
    let burst = problems.require(raw.burst);
    let percent = problems.require(raw.refresh_percent);
    Some(BudgetSettings {
        per_second: per_second?.get(),
        burst: burst?.get(),
        refresh_share: f64::from(percent?.get::<u32>()) / 100.0,
    })
}

pub(super) fn breaker(raw: RawBreaker, problems: &mut Problems) -> Option<BreakerSettings> {
    let failures = problems.require(raw.failures);
    let open_for = problems.require(raw.open_ms);
    Some(BreakerSettings { failures: failures?.get(), open_for: open_for?.into() })
}
