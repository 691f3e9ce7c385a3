//! How the log does.

use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::log_writer::DroppedLines;

/// The log's metrics. The log is the process's, and older than any server in it.
#[derive(Debug, Default)]
pub(crate) struct LogMetrics {
    dropped: Counter,
    /// Nothing where the log is not ours, as in tests.
    lines: OnceLock<DroppedLines>,
}

impl LogMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Lines of the log that were dropped, as standard error took no more";
        registry.register("log_lines_dropped", help, self.dropped.clone());
    }

    /// Counts what is dropped of this log.
    pub(crate) fn follow(&self, lines: DroppedLines) {
        // A server has one log, and it stays.
        let _ = self.lines.set(lines);
    }

    /// Brings the counter up to date.
    pub(super) fn measure(&self) {
        if let Some(lines) = self.lines.get() {
            self.dropped.inc_by(lines.count().saturating_sub(self.dropped.get()));
        }
    }
}
