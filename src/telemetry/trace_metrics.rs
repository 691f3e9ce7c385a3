//! What became of spans.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counts of spans; clones count together. Nothing is shown where no traces are wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceMetrics(Family<SpanLabels, Counter>);

/// What became of a span.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SpanOutcome {
    /// The collector took it.
    Exported,
    /// Dropped: too many were waiting.
    QueueFull,
    /// Dropped: the collector did not take what was sent.
    ExportFailed,
    /// The collector took others that were sent with it.
    Rejected,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SpanLabels {
    outcome: &'static str,
}

impl SpanOutcome {
    const ALL: [Self; 4] = [Self::Exported, Self::QueueFull, Self::ExportFailed, Self::Rejected];

    fn label(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::QueueFull => "queue_full",
            Self::ExportFailed => "export_failed",
            Self::Rejected => "rejected",
        }
    }
}

impl TraceMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("trace_spans", "Spans, by what became of them", self.0.clone());
    }

    /// From the start: an alert on the first drop needs the zero before it.
    pub(super) fn begin(&self) {
        for outcome in SpanOutcome::ALL {
            self.spans(outcome, 0);
        }
    }

    pub(super) fn spans(&self, outcome: SpanOutcome, count: u64) {
        self.0.get_or_create(&SpanLabels { outcome: outcome.label() }).inc_by(count);
    }

    #[cfg(test)]
    pub(super) fn count(&self, outcome: SpanOutcome) -> u64 {
        self.0.get_or_create(&SpanLabels { outcome: outcome.label() }).get()
    }
}
