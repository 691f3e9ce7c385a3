//! One call of the hook. It is bounded in time and size, and not repeated.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::error::{DecisionError, WrongAnswer};
use super::hook_answer::HookDecision;
use super::hook_request::PreparedCall;
use super::hook_settings::HookUrl;
use crate::breaker::{Breaker, BreakerChange, BreakerSettings};
use crate::outbound::{BODY_SIGNATURE, BodyError, Egress, body_signature, read_body};
use crate::telemetry::{DecisionMetrics, Span, SpanKind};
use appserver_domain::clock::Clock;

/// The longest answer.
const MAX_ANSWER_BYTES: usize = 16 << 10;
/// Common servers close a connection after 2 idle seconds or more. A call on one that is being closed would fail.
const MAX_IDLE: Duration = Duration::from_millis(1500);
/// A hook that fails is left alone soon, and tried again soon: callers wait for it or are refused.
const BREAKER: BreakerSettings = BreakerSettings { failures: 10, open_for: Duration::from_secs(2) };

/// Calls the hook.
#[derive(Debug)]
pub(super) struct HookClient {
    http: Client,
    url: HookUrl,
    secret: SecretString,
    timeout: Duration,
    breaker: Breaker,
    clock: Clock,
    metrics: DecisionMetrics,
}

/// The system's certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("TLS to the decision hook cannot be set up")]
pub(crate) struct HookTlsError(#[source] reqwest::Error);

impl HookClient {
    /// The hook is the operator's own server: no proxy stands before it.
    pub(super) fn new(
        url: HookUrl,
        timeout: Duration,
        secret: SecretString,
        egress: &Egress,
        clock: Clock,
        metrics: DecisionMetrics,
    ) -> Result<Self, HookTlsError> {
        let http = egress
            .direct()
            .client(url.0.is_encrypted())
            .connect_timeout(timeout)
            .pool_idle_timeout(MAX_IDLE)
            .build()
            .map_err(HookTlsError)?;
        Ok(Self { http, url, secret, timeout, breaker: Breaker::new(BREAKER), clock, metrics })
    }

    /// Calls the hook. The call is a span below `parent`, which is not propagated to the hook.
    pub(super) async fn call(
        &self,
        call: PreparedCall,
        parent: Option<&Span>,
    ) -> Result<HookDecision, DecisionError> {
        self.breaker.admit()?;
        let span = parent.map(|span| span.child("decision hook", SpanKind::Client));
        let started = Instant::now();
        let answered = self.attempt(call, started + self.timeout).await;
        let outcome = answered.as_ref().map_or_else(DecisionError::reason, |_| "answered");
        self.metrics.called(outcome, started.elapsed());
        if let Some(span) = span {
            span.set_text("http.request.method", "POST");
            span.set_text("server.address", self.url.0.url().host_str().unwrap_or_default());
            if let Err(error) = &answered {
                span.set_error(error.reason());
            }
        }
        let reached = answered.as_ref().err().is_none_or(|error| !error.is_silence());
        match self.breaker.record(reached) {
            None => {}
            Some(BreakerChange::Closed) => {
                self.metrics.breaker_open(false);
                tracing::info!("the decision hook answers again; its circuit breaker is closed");
            }
            Some(BreakerChange::Opened(attempts)) => {
                self.metrics.breaker_open(true);
                tracing::warn!(
                    decision.attempts = attempts,
                    "the decision hook fails; its circuit breaker is open and only one call at a time probes it"
                );
            }
        }
        answered
    }

    async fn attempt(
        &self,
        call: PreparedCall,
        deadline: Instant,
    ) -> Result<HookDecision, DecisionError> {
        let PreparedCall { body, bounds, .. } = call;
        let signature = body_signature(&self.secret, self.clock.now(), &body);
        let request = self
            .http
            .post(self.url.0.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(BODY_SIGNATURE, signature)
            .body(body);
        let exchange = async {
            let mut response = request.send().await.map_err(unreachable)?;
            let status = response.status();
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                return Err(DecisionError::Failed(status.as_u16()));
            }
            if status != StatusCode::OK {
                return Err(DecisionError::WrongAnswer(WrongAnswer::Status(status.as_u16())));
            }
            read_body(&mut response, MAX_ANSWER_BYTES).await.map_err(|error| match error {
                BodyError::TooLong(limit) => {
                    DecisionError::WrongAnswer(WrongAnswer::TooLong(limit))
                }
                BodyError::Broken(error) => unreachable(error),
            })
        };
        let answer =
            timeout_at(deadline, exchange).await.map_err(|_| DecisionError::TimedOut)??;
        HookDecision::parse(&answer, bounds).map_err(DecisionError::WrongAnswer)
    }
}

fn unreachable(error: reqwest::Error) -> DecisionError {
    if error.is_timeout() {
        return DecisionError::TimedOut;
    }
    // The URL may contain a key of the operator's.
    DecisionError::Unreachable(Arc::new(error.without_url()))
}
