//! Traces: what of a request took how long, told to a collector by OTLP.
//!
//! Spans are this server's own values and have nothing to do with `tracing`, which writes the log: whether a request is
//! recorded is decided before anything is made for it, and one that is not costs next to nothing. What is recorded waits
//! in a queue of a fixed length; whoever adds to a full one drops the span, counts it and goes on.

mod collector;
mod export;
mod parent;
mod span;

use std::sync::Arc;

use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use reqwest::header::HeaderMap;
use tokio::sync::mpsc;

use super::{SpanOutcome, TraceMetrics};
use appserver_domain::clock::Clock;
use parent::Parent;

pub(crate) use collector::Collector;
pub(crate) use export::Exporter;
pub(crate) use span::{Span, SpanKind, SpanLink, current_trace_id, in_child_span};

/// What is recorded, and where it goes.
#[derive(Clone, Debug)]
pub(crate) struct TraceSettings {
    pub(crate) collector: Collector,
    /// Sent with each export; what is secret in them is marked so.
    pub(crate) headers: HeaderMap,
    /// Of the requests that come without a decision, 0.0 to 1.0.
    pub(crate) sample_ratio: f64,
    /// Whether requests that come with a decision are recorded, or not, as it says.
    pub(crate) trust_remote_parent: bool,
    pub(crate) service_name: String,
    /// For one export.
    pub(crate) timeout: std::time::Duration,
    /// Spans that wait to be exported.
    pub(crate) max_queued: usize,
}

/// Begins traces, where they are wanted at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(Option<Arc<Tracer>>);

/// What all spans of a server share.
#[derive(Debug)]
struct Tracer {
    sample_ratio: f64,
    trust_remote_parent: bool,
    queue: mpsc::Sender<OtlpSpan>,
    clock: Clock,
    metrics: TraceMetrics,
}

impl Traces {
    /// Spans, and what exports them; it must be run.
    pub(crate) fn to(
        settings: TraceSettings,
        clock: Clock,
        metrics: TraceMetrics,
    ) -> Result<(Self, Exporter), reqwest::Error> {
        let (queue, queued) = mpsc::channel(settings.max_queued);
        let TraceSettings { sample_ratio, trust_remote_parent, .. } = settings;
        let exporter = Exporter::new(settings, queued, metrics.clone())?;
        let tracer = Tracer { sample_ratio, trust_remote_parent, queue, clock, metrics };
        Ok((Self(Some(Arc::new(tracer))), exporter))
    }

    /// The part of a trace that a request is, by its headers; none if nobody is to hear of it.
    ///
    /// One that its caller does not record has a part, too: failures are logged with the trace's id.
    pub(crate) fn start_request(&self, headers: &HeaderMap) -> Option<Span> {
        let tracer = self.0.as_ref()?;
        let parent = if tracer.trust_remote_parent { Parent::of(headers) } else { None };
        match parent {
            Some(parent) if parent.sampled => {
                Some(Span::with_remote_parent(tracer, &parent, parent::state(headers)))
            }
            Some(parent) => Some(Span::unrecorded(parent.trace_id)),
            None if rand::random::<f64>() < tracer.sample_ratio => {
                Some(Span::root(tracer, SpanKind::Server))
            }
            None => None,
        }
    }
}

#[cfg(test)]
impl Traces {
    /// Records everything, for the test to look at.
    pub(crate) fn for_tests() -> (Self, mpsc::Receiver<OtlpSpan>) {
        let (queue, queued) = mpsc::channel(64);
        let metrics = TraceMetrics::default();
        let clock = Clock::system();
        let tracer = Tracer { sample_ratio: 1.0, trust_remote_parent: true, queue, clock, metrics };
        (Self(Some(Arc::new(tracer))), queued)
    }
}

impl Tracer {
    /// Hands a span that has ended to the exporter, and never waits.
    fn ended(&self, span: OtlpSpan) {
        if self.queue.try_send(span).is_err() {
            self.metrics.spans(SpanOutcome::QueueFull, 1);
        }
    }
}

#[cfg(test)]
mod tests;
