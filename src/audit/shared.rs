//! What requests and the writer share.

use std::num::NonZeroU32;

use super::health::Health;
use super::queue::Queue;
use super::refusals::RefusalSummary;
use super::settings::Durability;
use crate::telemetry::AuditMetrics;

/// The state that requests and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) queue: Queue,
    pub(super) refusals: RefusalSummary,
    pub(super) health: Health,
    pub(super) metrics: AuditMetrics,
    pub(super) durability: Durability,
    /// The end of every line.
    pub(super) tail: String,
}

impl Shared {
    pub(super) fn new(
        buffer_lines: usize,
        durability: Durability,
        refusals_per_second: NonZeroU32,
        tail: String,
        metrics: AuditMetrics,
    ) -> Self {
        Self {
            queue: Queue::new(buffer_lines, durability != Durability::Queue),
            refusals: RefusalSummary::new(refusals_per_second),
            health: Health::new(),
            metrics,
            durability,
            tail,
        }
    }

    pub(super) fn count_lost(&self) {
        self.metrics.lost(1);
        self.health.queue_full();
    }
}
