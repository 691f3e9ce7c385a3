//! Metrics of issuers' keys and of their fetches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use crate::outbound::PROXY_ERROR_KINDS;

/// Metrics of issuers' keys. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct IssuerMetrics {
    fetches: Family<FetchLabels, Counter>,
    keys: Family<IssuerLabels, Gauge>,
    age: Family<IssuerLabels, Gauge>,
    /// The issuers whose keys are fetched. An issuer that was removed from the configuration leaves by itself; while a reload
    /// replaces an issuer, the newer one counts.
    issuers: Arc<Mutex<Vec<MeasuredIssuer>>>,
}

/// Every outcome of a fetch.
const FETCH_OUTCOMES: [&str; 13] = [
    "success",
    PROXY_ERROR_KINDS[0],
    PROXY_ERROR_KINDS[1],
    PROXY_ERROR_KINDS[2],
    "tls",
    "unreachable",
    "timed_out",
    "status",
    "too_long",
    "no_description",
    "other_issuer",
    "keys_elsewhere",
    "unusable_keys",
];

type MeasuredIssuer = (IssuerLabels, Weak<IssuerKeys>);

/// The exported state of one issuer's keys.
#[derive(Debug, Default)]
pub(crate) struct IssuerKeys {
    count: AtomicUsize,
    fetched: Mutex<Option<Instant>>,
}

/// Operators name issuers, so there are few.
#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct IssuerLabels {
    issuer: String,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct FetchLabels {
    issuer: String,
    outcome: &'static str,
}

impl IssuerMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("jwks");
        let Self { fetches, keys, age, issuers: _ } = self.clone();
        registry.register("fetches", "Fetches of issuers' keys, by issuer and outcome", fetches);
        registry.register("keys", "Keys of each issuer that are held", keys);
        registry.register_with_unit(
            "age",
            "Time since an issuer's keys were last fetched",
            Unit::Seconds,
            age,
        );
    }

    /// Adds an issuer whose keys are fetched. Its series are exported until the result is dropped.
    pub(crate) fn issuer(&self, id: &str) -> Arc<IssuerKeys> {
        let keys = Arc::new(IssuerKeys::default());
        for outcome in FETCH_OUTCOMES {
            drop(self.fetches.get_or_create(&FetchLabels { issuer: id.to_owned(), outcome }));
        }
        let entry = (IssuerLabels { issuer: id.to_owned() }, Arc::downgrade(&keys));
        self.issuers.lock().push(entry);
        keys
    }

    /// A fetch ended.
    pub(crate) fn fetched(&self, id: &str, outcome: &'static str) {
        debug_assert!(FETCH_OUTCOMES.contains(&outcome), "{outcome} is not shown from the start");
        let labels = FetchLabels { issuer: id.to_owned(), outcome };
        self.fetches.get_or_create(&labels).inc();
    }

    /// These metrics alone, as text.
    #[cfg(test)]
    pub(crate) fn encoded(&self) -> String {
        let mut registry = Registry::default();
        self.register(&mut registry);
        self.measure();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    /// Updates the gauges. An issuer without a successful fetch has no age.
    pub(super) fn measure(&self) {
        let now = Instant::now();
        self.keys.clear();
        self.age.clear();
        let mut issuers = self.issuers.lock();
        issuers.retain(|(labels, keys)| {
            let Some(keys) = keys.upgrade() else { return false };
            let count = keys.count.load(Ordering::Relaxed);
            self.keys.get_or_create(labels).set(i64::try_from(count).unwrap_or(i64::MAX));
            if let Some(fetched) = *keys.moment() {
                let age = now.saturating_duration_since(fetched).as_secs();
                self.age.get_or_create(labels).set(i64::try_from(age).unwrap_or(i64::MAX));
            }
            true
        });
    }
}

impl IssuerKeys {
    /// A fetch succeeded with this number of keys.
    pub(crate) fn fetched_keys(&self, count: usize) {
        self.count.store(count, Ordering::Relaxed);
        *self.moment() = Some(Instant::now());
    }

    fn moment(&self) -> MutexGuard<'_, Option<Instant>> {
        self.fetched.lock()
    }
}
