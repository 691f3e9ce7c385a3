//! A circuit breaker: while a target fails, callers fail at once instead of waiting for it.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// When a target counts as unreachable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerSettings {
    /// Consecutive attempts that did not reach it.
    pub(crate) failures: u32,
    /// How long no call is sent then, until one probes the target.
    pub(crate) open_for: Duration,
}

/// Counts consecutive attempts that did not reach the target, and opens after too many.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    /// Held for a few instructions, never across an await.
    state: Mutex<State>,
}

/// No attempt is admitted now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BreakerOpen {
    /// Until the next probe.
    pub(crate) retry_after: Duration,
}

/// What an attempt changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BreakerChange {
    /// After so many consecutive failures.
    Opened(u32),
    Closed,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Set while the breaker is open: the time of the next attempt.
    next_probe: Option<Instant>,
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Whether an attempt would be admitted now, without admitting one.
    pub(crate) fn check(&self) -> Result<(), BreakerOpen> {
        check(&self.state())
    }

    /// Admits an attempt. An open breaker admits one probe after each pause: the next caller has to wait for another
    /// pause, or for the probe's success.
    pub(crate) fn admit(&self) -> Result<(), BreakerOpen> {
        let mut state = self.state();
        check(&state)?;
        if state.next_probe.is_some() {
            state.next_probe = Some(Instant::now() + self.settings.open_for);
        }
        Ok(())
    }

    /// Records whether an attempt reached the target.
    pub(crate) fn record(&self, reached: bool) -> Option<BreakerChange> {
        let mut state = self.state();
        if reached {
            let was_open = state.next_probe.is_some();
            *state = State::default();
            return was_open.then_some(BreakerChange::Closed);
        }
        state.failures = state.failures.saturating_add(1);
        if state.failures < self.settings.failures {
            return None;
        }
        let was_open = state.next_probe.is_some();
        state.next_probe = Some(Instant::now() + self.settings.open_for);
        (!was_open).then_some(BreakerChange::Opened(state.failures))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state().next_probe.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

fn check(state: &State) -> Result<(), BreakerOpen> {
    let Some(next_probe) = state.next_probe else { return Ok(()) };
    let retry_after = next_probe.saturating_duration_since(Instant::now());
    if retry_after.is_zero() { Ok(()) } else { Err(BreakerOpen { retry_after }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings =
        BreakerSettings { failures: 3, open_for: Duration::from_secs(5) };

    fn opened() -> Breaker {
        let breaker = Breaker::new(SETTINGS);
        for _ in 0..3 {
            breaker.admit().unwrap();
            breaker.record(false);
        }
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row_only() {
        let breaker = Breaker::new(SETTINGS);
        for reached in [false, false, true, false, false] {
            assert_eq!(breaker.record(reached), None);
        }
        assert!(breaker.check().is_ok() && !breaker.is_open());
        assert_eq!(breaker.record(false), Some(BreakerChange::Opened(3)));
        assert_eq!(breaker.record(false), None);
        assert_eq!(breaker.check(), Err(BreakerOpen { retry_after: Duration::from_secs(5) }));
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
        assert_eq!(breaker.record(true), Some(BreakerChange::Closed));
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
