//! One attempt's measurement, which is taken however the attempt ends.

use tokio::time::Instant;

use crate::telemetry::{Metrics, StsCall};

/// How an attempt ended whose caller went away before STS answered.
const ABANDONED: &str = "abandoned";

/// A running attempt. It is counted when it is dropped, so also with the future that it runs in.
pub(super) struct Attempt<'a> {
    action: &'static str,
    /// The host that was asked.
    endpoint: &'a str,
    /// From 1 within a call.
    number: u32,
    began: Instant,
    outcome: &'static str,
    metrics: &'a Metrics,
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(
        action: &'static str,
        endpoint: &'a str,
        number: u32,
        metrics: &'a Metrics,
    ) -> Self {
        Self { action, endpoint, number, began: Instant::now(), outcome: ABANDONED, metrics }
    }

    /// Ends it with an outcome of a closed set: it becomes a metric's label.
    pub(super) fn end(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let call = StsCall { action: self.action, outcome: self.outcome };
        self.metrics.sts_call(&call, self.began.elapsed());
        if self.outcome == ABANDONED {
            tracing::debug!(
                sts.action = self.action,
                sts.endpoint = self.endpoint,
                sts.attempt = self.number,
                "an attempt at STS was abandoned: its caller went away",
            );
        }
    }
}
