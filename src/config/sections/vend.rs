//! `[vend]`, resolved.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use crate::config::bounds::number;
use crate::config::field::Field;
use crate::config::problems::Problems;
use crate::vend::{BreakerSettings, BudgetSettings, Freshness, VendSettings};

/// Keeping tokens and spending STS's quota.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawVend {
    /// Default 100000. Beyond it tokens that are asked for least are dropped.
    pub(crate) max_cached_tokens: Field<usize>,
    /// Seconds, default 0: half of the token's life. With less left a new token is fetched.
    pub(crate) min_remaining_secs: Field<u64>,
    /// Seconds, default 300. With less left a token is not even handed out while STS fails.
    pub(crate) stale_remaining_secs: Field<u64>,
    /// Seconds, 0 to 60, default 60. Then STS is asked again.
    pub(crate) negative_cache_secs: Field<u64>,
    /// Milliseconds, default 15000. Then who waits for the call gets its last error.
    pub(crate) call_timeout_ms: Field<u64>,
    /// Default 10000. A caller beyond it is answered 503.
    pub(crate) max_waiting: Field<usize>,
    pub(crate) budget: RawBudget,
    pub(crate) breaker: RawBreaker,
}

/// The share of STS's quota that may be spent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawBudget {
    /// Default 90. Callers beyond it wait, or are answered 503 if they would wait in vain.
    pub(crate) calls_per_second: Field<u32>,
    /// Default 10. So many calls may be made at once after a pause.
    pub(crate) burst: Field<u32>,
    /// Percent, default 20. Refreshing ahead waits beyond it.
    pub(crate) refresh_percent: Field<u32>,
}

/// When STS counts as gone.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawBreaker {
    /// Default 10. So many attempts in a row without an answer, and none is made for a while.
    pub(crate) failures: Field<u32>,
    /// Milliseconds, default 5000. Then one call tries again.
    pub(crate) open_ms: Field<u64>,
}

pub(crate) fn resolve(
    raw: RawVend,
    max_attempts: Option<NonZeroU32>,
    problems: &mut Problems,
) -> Option<VendSettings> {
    let max_cached_tokens =
        number(problems, "vend.max_cached_tokens", raw.max_cached_tokens, 1, 10_000_000, "tokens");
    let max_waiting =
        number(problems, "vend.max_waiting", raw.max_waiting, 2, 1_000_000, "callers");
    let mut secs = |key: &str, field: Field<u64>, least, most| {
        number(problems, key, field, least, most, "seconds").map(Duration::from_secs)
    };
    let min_remaining = secs("vend.min_remaining_secs", raw.min_remaining_secs, 0, 32_400);
    let stale_remaining = secs("vend.stale_remaining_secs", raw.stale_remaining_secs, 60, 3_600);
    let negative_cache_lifetime = secs("vend.negative_cache_secs", raw.negative_cache_secs, 0, 60);
    let call_timeout = millis(problems, "vend.call_timeout_ms", raw.call_timeout_ms, 600_000);
    let budget = budget(raw.budget, problems);
    let breaker = breaker(raw.breaker, problems);
    Some(VendSettings {
        max_cached_tokens: max_cached_tokens?,
        freshness: Freshness {
            min_remaining: min_remaining.map(|least| (!least.is_zero()).then_some(least))?,
            stale_remaining: stale_remaining?,
        },
        negative_cache_lifetime: negative_cache_lifetime?,
        call_timeout: call_timeout?,
        max_attempts: max_attempts?,
        max_waiting: max_waiting?,
        budget: budget?,
        breaker: breaker?,
    })
}

fn budget(raw: RawBudget, problems: &mut Problems) -> Option<BudgetSettings> {
    let mut count = |key: &str, field, least, most, unit| {
        number(problems, &format!("vend.budget.{key}"), field, least, most, unit)
    };
    let per_second = count("calls_per_second", raw.calls_per_second, 1, 10_000, "calls");
    let burst = count("burst", raw.burst, 1, 1_000, "calls");
    let percent = count("refresh_percent", raw.refresh_percent, 0, 50, "percent");
    Some(BudgetSettings {
        per_second: per_second?,
        burst: burst?,
        refresh_share: f64::from(percent?) / 100.0,
    })
}

fn breaker(raw: RawBreaker, problems: &mut Problems) -> Option<BreakerSettings> {
    let failures = number(problems, "vend.breaker.failures", raw.failures, 1, 1_000, "attempts");
    let open_for = millis(problems, "vend.breaker.open_ms", raw.open_ms, 60_000);
    Some(BreakerSettings { failures: failures?, open_for: open_for? })
}

fn millis(problems: &mut Problems, key: &str, field: Field<u64>, most: u64) -> Option<Duration> {
    number(problems, key, field, 100, most, "milliseconds").map(Duration::from_millis)
}
