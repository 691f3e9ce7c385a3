//! Metrics of vending: how often tokens and calls are shared, and how much of the budget is left.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::by_upstream::ByUpstream;
use appserver_domain::UpstreamName;

/// Bounds of the histogram of waits for the budget, in seconds.
const WAIT_BOUNDS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Metrics of vending. Clones share their values.
#[derive(Clone, Debug)]
pub(crate) struct VendMetrics {
    lookups: Family<OutcomeLabel, Counter>,
    /// The member of `lookups` for hits, resolved once because hits are the fast path.
    hits: Counter,
    coalesced: Counter,
    refreshes: Family<OutcomeLabel, Counter>,
    queue_wait: Histogram,
    waiting: Gauge,
    cached_tokens: Gauge,
    by_upstream: UpstreamGauges,
    /// Those of the upstream whose engine has these metrics.
    queued: Gauge,
    rate: Rate,
    breaker: Gauge,
}

type Rate = Gauge<f64, AtomicU64>;

/// The gauges that each upstream has for itself.
#[derive(Clone, Debug, Default)]
struct UpstreamGauges {
    queued: ByUpstream<Gauge>,
    rate: ByUpstream<Rate>,
    breaker: ByUpstream<Gauge>,
}

/// How a request for a token ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lookup {
    /// A fresh token from the cache.
    Hit,
    /// A cached token that was no longer fresh, because no other was available.
    Stale,
    /// A token that STS issued.
    Miss,
    /// A token of another replica.
    Shared,
    /// No token.
    Failed,
}

/// How a refresh ahead of expiry ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refresh {
    Success,
    Failed,
    /// The share for refreshes was spent, or callers waited.
    NoBudget,
    CircuitOpen,
    /// A call for the same token was in flight.
    UnderWay,
    /// Another replica refreshed it.
    Shared,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct OutcomeLabel {
    outcome: &'static str,
}

impl Lookup {
    const ALL: [Self; 5] = [Self::Hit, Self::Stale, Self::Miss, Self::Shared, Self::Failed];

    fn label(self) -> OutcomeLabel {
        let outcome = match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Shared => "shared",
            Self::Failed => "failed",
        };
        OutcomeLabel { outcome }
    }
}

impl Refresh {
    const ALL: [Self; 6] = [
        Self::Success,
        Self::Failed,
        Self::NoBudget,
        Self::CircuitOpen,
        Self::UnderWay,
        Self::Shared,
    ];

    fn label(self) -> OutcomeLabel {
        let outcome = match self {
            Self::Success => "success",
            Self::Failed => "failed",
            Self::NoBudget => "no_budget",
            Self::CircuitOpen => "circuit_open",
            Self::UnderWay => "under_way",
            Self::Shared => "shared",
        };
        OutcomeLabel { outcome }
    }
}

impl VendMetrics {
    pub(crate) fn new() -> Self {
        let lookups = Family::<OutcomeLabel, Counter>::default();
        let hits = lookups.get_or_create(&Lookup::Hit.label()).clone();
        let (by_upstream, of_sts) = (UpstreamGauges::default(), UpstreamName::default());
        Self {
            lookups,
            hits,
            coalesced: Counter::default(),
            refreshes: Family::default(),
            queue_wait: Histogram::new(WAIT_BOUNDS),
            waiting: Gauge::default(),
            cached_tokens: Gauge::default(),
            queued: by_upstream.queued.of(&of_sts),
            rate: by_upstream.rate.of(&of_sts),
            breaker: by_upstream.breaker.of(&of_sts),
            by_upstream,
        }
    }

    /// The same metrics, with the gauges of this upstream.
    pub(crate) fn of(&self, upstream: &UpstreamName) -> Self {
        let UpstreamGauges { queued, rate, breaker } = &self.by_upstream;
        Self {
            queued: queued.of(upstream),
            rate: rate.of(upstream),
            breaker: breaker.of(upstream),
            ..self.clone()
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("vend");
        let Self { lookups, hits: _, coalesced, refreshes, queue_wait, .. } = self.clone();
        for outcome in Lookup::ALL {
            drop(lookups.get_or_create(&outcome.label()));
        }
        for outcome in Refresh::ALL {
            drop(refreshes.get_or_create(&outcome.label()));
        }
        registry.register("lookups", "Requests for a token, by outcome", lookups);
        registry.register(
            "coalesced",
            "Callers that shared an STS call already in flight",
            coalesced,
        );
        registry.register("refreshes", "Refreshes ahead of need, by outcome", refreshes);
        registry.register_with_unit(
            "queue_wait",
            "Waiting times of calls that queued for the budget",
            Unit::Seconds,
            queue_wait,
        );
        let Self { waiting, cached_tokens, by_upstream, .. } = self.clone();
        let UpstreamGauges { queued, rate, breaker } = by_upstream;
        registry.register("queue_length", "Calls that queue for the budget", queued);
        registry.register("waiting", "Callers that wait for STS", waiting);
        registry.register("cached_tokens", "Tokens in the cache", cached_tokens);
        registry.register("budget_rate", "Calls per second that the budget allows now", rate);
        registry.register(
            "breaker_open",
            "Whether the circuit breaker is open because STS is unreachable",
            breaker,
        );
    }

    /// Counts a request for a token.
    pub(crate) fn looked_up(&self, outcome: Lookup) {
        match outcome {
            Lookup::Hit => self.hits.inc(),
            Lookup::Stale | Lookup::Miss | Lookup::Shared | Lookup::Failed => {
                self.lookups.get_or_create(&outcome.label()).inc()
            }
        };
    }

    /// Counts a caller that joined a call in flight.
    pub(crate) fn coalesced(&self) {
        self.coalesced.inc();
    }

    /// Counts a refresh ahead of expiry.
    pub(crate) fn refreshed(&self, outcome: Refresh) {
        self.refreshes.get_or_create(&outcome.label()).inc();
    }

    /// Records how long a call waited for its turn in the budget.
    pub(crate) fn queued(&self, wait: Duration) {
        self.queue_wait.observe(wait.as_secs_f64());
    }

    /// Sets the gauges of all upstreams together: cached tokens, waiting callers.
    pub(crate) fn totals(&self, cached_tokens: usize, waiting: usize) {
        self.cached_tokens.set(count(cached_tokens));
        self.waiting.set(count(waiting));
    }

    /// Sets the gauges of one upstream: calls per second, queued calls, whether its circuit breaker is open.
    pub(crate) fn measured(&self, rate: f64, queued: usize, breaker_open: bool) {
        self.rate.set(rate);
        self.queued.set(count(queued));
        self.breaker.set(breaker_open.into());
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
impl VendMetrics {
    /// The number of requests with this outcome.
    pub(crate) fn given(&self, outcome: Lookup) -> u64 {
        self.lookups.get_or_create(&outcome.label()).get()
    }

    /// The number of refreshes with this outcome.
    pub(crate) fn refreshes(&self, outcome: Refresh) -> u64 {
        self.refreshes.get_or_create(&outcome.label()).get()
    }
}
