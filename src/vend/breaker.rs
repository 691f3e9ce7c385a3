//! The circuit breaker: while STS is unreachable, callers fail at once instead of waiting for it.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::error::VendError;
use super::settings::BreakerSettings;
use appserver_domain::UpstreamName;

/// Counts consecutive attempts that did not reach STS, and opens after too many.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    /// Named in log lines.
    upstream: UpstreamName,
    /// Held for a few instructions, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while the breaker is open: the time of the next attempt.
    next_probe: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(settings: BreakerSettings, upstream: UpstreamName) -> Self {
        Self { settings, upstream, state: Mutex::default() }
    }

    /// Whether an attempt would be admitted now, without admitting one.
    pub(super) fn check(&self) -> Result<(), VendError> {
        left(&self.state())
            .map_or(Ok(()), |retry_after| Err(VendError::CircuitOpen { retry_after }))
    }

    /// Admits an attempt. An open breaker admits one probe after each pause: the next caller has to wait for another
    /// pause, or for the probe's success.
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

    /// Records whether an attempt reached STS.
    pub(super) fn record(&self, reached: bool) {
        let mut state = self.state();
        if reached {
            if state.next_probe.is_some() {
                tracing::info!(
                    upstream.name = self.upstream.name_unless_default(),
                    "STS is reachable again; the circuit breaker is closed"
                );
            }
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures >= self.settings.failures {
            if state.next_probe.is_none() {
                tracing::warn!(
                    upstream.name = self.upstream.name_unless_default(),
                    sts.attempts = state.failures,
                    "STS is unreachable; the circuit breaker is open and only one call at a time probes STS",
                );
            }
            state.next_probe = Some(Instant::now() + self.settings.open_for);
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state().next_probe.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
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
        let breaker = Breaker::new(
            BreakerSettings { failures: 3, open_for: Duration::from_secs(5) },
            UpstreamName::default(),
        );
        for _ in 0..3 {
            breaker.admit().unwrap();
            breaker.record(false);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker = Breaker::new(
            BreakerSettings { failures: 3, open_for: Duration::from_secs(5) },
            UpstreamName::default(),
        );
        for reached in [false, false, true, false, false] {
            breaker.record(reached);
        }
        assert!(breaker.check().is_ok() && !breaker.is_open());
        breaker.record(false);
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
        breaker.record(false);
        assert!(breaker.admit().is_err());
        tokio::time::advance(Duration::from_secs(5)).await;
        assert!(breaker.admit().is_ok());
        breaker.record(true);
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
