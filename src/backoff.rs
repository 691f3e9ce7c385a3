//! Exponential back-off with jitter: how long to wait before the next attempt.

use std::time::Duration;

/// Waits that double from `first` up to `longest`, each shortened by a random part of up to `jitter`, so that replicas
/// and callers that failed together do not return together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    jitter: f64,
}

impl Backoff {
    /// `jitter` is a part of the wait, from 0 (none) to 1 (anything down to no wait).
    pub(crate) const fn new(first: Duration, longest: Duration, jitter: f64) -> Self {
        Self { first, longest, jitter }
    }

    /// The same wait after each failure.
    pub(crate) const fn constant(wait: Duration, jitter: f64) -> Self {
        Self::new(wait, wait, jitter)
    }

    /// The same with no wait longer than `longest`.
    pub(crate) fn at_most(self, longest: Duration) -> Self {
        Self { longest: self.longest.min(longest), ..self }
    }

    /// The wait after this many failures in a row, the first being number 1.
    pub(crate) fn wait_after(&self, failures: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let wait = self.first.saturating_mul(doubled).min(self.longest);
        jittered(wait, self.jitter)
    }
}

/// The wait, shortened by a random part of up to `jitter`.
pub(crate) fn jittered(wait: Duration, jitter: f64) -> Duration {
    rand::random_range(wait.saturating_sub(wait.mul_f64(jitter))..=wait)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wait_doubles_up_to_the_longest_and_is_shortened_by_no_more_than_the_jitter(
            first_millis in 1_u64..100_000,
            longest_millis in 1_u64..100_000_000,
            jitter in 0.0..=1.0_f64,
            failures in prop_oneof![0..40_u32, any::<u32>()],
        ) {
            let (first, longest) =
                (Duration::from_millis(first_millis), Duration::from_millis(longest_millis));
            let full = u128::from(first_millis) << failures.saturating_sub(1).min(64);
            let full = full.min(u128::from(longest_millis)) as f64 / 1000.0;
            let wait = Backoff::new(first, longest, jitter).wait_after(failures).as_secs_f64();
            prop_assert!(wait <= full + 1e-9, "{wait} of {full}");
            prop_assert!(wait >= full * (1.0 - jitter) - 1e-6, "{wait} of {full}");
            let capped = Backoff::new(first, longest, jitter).at_most(first).wait_after(failures);
            prop_assert!(capped <= first.min(longest));
        }
    }

    #[test]
    fn without_jitter_waits_are_exact() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5), 0.0);
        assert_eq!([1, 2, 3, 4, 99].map(|n| backoff.wait_after(n).as_secs()), [1, 2, 4, 5, 5]);
        let constant = Backoff::constant(Duration::from_secs(1), 0.0);
        assert_eq!([0, 1, u32::MAX].map(|n| constant.wait_after(n).as_secs()), [1, 1, 1]);
    }

    #[test]
    fn waits_differ() {
        let backoff = Backoff::constant(Duration::from_secs(1), 0.5);
        let waits: std::collections::BTreeSet<_> =
            (0..100).map(|_| backoff.wait_after(1)).collect();
        assert!(waits.len() > 90);
    }
}
