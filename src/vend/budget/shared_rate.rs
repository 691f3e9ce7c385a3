//! The rate of this replica's turns while all replicas share one budget.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::{BudgetTerms, Reservation};

/// How long the last known number of waiting replicas is used.
const RECENT: Duration = Duration::from_secs(1);

/// The result of the last reservation.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedRate {
    /// Calls per second of all replicas.
    rate: f64,
    replicas: u32,
    at: Instant,
}

impl SharedRate {
    pub(super) fn new(reservation: &Reservation, at: Instant) -> Self {
        Self { rate: reservation.rate, replicas: reservation.replicas, at }
    }

    /// Before the first reservation.
    pub(super) fn unknown(terms: &BudgetTerms, at: Instant) -> Self {
        Self { rate: terms.per_second, replicas: 1, at }
    }

    /// Calls per second of this replica: the waiting replicas take turns.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        let is_recent = now.saturating_duration_since(self.at) < RECENT;
        self.rate / f64::from(if is_recent { self.replicas } else { 1 })
    }

    pub(super) fn time_for(&self, calls: usize, now: Instant) -> Duration {
        // A rate of 0 cannot be configured, and cuts have a floor.
        Duration::try_from_secs_f64(calls as f64 / self.rate(now)).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_that_wait_share_the_rate_as_long_as_they_are_known_to() {
        let now = Instant::now();
        let reservation = Reservation { wait: Duration::ZERO, rate: 90.0, replicas: 3 };
        let shared_rate = SharedRate::new(&reservation, now);
        assert_eq!(shared_rate.time_for(60, now), Duration::from_secs(2));
        assert_eq!(shared_rate.time_for(90, now + RECENT), Duration::from_secs(1));
    }
}
