//! What the proof answers, in words.

use std::fmt;

/// The most states that one search visits.
pub(super) const MAX_STATES: usize = 100_000;

/// Whether two different callers of a template never reach the same key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Disjointness {
    /// They never do, outside the resources that may be shared.
    Proven,
    /// These two callers do; the evaluator confirmed it.
    Shared(Box<SharedReach>),
    /// Neither is shown.
    Unproven(Box<Unproven>),
}

/// Two callers and what both reach.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SharedReach {
    /// The placeholders' values of each caller, such as `${subject}=alice`.
    pub(super) values: [String; 2],
    /// The request of each caller; often they are equal.
    pub(super) requests: [String; 2],
}

/// Two texts for which the property is not shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Unproven {
    pub(super) placeholder: String,
    pub(super) texts: [String; 2],
    pub(super) reason: UnprovenReason,
}

/// Why a template is neither proven nor refuted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum UnprovenReason {
    /// The texts have keys in common, but no pair of callers that was tried reaches one.
    Unconfirmed,
    /// The search reached its bound.
    TooComplex,
}

impl Disjointness {
    /// The problem of a template that is not proven.
    pub fn problem(self) -> Option<NotDisjoint> {
        match self {
            Self::Proven => None,
            Self::Shared(shared) => Some(NotDisjoint::Shared(shared)),
            Self::Unproven(unproven) => Some(NotDisjoint::Unproven(unproven)),
        }
    }
}

/// Why a template is refused, and the ways out.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum NotDisjoint {
    #[error("{0}; {WAYS_OUT}")]
    Shared(Box<SharedReach>),
    #[error("{0}; {WAYS_OUT}")]
    Unproven(Box<Unproven>),
}

const WAYS_OUT: &str = "give each caller a path segment of its own at the same place of every resource and prefix, or, \
                        where sharing is meant, list the resource with a reason in `allow_shared`";

impl fmt::Display for SharedReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [we, they] = &self.values;
        let [ours, theirs] = &self.requests;
        if ours == theirs {
            write!(f, "a caller with {we} and one with {they} are both allowed {ours}")
        } else {
            write!(
                f,
                "a caller with {we} is allowed {ours}, and one with {they} is allowed {theirs}: they reach the same data"
            )
        }
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { placeholder, texts: [one, other], reason } = self;
        match reason {
            UnprovenReason::Unconfirmed => write!(
                f,
                "it is not proven that callers with different {placeholder} reach different data by `{one}` and \
                 `{other}`: the texts have keys in common, and only a denial, a condition or a value's rule may keep \
                 callers from them"
            ),
            UnprovenReason::TooComplex => write!(
                f,
                "it is not proven that callers with different {placeholder} reach different data by `{one}` and \
                 `{other}`: the proof would take more than {MAX_STATES} steps"
            ),
        }
    }
}
