//! Metrics of the active configuration and of reloads.

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::by_upstream::ByUpstream;
use appserver_domain::UpstreamName;

/// Metrics of the configuration and of the AccessKey.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigMetrics {
    reloads: Family<ReloadLabels, Counter>,
    loaded: Gauge,
    hash: Family<HashLabels, Gauge>,
    /// 0 while the files contain a configuration that was refused.
    last_reload_successful: Gauge,
    /// 1 if a key was changed that is only read at the start.
    pub(crate) needs_restart: Gauge,
    /// 1 while a new AccessKey waits for STS to verify it; the old one still signs.
    key_unverified: ByUpstream<Gauge>,
}

/// The outcome of a reload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reload {
    Applied,
    Refused,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct ReloadLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct HashLabels {
    hash: String,
}

impl ConfigMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        // Created at zero: an alert on the first refusal needs the zero before it.
        for outcome in ["applied", "refused"] {
            drop(self.reloads.get_or_create(&ReloadLabels { outcome }));
        }
        registry.register(
            "config_reloads",
            "Reloads of the configuration, by outcome",
            self.reloads.clone(),
        );
        registry.register_with_unit(
            "config_loaded_timestamp",
            "When the active configuration was loaded, since the Unix epoch",
            Unit::Seconds,
            self.loaded.clone(),
        );
        registry.register("config_info", "1, by the configuration's hash", self.hash.clone());
        registry.register(
            "config_last_reload_successful",
            "Whether the last reload was applied; 0 while the files contain a configuration that was refused",
            self.last_reload_successful.clone(),
        );
        registry.register(
            "config_needs_restart",
            "Whether a key was changed that is only read at the start",
            self.needs_restart.clone(),
        );
        registry.register(
            "access_key_unverified",
            "Whether a new AccessKey waits for STS to verify it",
            self.key_unverified.clone(),
        );
    }

    /// 1 while a new AccessKey of this upstream waits for STS to verify it.
    pub(crate) fn key_unverified(&self, upstream: &UpstreamName) -> Gauge {
        self.key_unverified.of(upstream)
    }

    /// Whether a new AccessKey of any upstream waits for STS to verify it.
    pub(crate) fn is_a_key_unverified(&self) -> bool {
        self.key_unverified.all().iter().any(|gauge| gauge.get() != 0)
    }

    /// A configuration became active.
    pub(crate) fn active_config(&self, hash: &str, since: DateTime<Utc>) {
        self.hash.clear();
        self.hash.get_or_create(&HashLabels { hash: hash.to_owned() }).set(1);
        self.loaded.set(since.timestamp());
        self.last_reload_successful.set(1);
    }

    /// Whether the last reload was applied.
    pub(crate) fn last_reload_successful(&self) -> bool {
        self.last_reload_successful.get() == 1
    }

    pub(crate) fn reloaded(&self, outcome: Reload) {
        let outcome = match outcome {
            Reload::Applied => "applied",
            Reload::Refused => {
                self.last_reload_successful.set(0);
                "refused"
            }
        };
        self.reloads.get_or_create(&ReloadLabels { outcome }).inc();
    }
}
