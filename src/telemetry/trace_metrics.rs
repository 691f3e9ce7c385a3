//! Metrics of exported and dropped spans.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::outbound::PROXY_ERROR_KINDS;

/// Counts of spans. Clones share their values. Without a collector no series is exported.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceMetrics {
    spans: Family<SpanLabels, Counter>,
    failed_exports: Family<ReasonLabels, Counter>,
}

/// Why an export failed.
const EXPORT_FAILURES: [&str; 6] = [
    "timed_out",
    PROXY_ERROR_KINDS[0],
    PROXY_ERROR_KINDS[1],
    PROXY_ERROR_KINDS[2],
    "unreachable",
    "status",
];

/// What happened to a span.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SpanOutcome {
    /// The collector accepted it.
    Exported,
    /// Dropped: the queue was full.
    QueueFull,
    /// Dropped: the export failed.
    ExportFailed,
    /// The collector rejected it and accepted others of the same export.
    Rejected,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SpanLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReasonLabels {
    reason: &'static str,
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
        registry.register("trace_spans", "Spans, by what became of them", self.spans.clone());
        registry.register(
            "trace_failed_exports",
            "Exports of spans that failed, by reason",
            self.failed_exports.clone(),
        );
    }

    /// Creates the series at zero: an alert on the first drop needs the zero before it.
    pub(super) fn create_series(&self) {
        for outcome in SpanOutcome::ALL {
            self.spans(outcome, 0);
        }
        for reason in EXPORT_FAILURES {
            drop(self.failed_exports.get_or_create(&ReasonLabels { reason }));
        }
    }

    /// Counts an export that failed.
    pub(super) fn export_failed(&self, reason: &'static str) {
        debug_assert!(EXPORT_FAILURES.contains(&reason), "{reason} is not shown from the start");
        self.failed_exports.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(super) fn spans(&self, outcome: SpanOutcome, count: u64) {
        self.spans.get_or_create(&SpanLabels { outcome: outcome.label() }).inc_by(count);
    }

    #[cfg(test)]
    pub(super) fn count(&self, outcome: SpanOutcome) -> u64 {
        self.spans.get_or_create(&SpanLabels { outcome: outcome.label() }).get()
    }
}
