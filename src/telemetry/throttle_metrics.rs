//! Metrics of requests beyond a limit.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use appserver_domain::ClientId;

use super::label::Label;

/// Metrics of the limits. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThrottleMetrics {
    beyond: Family<BeyondLabels, Counter>,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct BeyondLabels {
    /// Empty for failed authentications: names from strangers must not become labels.
    client: Option<Label<ClientId>>,
    limit: &'static str,
    mode: &'static str,
}

impl ThrottleMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "throttled",
            "Requests beyond a limit, by registered client, limit, and whether they were refused or only counted",
            self.beyond.clone(),
        );
    }

    /// Creates a limit's series at zero, before the first request beyond it.
    pub(crate) fn create_series(
        &self,
        client: Option<&ClientId>,
        limit: &'static str,
        mode: &'static str,
    ) {
        let labels = BeyondLabels { client: client.cloned().map(Label), limit, mode };
        drop(self.beyond.get_or_create(&labels));
    }

    /// A request was beyond a limit, and refused if the mode says so.
    pub(crate) fn beyond(
        &self,
        client: Option<&ClientId>,
        limit: &'static str,
        mode: &'static str,
    ) {
        let labels = BeyondLabels { client: client.cloned().map(Label), limit, mode };
        self.beyond.get_or_create(&labels).inc();
    }
}
