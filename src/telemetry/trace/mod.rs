//! Traces of requests, exported to a collector by OTLP.
//!
//! Spans do not use `tracing`, which writes the log: sampling is decided before anything is allocated for a request, so
//! an unsampled request costs next to nothing. Ended spans wait in a bounded queue; a full queue drops and counts them.

mod collector;
mod export;
mod parent;
mod span;

use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use reqwest::header::HeaderMap;
use tokio::sync::mpsc;

use super::{SpanOutcome, TraceMetrics};
use crate::outbound::Egress;
use appserver_domain::clock::Clock;
use parent::Parent;

pub(crate) use collector::Collector;
pub(crate) use export::Exporter;
pub(crate) use span::{Span, SpanKind, SpanLink, current_trace_id, in_child_span};

/// Settings of sampling and export.
#[derive(Clone, Debug)]
pub(crate) struct TraceSettings {
    pub(crate) collector: Collector,
    /// Sent with each export; secret values are marked as sensitive.
    pub(crate) headers: HeaderMap,
    /// The sampled share of requests without a sampling decision, 0.0 to 1.0.
    pub(crate) sample_ratio: f64,
    /// Whether a caller's sampling decision is followed.
    pub(crate) trust_remote_parent: bool,
    pub(crate) service_name: String,
    /// The time-out of one export.
    pub(crate) timeout: std::time::Duration,
    /// Spans that wait to be exported.
    pub(crate) max_queued: usize,
}

/// Starts traces, if tracing is configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(Option<Arc<Tracer>>);

/// The state that all spans of a server share.
#[derive(Debug)]
struct Tracer {
    sample_ratio: f64,
    trust_remote_parent: bool,
    queue: mpsc::Sender<OtlpSpan>,
    clock: Clock,
    metrics: TraceMetrics,
}

impl Traces {
    /// The source of spans and their exporter, which must be run.
    pub(crate) fn to(
        settings: TraceSettings,
        egress: Egress,
        clock: Clock,
        metrics: TraceMetrics,
    ) -> Result<(Self, Exporter), reqwest::Error> {
        let (queue, queued) = mpsc::channel(settings.max_queued);
        let TraceSettings { sample_ratio, trust_remote_parent, .. } = settings;
        let exporter = Exporter::new(settings, egress, queued, metrics.clone())?;
        let tracer = Tracer { sample_ratio, trust_remote_parent, queue, clock, metrics };
        Ok((Self(Some(Arc::new(tracer))), exporter))
    }

    /// Starts the span of a request by its headers; none if it is not sampled.
    ///
    /// A request whose caller does not record the trace gets an unrecorded span: failures are logged with the trace's id.
    pub(crate) fn start_request(&self, headers: &HeaderMap) -> Option<Span> {
        let tracer = self.0.as_ref()?;
        let parent = if tracer.trust_remote_parent { Parent::from_headers(headers) } else { None };
        match parent {
            Some(parent) if parent.sampled => {
                Some(Span::with_remote_parent(tracer, &parent, parent::state(headers)))
            }
            Some(parent) => Some(Span::not_exported(parent.trace_id)),
            None if rand::random::<f64>() < tracer.sample_ratio => {
                Some(Span::root(tracer, SpanKind::Server))
            }
            None => None,
        }
    }
}

#[cfg(test)]
impl Traces {
    /// Records everything, for a test to read.
    pub(crate) fn for_tests() -> (Self, mpsc::Receiver<OtlpSpan>) {
        let (queue, queued) = mpsc::channel(64);
        let metrics = TraceMetrics::default();
        let clock = Clock::system();
        let tracer = Tracer { sample_ratio: 1.0, trust_remote_parent: true, queue, clock, metrics };
        (Self(Some(Arc::new(tracer))), queued)
    }
}

impl Tracer {
    /// Passes an ended span to the exporter without waiting.
    fn ended(&self, span: OtlpSpan) {
        if self.queue.try_send(span).is_err() {
            self.metrics.spans(SpanOutcome::QueueFull, 1);
        }
    }
}

#[cfg(test)]
mod tests;
