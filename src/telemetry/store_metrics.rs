//! Metrics of the Redis that replicas share.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Bounds of the histogram of calls, in seconds: from a Redis in the same rack to the longest time-out.
const CALL_BOUNDS: [f64; 8] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// Metrics of the store. Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct StoreMetrics {
    degraded: Gauge,
    calls: Family<CallLabels, Histogram, fn() -> Histogram>,
    decrypt_failed: Counter,
    replaced: Family<ReplacedLabels, Counter>,
}

/// The store's operations, one per script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum StoreOperation {
    Read,
    Renew,
    Complete,
    Budget,
    Limit,
    Forget,
    Once,
    Deliveries,
    Revocations,
    Probe,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CallLabels {
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReplacedLabels {
    operation: &'static str,
}

impl StoreOperation {
    const ALL: [Self; 10] = [
        Self::Read,
        Self::Renew,
        Self::Complete,
        Self::Budget,
        Self::Limit,
        Self::Forget,
        Self::Once,
        Self::Deliveries,
        Self::Revocations,
        Self::Probe,
    ];

    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Renew => "renew",
            Self::Complete => "complete",
            Self::Budget => "budget",
            Self::Limit => "limit",
            Self::Forget => "forget",
            Self::Once => "once",
            Self::Deliveries => "deliveries",
            Self::Revocations => "revocations",
            Self::Probe => "probe",
        }
    }
}

impl StoreMetrics {
    pub(crate) fn new() -> Self {
        let latency: fn() -> Histogram = || Histogram::new(CALL_BOUNDS);
        Self {
            degraded: Gauge::default(),
            calls: Family::new_with_constructor(latency),
            decrypt_failed: Counter::default(),
            replaced: Family::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("store");
        let Self { degraded, calls, decrypt_failed, replaced } = self.clone();
        for operation in StoreOperation::ALL {
            drop(replaced.get_or_create(&ReplacedLabels { operation: operation.label() }));
        }
        registry.register(
            "degraded",
            "Whether Redis does not answer, and nothing is shared",
            degraded,
        );
        registry.register_with_unit(
            "call_duration",
            "Calls to Redis, by operation and outcome",
            Unit::Seconds,
            calls,
        );
        registry.register(
            "decrypt_failures",
            "Values in Redis that none of the configured keys decrypts",
            decrypt_failed,
        );
        registry.register(
            "replaced",
            "Values in Redis that AppServer does not write and has replaced, by the operation that found them",
            replaced,
        );
    }

    /// Sets whether Redis does not answer.
    pub(crate) fn degraded(&self, degraded: bool) {
        self.degraded.set(degraded.into());
    }

    /// A call ended.
    pub(crate) fn called(&self, operation: StoreOperation, success: bool, took: Duration) {
        let outcome = if success { "success" } else { "failed" };
        let labels = CallLabels { operation: operation.label(), outcome };
        self.calls.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A value could not be decrypted with the configured keys.
    pub(crate) fn decrypt_failed(&self) {
        self.decrypt_failed.inc();
    }

    /// A script replaced values that AppServer did not write.
    pub(crate) fn replaced(&self, operation: StoreOperation, values: u64) {
        let labels = ReplacedLabels { operation: operation.label() };
        self.replaced.get_or_create(&labels).inc_by(values);
    }
}
