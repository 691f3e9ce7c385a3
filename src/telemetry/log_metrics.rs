//! Metrics of the log.

use std::sync::OnceLock;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::log_writer::DroppedLines;

/// Metrics of the process's log, which starts before any server in the process.
#[derive(Debug, Default)]
pub(crate) struct LogMetrics {
    dropped: Counter,
    /// Unset if the log was not started by the program, as in tests.
    lines: OnceLock<DroppedLines>,
}

impl LogMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Lines of the log that were dropped, as standard error took no more";
        registry.register("log_lines_dropped", help, self.dropped.clone());
    }

    /// Exports the dropped lines of this log.
    pub(crate) fn follow(&self, lines: DroppedLines) {
        // A server has one log for its whole life.
        let _ = self.lines.set(lines);
    }

    /// Updates the counter.
    pub(super) fn measure(&self) {
        if let Some(lines) = self.lines.get() {
            self.dropped.inc_by(lines.count().saturating_sub(self.dropped.get()));
        }
    }
}
