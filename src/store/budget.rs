//! The terms of the budget that replicas share, and the results of reservations in it.

use std::num::NonZeroU32;
use std::time::Duration;

/// So many waiting replicas are plausible even if fewer are expected.
const MIN_REPLICAS: u32 = 64;

/// The parameters of the budget's script. Each call passes them, so that Redis holds no configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetTerms {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
    pub(crate) refresh_per_second: f64,
    pub(crate) refresh_burst: f64,
    /// A cut multiplies the rate by this.
    pub(crate) cut: f64,
    /// The fraction of `per_second` below which no cut goes.
    pub(crate) floor: f64,
    /// The fraction of `per_second` that each second restores.
    pub(crate) recovery: f64,
    /// The shortest time between two cuts.
    pub(crate) cut_pause: Duration,
}

impl BudgetTerms {
    /// The most calls in one reservation: those of a hundredth of a second, so that the round trip to Redis does not
    /// become the limit.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub(crate) fn calls_per_reservation(&self) -> u32 {
        (self.per_second / 100.0).ceil() as u32
    }

    /// The most replicas that are counted as waiting: this configuration cannot produce more.
    pub(super) fn max_replicas(expected: NonZeroU32) -> u32 {
        expected.get().saturating_mul(8).max(MIN_REPLICAS)
    }

    /// The most calls that this number of replicas can have reserved ahead. Each has one reservation at a time.
    pub(super) fn max_reserved_calls(&self, replicas: u32) -> f64 {
        f64::from(replicas) * f64::from(self.calls_per_reservation())
    }
}

/// Calls reserved in the shared budget.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reservation {
    /// The time until the calls may be made.
    pub(crate) wait: Duration,
    /// Calls per second of all replicas together.
    pub(crate) rate: f64,
    /// The number of replicas with waiting callers, including this one.
    pub(crate) replicas: u32,
}

impl Reservation {
    /// The script's result, limited to what these terms can produce: a wait always ends, and a rate is never zero.
    pub(super) fn clamped(
        terms: &BudgetTerms,
        max_replicas: u32,
        micros: i64,
        thousandths: i64,
        replicas: i64,
    ) -> Self {
        let slowest = terms.per_second * terms.floor;
        let calls = terms.max_reserved_calls(max_replicas.saturating_add(1));
        let longest = Duration::try_from_secs_f64(calls / slowest).unwrap_or(Duration::ZERO);
        Self {
            wait: Duration::from_micros(micros.try_into().unwrap_or(0)).min(longest),
            rate: (thousandths as f64 / 1000.0).max(slowest).min(terms.per_second),
            replicas: u32::try_from(replicas).unwrap_or(1).clamp(1, max_replicas.max(1)),
        }
    }
}

/// An operation of the budget's script.
#[derive(Clone, Copy, Debug)]
pub(super) enum BudgetAction {
    Reserve(u32),
    TakeForRefresh,
    Cut,
}

impl BudgetAction {
    /// The script's name of the action, and the number of calls.
    pub(super) fn arguments(self) -> (&'static str, u32) {
        match self {
            Self::Reserve(calls) => ("reserve", calls),
            Self::TakeForRefresh => ("refresh", 1),
            Self::Cut => ("cut", 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(per_second: f64) -> BudgetTerms {
        BudgetTerms {
            per_second,
            burst: 10.0,
            refresh_per_second: 1.0,
            refresh_burst: 1.0,
            cut: 0.5,
            floor: 0.1,
            recovery: 0.02,
            cut_pause: Duration::from_secs(1),
        }
    }

    proptest! {
        /// Whatever Redis answers, the wait is bounded and the rate is within the configured bounds.
        #[test]
        fn a_result_of_the_script_is_clamped_to_the_configured_bounds(
            answer: (i64, i64, i64),
            per_second in 1_u32..10_000,
        ) {
            let (micros, thousandths, replicas) = answer;
            let terms = terms(per_second.into());
            let held = Reservation::clamped(&terms, 64, micros, thousandths, replicas);
            let full = f64::from(per_second);
            prop_assert!((full * 0.1..=full).contains(&held.rate), "{held:?}");
            prop_assert!((1..=64).contains(&held.replicas), "{held:?}");
            // At the lowest rate, one reservation of each replica after the other.
            prop_assert!(held.wait <= Duration::from_secs(650), "{held:?}");
        }
    }

    #[test]
    fn a_result_within_the_bounds_is_unchanged() {
        let Reservation { wait, rate, replicas } =
            Reservation::clamped(&terms(90.0), 64, 250_000, 45_500, 3);
        assert_eq!((wait, rate, replicas), (Duration::from_millis(250), 45.5, 3));
    }

    #[test]
    fn more_replicas_than_expected_may_wait() {
        let most = [1, 8, 9, 1000].map(|n| BudgetTerms::max_replicas(NonZeroU32::new(n).unwrap()));
        assert_eq!(most, [64, 64, 72, 8000]);
        assert_eq!(terms(250.0).max_reserved_calls(64), 192.0);
    }
}
