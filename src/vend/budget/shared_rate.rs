//! How fast a replica's turns come while all share one budget.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{BudgetTerms, Reserved};

/// How long the number of replicas that wait is taken for what it was.
const RECENT: Duration = Duration::from_secs(1);

/// What the last reservation told.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedRate {
    /// Calls a second for all replicas.
    rate: f64,
    replicas: u32,
    at: Instant,
}

impl SharedRate {
    pub(super) fn new(reserved: &Reserved, at: Instant) -> Self {
        Self { rate: reserved.rate, replicas: reserved.replicas, at }
    }

    /// Before the first reservation.
    pub(super) fn unknown(terms: &BudgetTerms, at: Instant) -> Self {
        Self { rate: terms.per_second, replicas: 1, at }
    }

    /// Calls a second for this replica: those that wait take turns.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        let is_recent = now.saturating_duration_since(self.at) < RECENT;
        self.rate / f64::from(if is_recent { self.replicas } else { 1 })
    }

    pub(super) fn time_for(&self, calls: usize, now: Instant) -> Duration {
        // A rate of 0 cannot be configured, and a cut has a floor.
        Duration::try_from_secs_f64(calls as f64 / self.rate(now)).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_wait_share_the_rate_as_long_as_they_are_known_to() {
        let now = Instant::now();
        let reserved = Reserved { wait: Duration::ZERO, rate: 90.0, replicas: 3 };
        let shared_rate = SharedRate::new(&reserved, now);
        assert_eq!(shared_rate.time_for(60, now), Duration::from_secs(2));
        assert_eq!(shared_rate.time_for(90, now + RECENT), Duration::from_secs(1));
    }
}
