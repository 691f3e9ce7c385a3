//! What the vending engine does: how often tokens are shared, and what is left of the budget.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Bounds of the histogram of waits for the budget, in seconds.
const WAIT_BOUNDS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// The engine's metrics; clones count together.
#[derive(Clone, Debug)]
pub(crate) struct VendMetrics {
    lookups: Family<OutcomeLabel, Counter>,
    /// Of `lookups`, looked up once: a hit must not search for its counter.
    hits: Counter,
    joined: Counter,
    refreshes: Family<OutcomeLabel, Counter>,
    queue_wait: Histogram,
    queued: Gauge,
    waiting: Gauge,
    keys: Gauge,
    rate: Gauge<f64, AtomicU64>,
    breaker: Gauge,
}

/// What a caller was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lookup {
    /// A kept token, fresh.
    Hit,
    /// A kept token that was no longer fresh, because no other could be had.
    Stale,
    /// A token that was fetched.
    Miss,
    /// A token that another replica fetched.
    Shared,
    /// None.
    Failed,
}

/// How a refresh ahead ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refresh {
    Success,
    Failed,
    /// The share for it was spent, or callers waited.
    NoBudget,
    CircuitOpen,
    /// A caller was faster.
    UnderWay,
    /// Another replica was faster.
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
        Self {
            lookups,
            hits,
            joined: Counter::default(),
            refreshes: Family::default(),
            queue_wait: Histogram::new(WAIT_BOUNDS),
            queued: Gauge::default(),
            waiting: Gauge::default(),
            keys: Gauge::default(),
            rate: Gauge::default(),
            breaker: Gauge::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("vend");
        let Self { lookups, hits: _, joined, refreshes, queue_wait, .. } = self.clone();
        Lookup::ALL.iter().for_each(|outcome| drop(lookups.get_or_create(&outcome.label())));
        Refresh::ALL.iter().for_each(|outcome| drop(refreshes.get_or_create(&outcome.label())));
        registry.register("lookups", "What callers were given, by outcome", lookups);
        registry.register("coalesced", "Callers that shared an STS call already in flight", joined);
        registry.register("refreshes", "Refreshes ahead of need, by outcome", refreshes);
        registry.register_with_unit(
            "queue_wait",
            "Waits for a turn in the budget, of those who had to wait",
            Unit::Seconds,
            queue_wait,
        );
        let Self { queued, waiting, keys, rate, breaker, .. } = self.clone();
        registry.register("queue_length", "Calls that wait for their turn in the budget", queued);
        registry.register("waiting", "Callers who wait for STS", waiting);
        registry.register("cached_tokens", "Tokens in the cache", keys);
        registry.register("budget_rate", "Calls a second that the budget allows now", rate);
        registry.register("breaker_open", "Whether STS counts as out of reach", breaker);
    }

    /// A caller was given what it was given.
    pub(crate) fn looked_up(&self, outcome: Lookup) {
        match outcome {
            Lookup::Hit => self.hits.inc(),
            Lookup::Stale | Lookup::Miss | Lookup::Shared | Lookup::Failed => {
                self.lookups.get_or_create(&outcome.label()).inc()
            }
        };
    }

    /// A caller joined a call that was under way.
    pub(crate) fn joined(&self) {
        self.joined.inc();
    }

    /// A refresh ahead ended.
    pub(crate) fn refreshed(&self, outcome: Refresh) {
        self.refreshes.get_or_create(&outcome.label()).inc();
    }

    /// A call's turn came.
    pub(crate) fn queued(&self, wait: Duration) {
        self.queue_wait.observe(wait.as_secs_f64());
    }

    /// How things stand: tokens kept, calls a second, calls that wait for their turn, callers who wait.
    pub(crate) fn measured(&self, keys: usize, rate: f64, queued: usize, waiting: usize) {
        let count = |number| i64::try_from(number).unwrap_or(i64::MAX);
        self.keys.set(count(keys));
        self.rate.set(rate);
        self.queued.set(count(queued));
        self.waiting.set(count(waiting));
    }

    /// Whether STS counts as out of reach.
    pub(crate) fn breaker(&self, open: bool) {
        self.breaker.set(open.into());
    }
}

#[cfg(test)]
impl VendMetrics {
    /// How many callers were given this.
    pub(crate) fn given(&self, outcome: Lookup) -> u64 {
        self.lookups.get_or_create(&outcome.label()).get()
    }

    /// How many refreshes ended so.
    pub(crate) fn refreshes(&self, outcome: Refresh) -> u64 {
        self.refreshes.get_or_create(&outcome.label()).get()
    }
}
