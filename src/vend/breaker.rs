//! The circuit breaker: while STS is out of reach, callers are told so at once instead of waiting for it.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::error::VendError;
use super::settings::BreakerSettings;

/// Counts attempts in a row that found no STS, and opens when there were too many.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    /// Held for a few instructions, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while the breaker is open: when the next attempt may be made.
    next_probe: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Whether an attempt could be made now; nothing is claimed.
    pub(super) fn check(&self) -> Result<(), VendError> {
        left(&self.state())
            .map_or(Ok(()), |retry_after| Err(VendError::CircuitOpen { retry_after }))
    }

    /// Lets an attempt through. Of an open breaker that is one probe each time its pause is over: who asks next is
    /// told to wait for another pause, or for the probe's success.
    pub(super) fn admit(&self) -> Result<(), VendError> {
        let mut state = self.state();
        if let Some(retry_after) = left(&state) {
            return Err(VendError::CircuitOpen { retry_after });
        }
        if state.next_probe.is_some() {
            state.next_probe = Some(Instant::now() + self.settings.open_for);
        }
        Ok(())
    }

    /// An attempt ended: did it find STS?
    pub(super) fn learn(&self, found: bool) {
        let mut state = self.state();
        if found {
            if state.next_probe.is_some() {
                tracing::info!("STS is back");
            }
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.settings.failures {
            if state.next_probe.is_none() {
                tracing::warn!(
                    sts.attempts = state.failures,
                    "STS is out of reach; from now on one call at a time tries it",
                );
            }
            state.next_probe = Some(Instant::now() + self.settings.open_for);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().next_probe.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment, so a panic elsewhere has left nothing half done.
        self.state.lock()
    }
}

fn left(state: &State) -> Option<Duration> {
    let left = state.next_probe?.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened() -> Breaker {
        let breaker =
            Breaker::new(BreakerSettings { failures: 3, open_for: Duration::from_secs(5) });
        for _ in 0..3 {
            breaker.admit().unwrap();
            breaker.learn(false);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker =
            Breaker::new(BreakerSettings { failures: 3, open_for: Duration::from_secs(5) });
        for found in [false, false, true, false, false] {
            breaker.learn(found);
        }
        assert!(breaker.check().is_ok() && !breaker.is_open());
        breaker.learn(false);
        let refused = breaker.check().unwrap_err();
        assert!(
            matches!(refused, VendError::CircuitOpen { retry_after } if retry_after == Duration::from_secs(5))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_is_let_through_and_its_outcome_decides() {
        let breaker = opened();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(breaker.admit().is_ok());
        assert!(breaker.admit().is_err(), "a second probe beside the first");
        breaker.learn(false);
        assert!(breaker.admit().is_err());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(breaker.admit().is_ok());
        breaker.learn(true);
        assert!(breaker.admit().is_ok() && breaker.admit().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_reports_blocks_for_one_pause_only() {
        let breaker = opened();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(breaker.admit().is_ok());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(breaker.admit().is_ok());
    }
}
