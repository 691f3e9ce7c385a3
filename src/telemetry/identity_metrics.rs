//! Metrics of the upstream identity: the credentials that sign.

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::by_upstream::UpstreamLabel;
use appserver_domain::UpstreamName;

/// Metrics of the credentials that sign, and of their renewal.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdentityMetrics {
    /// Without a value where they do not expire.
    expiry: Family<SourceLabels, Gauge>,
    renewals: Family<RenewalLabels, Counter>,
    upstream: UpstreamLabel,
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
    #[prometheus(flatten)]
    upstream: UpstreamLabel,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RenewalLabels {
    outcome: &'static str,
    #[prometheus(flatten)]
    upstream: UpstreamLabel,
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
        self.create_series();
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

    /// The same metrics for this upstream.
    pub(crate) fn of(&self, upstream: &UpstreamName) -> Self {
        let of_upstream = Self { upstream: UpstreamLabel(upstream.clone()), ..self.clone() };
        of_upstream.create_series();
        of_upstream
    }

    /// Creates them at zero: an alert on the first failure needs the zero before it.
    fn create_series(&self) {
        for outcome in IdentityRenewal::ALL.map(IdentityRenewal::label) {
            let upstream = self.upstream.clone();
            drop(self.renewals.get_or_create(&RenewalLabels { outcome, upstream }));
        }
    }

    /// Credentials of this source sign from now on.
    pub(crate) fn signs(&self, source: &'static str, expiration: DateTime<Utc>) {
        let upstream = self.upstream.clone();
        self.expiry.get_or_create(&SourceLabels { source, upstream }).set(expiration.timestamp());
    }

    pub(crate) fn renewed(&self, outcome: IdentityRenewal) {
        let (outcome, upstream) = (outcome.label(), self.upstream.clone());
        self.renewals.get_or_create(&RenewalLabels { outcome, upstream }).inc();
    }
}
