//! Metrics and trace span of one attempt at STS, recorded however the attempt ends.

use tokio::time::Instant;

use super::endpoint::Endpoint;
use crate::telemetry::{Metrics, Span, SpanKind, StsCall};
use appserver_domain::UpstreamName;

/// The outcome of an attempt whose caller disconnected before STS answered.
const ABANDONED: &str = "abandoned";
pub(super) const SUCCESS: &str = "success";

/// A running attempt. It is recorded on drop, so also if its future is dropped.
pub(super) struct Attempt<'a> {
    action: &'static str,
    endpoint: &'a Endpoint,
    /// From 1 within a call.
    number: u32,
    began: Instant,
    outcome: &'static str,
    upstream: &'a UpstreamName,
    metrics: &'a Metrics,
    /// Its trace span. It is not propagated to STS, which is another organisation's service.
    span: Option<Span>,
}

impl<'a> Attempt<'a> {
    pub(super) fn begin(
        action: &'static str,
        endpoint: &'a Endpoint,
        number: u32,
        upstream: &'a UpstreamName,
        metrics: &'a Metrics,
    ) -> Self {
        let span = Span::current().map(|span| span.child(name_of(action), SpanKind::Client));
        let (began, outcome) = (Instant::now(), ABANDONED);
        Self { action, endpoint, number, began, outcome, upstream, metrics, span }
    }

    /// Ends it with an outcome of a closed set, which is a metric label.
    pub(super) fn end(mut self, outcome: &'static str) {
        self.outcome = outcome;
    }

    fn record(&self, span: &Span) {
        span.set_text("rpc.service", "Sts");
        span.set_text("rpc.method", self.action);
        span.set_text("http.request.method", "POST");
        span.set_text("server.address", self.endpoint.host());
        if self.number > 1 {
            span.set_number("http.request.resend_count", i64::from(self.number) - 1);
        }
        if self.outcome != SUCCESS {
            span.set_error(self.outcome);
        }
    }
}

/// The name of its span: `service/method`, by OpenTelemetry's conventions.
fn name_of(action: &'static str) -> &'static str {
    match action {
        "AssumeRole" => "Sts/AssumeRole",
        "GetCallerIdentity" => "Sts/GetCallerIdentity",
        _ => "Sts",
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let call = StsCall::new(self.action, self.outcome, self.upstream);
        self.metrics.sts_call(&call, self.began.elapsed());
        if let Some(span) = &self.span {
            self.record(span);
        }
        if self.outcome == ABANDONED {
            tracing::debug!(
                sts.action = self.action,
                sts.endpoint = self.endpoint.authority(),
                sts.attempt = self.number,
                "an attempt at STS was abandoned: its caller went away",
            );
        }
    }
}
