//! Metrics of the decision hook.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// In seconds: from a hook beside the service to the longest time-out.
const CALL_BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0, 5.0];

/// Metrics of the hook. Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct DecisionMetrics {
    requests: Family<RequestLabels, Counter>,
    calls: Family<CallLabel, Histogram, fn() -> Histogram>,
    breaker_open: Gauge,
}

/// What became of a request that the hook decides about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DecisionOutcome {
    Allowed,
    Shortened,
    Refused,
    /// There was no decision.
    Failed,
    /// The same, and the request was allowed without one.
    AllowedOnError,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct RequestLabels {
    mode: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct CallLabel {
    outcome: &'static str,
}

impl DecisionOutcome {
    const ALL: [Self; 5] =
        [Self::Allowed, Self::Shortened, Self::Refused, Self::Failed, Self::AllowedOnError];

    fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Shortened => "shortened",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::AllowedOnError => "allowed_on_error",
        }
    }
}

impl DecisionMetrics {
    pub(super) fn new() -> Self {
        Self {
            requests: Family::default(),
            calls: Family::new_with_constructor(|| Histogram::new(CALL_BOUNDS)),
            breaker_open: Gauge::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("decision");
        let Self { requests, calls, breaker_open } = self.clone();
        for mode in ["enforce", "shadow"] {
            for outcome in DecisionOutcome::ALL {
                let outcome = outcome.as_str();
                drop(requests.get_or_create(&RequestLabels { mode, outcome }));
            }
        }
        drop(calls.get_or_create(&CallLabel { outcome: "answered" }));
        registry.register(
            "requests",
            "Requests that the decision hook decides about, by mode and outcome",
            requests,
        );
        registry.register_with_unit(
            "call_duration",
            "Calls of the decision hook, by outcome",
            Unit::Seconds,
            calls,
        );
        registry.register(
            "breaker_open",
            "Whether the circuit breaker of the decision hook is open",
            breaker_open,
        );
    }

    /// A request was decided about.
    pub(crate) fn decided(&self, mode: &'static str, outcome: DecisionOutcome) {
        self.requests.get_or_create(&RequestLabels { mode, outcome: outcome.as_str() }).inc();
    }

    /// A call of the hook ended. `outcome` is of a closed set.
    pub(crate) fn called(&self, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&CallLabel { outcome }).observe(took.as_secs_f64());
    }

    /// Sets whether the breaker is open.
    pub(crate) fn breaker_open(&self, is_open: bool) {
        self.breaker_open.set(is_open.into());
    }
}
