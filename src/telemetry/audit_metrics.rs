//! Metrics of the audit.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of the audit. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditMetrics {
    written: Counter,
    lost: Counter,
    queued: Gauge,
    up: Gauge,
}

impl AuditMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("audit");
        let Self { written, lost, queued, up } = self.clone();
        registry.register("lines_written", "Lines that the audit's sink has taken", written);
        registry.register("lines_lost", "Decisions that are not in the audit", lost);
        registry.register("queue_length", "Lines that wait for the audit's sink", queued);
        registry.register("up", "Whether the audit's sink accepts lines", up);
    }

    pub(crate) fn written(&self, lines: usize) {
        self.written.inc_by(lines as u64);
    }

    pub(crate) fn lost(&self, lines: usize) {
        self.lost.inc_by(lines as u64);
    }

    /// Sets the gauges.
    pub(crate) fn measured(&self, queued: usize, broken: bool) {
        self.queued.set(i64::try_from(queued).unwrap_or(i64::MAX));
        self.up.set((!broken).into());
    }
}
