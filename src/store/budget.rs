//! The terms of what replicas share out among themselves, and what comes of asking for it.

use std::time::Duration;

/// What the budget's script needs to know; each caller tells it, so that Redis holds no configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BudgetTerms {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
    pub(crate) spare_per_second: f64,
    pub(crate) spare_burst: f64,
    /// The part of the rate that a cut leaves.
    pub(crate) cut: f64,
    /// The part of `per_second` below which no cut goes.
    pub(crate) floor: f64,
    /// The part of `per_second` that a second gives back.
    pub(crate) regain: f64,
    pub(crate) cut_pause: Duration,
}

impl BudgetTerms {
    /// How many calls one reservation is for at the most: those of a hundredth of a second, so that the round trip to
    /// Redis does not become the limit.
    pub(crate) fn calls_at_once(&self) -> usize {
        (self.per_second / 100.0).ceil() as usize
    }
}

/// Calls that were reserved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reserved {
    /// When they may be made, from now.
    pub(crate) wait: Duration,
    /// Calls a second for all replicas together.
    pub(crate) rate: f64,
    /// How many replicas have callers waiting, this one included.
    pub(crate) replicas: u32,
}

/// What is asked of the budget.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Reserve(u32),
    Spare,
    Cut,
}

impl Ask {
    /// The script's word for it, and for how many calls.
    pub(super) fn told(self) -> (&'static str, u32) {
        match self {
            Self::Reserve(calls) => ("reserve", calls),
            Self::Spare => ("spare", 1),
            Self::Cut => ("cut", 0),
        }
    }
}
