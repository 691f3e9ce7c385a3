//! The circuit breaker of an upstream: its errors are those of vending, and the log names what it does.

use super::error::VendError;
use crate::breaker::{Breaker, BreakerChange, BreakerOpen, BreakerSettings};
use appserver_domain::UpstreamName;

/// Opens while STS is unreachable.
#[derive(Debug)]
pub(super) struct StsBreaker {
    breaker: Breaker,
    /// Named in log lines.
    upstream: UpstreamName,
}

impl From<BreakerOpen> for VendError {
    fn from(BreakerOpen { retry_after }: BreakerOpen) -> Self {
        Self::CircuitOpen { retry_after }
    }
}

impl StsBreaker {
    pub(super) fn new(settings: BreakerSettings, upstream: UpstreamName) -> Self {
        Self { breaker: Breaker::new(settings), upstream }
    }

    /// Whether an attempt would be admitted now, without admitting one.
    pub(super) fn check(&self) -> Result<(), VendError> {
        Ok(self.breaker.check()?)
    }

    /// Admits an attempt.
    pub(super) fn admit(&self) -> Result<(), VendError> {
        Ok(self.breaker.admit()?)
    }

    /// Records whether an attempt reached STS.
    pub(super) fn record(&self, reached: bool) {
        match self.breaker.record(reached) {
            None => {}
            Some(BreakerChange::Closed) => tracing::info!(
                upstream.name = self.upstream.name_unless_default(),
                "STS is reachable again; the circuit breaker is closed"
            ),
            Some(BreakerChange::Opened(attempts)) => tracing::warn!(
                upstream.name = self.upstream.name_unless_default(),
                sts.attempts = attempts,
                "STS is unreachable; the circuit breaker is open and only one call at a time probes STS",
            ),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.breaker.is_open()
    }
}
