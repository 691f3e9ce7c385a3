//! Metrics of each upstream. The series of `[sts]` itself have no label `upstream`; the others have its name.

use std::collections::BTreeMap;
use std::fmt::Result;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::encoding::{
    EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::{MetricType, TypedMetric};

use appserver_domain::UpstreamName;

/// The upstream as a label. The configuration lists them, so the set is closed.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct UpstreamLabel(pub(super) UpstreamName);

impl EncodeLabelSet for UpstreamLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result {
        self.0
            .name_unless_default()
            .map_or(Ok(()), |name| ("upstream", name).encode(encoder.encode_label()))
    }
}

/// A metric for each upstream. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(super) struct ByUpstream<M> {
    of_sts: M,
    /// Held for a lookup or while the metrics are written.
    named: Arc<Mutex<BTreeMap<UpstreamName, M>>>,
}

impl<M: Clone + Default> ByUpstream<M> {
    /// The metric of this upstream, whose series exists from now on.
    pub(super) fn of(&self, upstream: &UpstreamName) -> M {
        if upstream.is_default() {
            self.of_sts.clone()
        } else {
            self.named.lock().entry(upstream.clone()).or_default().clone()
        }
    }

    /// Those of all upstreams.
    pub(super) fn all(&self) -> Vec<M> {
        let named = self.named.lock();
        std::iter::once(&self.of_sts).chain(named.values()).cloned().collect()
    }
}

impl<M: EncodeMetric + TypedMetric> EncodeMetric for ByUpstream<M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result {
        for (name, metric) in &*self.named.lock() {
            let label = UpstreamLabel(name.clone());
            metric.encode(encoder.encode_family(&label)?)?;
        }
        // Last, because it takes the encoder; an empty set of labels would be written as `{}`.
        self.of_sts.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}
