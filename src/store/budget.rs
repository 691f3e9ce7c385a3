//! The terms of what replicas share out among themselves, and what comes of asking for it.

use std::num::NonZeroU32;
use std::time::Duration;

/// As many replicas may wait for the budget at one time without a second look, however few are expected.
const FEW: u32 = 64;

/// What the budget's script needs to know; each caller tells it, so that Redis holds no configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetTerms {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
    pub(crate) spare_per_second: f64,
    pub(crate) spare_burst: f64,
    /// The part of the rate that a cut leaves.
    pub(crate) cut: f64,
    /// The part of `per_second` below which no cut goes.
    pub(crate) floor: f64,
    /// The part of `per_second` that a second gives back.
    pub(crate) regain: f64,
    pub(crate) cut_pause: Duration,
}

impl BudgetTerms {
    /// How many calls one reservation is for at the most: those of a hundredth of a second, so that the round trip to
    /// Redis does not become the limit.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    pub(crate) fn calls_at_once(&self) -> u32 {
        (self.per_second / 100.0).ceil() as u32
    }

    /// How many replicas are counted as waiting at one time: more is not what this configuration can produce.
    pub(super) fn most_replicas(expected: NonZeroU32) -> u32 {
        expected.get().saturating_mul(8).max(FEW)
    }

    /// How many calls so many replicas have reserved ahead at the most. Each has one reservation at a time.
    pub(super) fn most_ahead(&self, replicas: u32) -> f64 {
        f64::from(replicas) * f64::from(self.calls_at_once())
    }
}

/// Calls that were reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    /// When they may be made, from now.
    pub(crate) wait: Duration,
    /// Calls a second for all replicas together.
    pub(crate) rate: f64,
    /// How many replicas have callers waiting, this one included.
    pub(crate) replicas: u32,
}

impl Reserved {
    /// What the script answered, held to what it can answer by these terms: waits end, and rates are not zero.
    pub(super) fn clamped(
        terms: &BudgetTerms,
        most_replicas: u32,
        micros: i64,
        thousandths: i64,
        replicas: i64,
    ) -> Self {
        let slowest = terms.per_second * terms.floor;
        let calls = terms.most_ahead(most_replicas.saturating_add(1));
        let longest = Duration::try_from_secs_f64(calls / slowest).unwrap_or(Duration::ZERO);
        Self {
            wait: Duration::from_micros(micros.try_into().unwrap_or(0)).min(longest),
            rate: (thousandths as f64 / 1000.0).max(slowest).min(terms.per_second),
            replicas: u32::try_from(replicas).unwrap_or(1).clamp(1, most_replicas.max(1)),
        }
    }
}

/// What is asked of the budget.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Reserve(u32),
    Spare,
    Cut,
}

impl Ask {
    /// The script's word for it, and for how many calls.
    pub(super) fn told(self) -> (&'static str, u32) {
        match self {
            Self::Reserve(calls) => ("reserve", calls),
            Self::Spare => ("spare", 1),
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
            spare_per_second: 1.0,
            spare_burst: 1.0,
            cut: 0.5,
            floor: 0.1,
            regain: 0.02,
            cut_pause: Duration::from_secs(1),
        }
    }

    proptest! {
        /// T53: whatever Redis answers, a wait ends and a rate is one that the configuration has.
        #[test]
        fn an_answer_is_held_to_what_the_configuration_can_produce(
            answer: (i64, i64, i64),
            per_second in 1_u32..10_000,
        ) {
            let (micros, thousandths, replicas) = answer;
            let terms = terms(per_second.into());
            let held = Reserved::clamped(&terms, 64, micros, thousandths, replicas);
            let full = f64::from(per_second);
            prop_assert!((full * 0.1..=full).contains(&held.rate), "{held:?}");
            prop_assert!((1..=64).contains(&held.replicas), "{held:?}");
            // At the slowest rate, one reservation of each replica after the other.
            prop_assert!(held.wait <= Duration::from_secs(650), "{held:?}");
        }
    }

    #[test]
    fn an_answer_of_the_script_is_taken_as_it_is() {
        let Reserved { wait, rate, replicas } =
            Reserved::clamped(&terms(90.0), 64, 250_000, 45_500, 3);
        assert_eq!((wait, rate, replicas), (Duration::from_millis(250), 45.5, 3));
    }

    #[test]
    fn many_more_replicas_than_are_expected_may_wait() {
        let most = [1, 8, 9, 1000].map(|n| BudgetTerms::most_replicas(NonZeroU32::new(n).unwrap()));
        assert_eq!(most, [64, 64, 72, 8000]);
        assert_eq!(terms(250.0).most_ahead(64), 192.0);
    }
}
