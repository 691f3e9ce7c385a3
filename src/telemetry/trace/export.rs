//! Exports ended spans to the collector. No request waits for it.

use std::error::Error;
use std::pin::pin;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as OtlpSpan};
use prost::Message;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::span::attribute;
use super::{Collector, TraceSettings};
use crate::outbound::{self, BodyError, Egress, ProxyError};
use crate::telemetry::{SpanOutcome, TraceMetrics, with_causes};

/// The most spans of one export.
const MAX_BATCH: usize = 512;
/// How long the first span of an export waits for others.
const BATCH_FOR: Duration = Duration::from_secs(1);
/// How long a stopping server exports the remaining spans.
const DRAIN: Duration = Duration::from_secs(2);
/// The most that is read of an answer; a normal one is a few bytes long.
const MAX_ANSWER: usize = 16 * 1024;

/// Sends ended spans in batches.
#[derive(Debug)]
pub(crate) struct Exporter {
    queued: mpsc::Receiver<OtlpSpan>,
    /// The most spans of one export.
    max_batch: usize,
    collector: Collector,
    http: Client,
    egress: Egress,
    timeout: Duration,
    resource: Resource,
    metrics: TraceMetrics,
    /// Whether the last export failed; a failure is logged once.
    last_export_failed: bool,
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the collector did not answer in time")]
    TimedOut,
    #[error(transparent)]
    Proxy(ProxyError),
    #[error("the collector cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error("the collector answered {0}")]
    Refused(StatusCode),
}

impl ExportError {
    /// The label of the error in metrics and logs, one of [`TraceMetrics`]'s.
    fn kind(&self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Proxy(error) => error.kind(),
            Self::Unreachable(_) => "unreachable",
            Self::Refused(_) => "status",
        }
    }
}

impl Exporter {
    pub(super) fn new(
        settings: TraceSettings,
        egress: Egress,
        queued: mpsc::Receiver<OtlpSpan>,
        metrics: TraceMetrics,
    ) -> Result<Self, reqwest::Error> {
        let http = egress
            .client(settings.collector.is_encrypted())
            .default_headers(settings.headers)
            // Before the export's own limit, so that a proxy that hangs is named.
            .connect_timeout(settings.timeout * 3 / 4);
        let text = |key, text: &str| attribute(key, Value::StringValue(text.to_owned()));
        let resource = Resource {
            attributes: vec![
                text("service.name", &settings.service_name),
                text("service.version", env!("CARGO_PKG_VERSION")),
                text("service.instance.id", &uuid::Uuid::new_v4().to_string()),
            ],
            ..Resource::default()
        };
        metrics.create_series();
        Ok(Self {
            queued,
            max_batch: MAX_BATCH.min(settings.max_queued),
            collector: settings.collector,
            http: http.build()?,
            egress,
            timeout: settings.timeout,
            resource,
            metrics,
            last_export_failed: false,
        })
    }

    /// Exports until `stop`, and then the remaining spans for [`DRAIN`] at most.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut exports = pin!(self.exports(stop.clone()));
        tokio::select! {
            () = &mut exports => {}
            () = async { stop.cancelled().await; sleep(DRAIN).await } => {
                tracing::warn!("last spans were not exported in time; they are lost");
            }
        }
    }

    /// Ends after `stop` when no span is left.
    async fn exports(&mut self, stop: CancellationToken) {
        let mut spans = Vec::new();
        while let Some(Some(first)) = stop.run_until_cancelled(self.queued.recv()).await {
            spans.push(first);
            let until = Instant::now() + BATCH_FOR;
            while spans.len() < self.max_batch && !stop.is_cancelled() {
                let room = self.max_batch - spans.len();
                let more = self.queued.recv_many(&mut spans, room);
                let more = stop.run_until_cancelled(timeout_at(until, more)).await;
                if !matches!(more, Some(Ok(1..))) {
                    break;
                }
            }
            self.export(&mut spans).await;
        }
        self.queued.close();
        while self.queued.recv_many(&mut spans, self.max_batch).await > 0 {
            self.export(&mut spans).await;
        }
    }

    /// Exports these spans, or drops and counts them: retained spans would only delay newer ones once the collector is
    /// back.
    async fn export(&mut self, spans: &mut Vec<OtlpSpan>) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        let sent = timeout(self.timeout, self.send(std::mem::take(spans))).await;
        match sent.unwrap_or(Err(ExportError::TimedOut)) {
            Ok(rejected) => {
                let rejected = rejected.min(count);
                self.metrics.spans(SpanOutcome::Exported, count - rejected);
                self.metrics.spans(SpanOutcome::Rejected, rejected);
                if std::mem::take(&mut self.last_export_failed) {
                    tracing::info!("span export works again");
                }
            }
            Err(error) => {
                self.metrics.spans(SpanOutcome::ExportFailed, count);
                self.metrics.export_failed(error.kind());
                if !std::mem::replace(&mut self.last_export_failed, true) {
                    let kind = error.kind();
                    let error: &dyn Error = &error;
                    tracing::warn!(
                        error.kind = kind,
                        error.cause = with_causes(error),
                        "spans cannot be exported; they are dropped and counted until they can be"
                    );
                }
            }
        }
    }

    /// Returns how many spans the collector rejected.
    async fn send(&self, spans: Vec<OtlpSpan>) -> Result<u64, ExportError> {
        let scope = InstrumentationScope {
            name: "appserver".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let of_scope = ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
        let of_resource = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![of_scope],
            schema_url: String::new(),
        };
        let request = ExportTraceServiceRequest { resource_spans: vec![of_resource] };
        let request = self.http.post(self.collector.traces()).body(request.encode_to_vec());
        let request = request.header(CONTENT_TYPE, "application/x-protobuf");
        let mut response = request.send().await.map_err(|error| {
            let error = self.egress.proxy_error(error);
            error.map_or_else(ExportError::Unreachable, ExportError::Proxy)
        })?;
        if !response.status().is_success() {
            return Err(ExportError::Refused(response.status()));
        }
        // Read so that the connection can be used again. A body that is too long or not protobuf rejects no span.
        let answer = match outbound::read_body(&mut response, MAX_ANSWER).await {
            Ok(answer) => answer,
            Err(BodyError::TooLong(_)) => Vec::new(),
            Err(BodyError::Broken(error)) => return Err(ExportError::Unreachable(error)),
        };
        let answer = ExportTraceServiceResponse::decode(answer.as_slice()).unwrap_or_default();
        let rejected = answer.partial_success.map_or(0, |partial| partial.rejected_spans);
        Ok(u64::try_from(rejected).unwrap_or_default())
    }
}
