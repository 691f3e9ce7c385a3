//! Metrics of the lists of revocations.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of revocations, by the source of their list. Sources that are not configured have none.
#[derive(Clone, Debug, Default)]
pub(crate) struct RevocationMetrics {
    active: Family<SourceLabel, Gauge>,
    up: Family<SourceLabel, Gauge>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SourceLabel {
    source: &'static str,
}

impl RevocationMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "revocations",
            "Active revocations, by the source of their list",
            self.active.clone(),
        );
        registry.register(
            "revocations_up",
            "Whether the list of revocations can be read as a whole; while it is 0, the last one is active, without what cannot be decrypted",
            self.up.clone(),
        );
    }

    /// The list of this source has so many active revocations.
    pub(crate) fn active(&self, source: &'static str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.active.get_or_create(&SourceLabel { source }).set(count);
    }

    /// Whether the list of this source can be read.
    pub(crate) fn up(&self, source: &'static str, is_up: bool) {
        self.up.get_or_create(&SourceLabel { source }).set(is_up.into());
    }
}
