//! Metrics of the upstream identity: the credentials that sign.

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Metrics of the credentials that sign, and of their renewal.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdentityMetrics {
    /// Without a value where they do not expire.
    expiry: Family<SourceLabels, Gauge>,
    renewals: Family<RenewalLabels, Counter>,
}

/// The outcome of one request to the source.
#[derive(Clone, Copy, Debug)]
pub(crate) enum IdentityRenewal {
    Renewed,
    /// The source handed out the same ones.
    Unchanged,
    Failed,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct SourceLabels {
    source: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RenewalLabels {
    outcome: &'static str,
}

impl IdentityRenewal {
    const ALL: [Self; 3] = [Self::Renewed, Self::Unchanged, Self::Failed];

    fn label(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

impl IdentityMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        // Created at zero: an alert on the first failure needs the zero before it.
        for outcome in IdentityRenewal::ALL.map(IdentityRenewal::label) {
            drop(self.renewals.get_or_create(&RenewalLabels { outcome }));
        }
        registry.register_with_unit(
            "upstream_identity_expiry_timestamp",
            "When the credentials that sign expire, since the Unix epoch",
            Unit::Seconds,
            self.expiry.clone(),
        );
        registry.register(
            "upstream_identity_renewals",
            "Requests for new credentials that sign, by outcome",
            self.renewals.clone(),
        );
    }

    /// Credentials of this source sign from now on.
    pub(crate) fn signs(&self, source: &'static str, expiration: DateTime<Utc>) {
        self.expiry.get_or_create(&SourceLabels { source }).set(expiration.timestamp());
    }

    pub(crate) fn renewed(&self, outcome: IdentityRenewal) {
        self.renewals.get_or_create(&RenewalLabels { outcome: outcome.label() }).inc();
    }
}
