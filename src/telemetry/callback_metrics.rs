//! Metrics of OSS's reports of uploads.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of callbacks. Clones share their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallbackMetrics {
    received: Family<OutcomeLabel, Counter>,
    redelivered: Family<OutcomeLabel, Counter>,
    kept: Gauge,
}

/// How a callback ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum CallbackOutcome {
    /// The backend has it.
    Forwarded,
    /// A report of an upload that was reported before.
    Replayed,
    /// Not signed by OSS, or not about an upload of this service.
    Refused,
    /// The object is not the reported one.
    Contradicted,
    /// It could not be forwarded, and is kept.
    Kept,
    /// It could not be forwarded, and there was no space to keep it.
    Dropped,
}

/// How an attempt to deliver a kept report ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Redelivery {
    Delivered,
    Failed,
    /// The report is too old, the object is not the reported one, or another report of the upload came first.
    Dropped,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl CallbackOutcome {
    const ALL: [Self; 6] = [
        Self::Forwarded,
        Self::Replayed,
        Self::Refused,
        Self::Contradicted,
        Self::Kept,
        Self::Dropped,
    ];

    fn label(self) -> OutcomeLabel {
        let outcome = match self {
            Self::Forwarded => "forwarded",
            Self::Replayed => "replayed",
            Self::Refused => "refused",
            Self::Contradicted => "contradicted",
            Self::Kept => "kept",
            Self::Dropped => "dropped",
        };
        OutcomeLabel { outcome }
    }
}

impl Redelivery {
    const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Dropped];

    fn label(self) -> OutcomeLabel {
        let outcome = match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        };
        OutcomeLabel { outcome }
    }
}

impl CallbackMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("upload_callback");
        let Self { received, redelivered, kept } = self.clone();
        for outcome in CallbackOutcome::ALL {
            drop(received.get_or_create(&outcome.label()));
        }
        for outcome in Redelivery::ALL {
            drop(redelivered.get_or_create(&outcome.label()));
        }
        registry.register("received", "Reports of uploads by OSS, by outcome", received);
        registry.register(
            "redeliveries",
            "Attempts to deliver kept reports of uploads, by outcome",
            redelivered,
        );
        registry.register("kept", "Reports of uploads that wait to be delivered again", kept);
    }

    /// A callback ended.
    pub(crate) fn received(&self, outcome: CallbackOutcome) {
        self.received.get_or_create(&outcome.label()).inc();
    }

    /// An attempt to deliver a kept report ended.
    pub(crate) fn redelivered(&self, outcome: Redelivery) {
        self.redelivered.get_or_create(&outcome.label()).inc();
    }

    /// Sets how many reports are kept.
    pub(crate) fn kept(&self, reports: usize) {
        self.kept.set(i64::try_from(reports).unwrap_or(i64::MAX));
    }
}
