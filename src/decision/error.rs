//! Why there is no decision of the hook.

use std::sync::Arc;
use std::time::Duration;

use crate::breaker::BreakerOpen;

/// Why a call gave no decision. All callers that share the call get it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum DecisionError {
    #[error("the decision hook cannot be reached")]
    Unreachable(#[source] Arc<reqwest::Error>),
    #[error("the decision hook did not answer in time (`decision.timeout_ms`)")]
    TimedOut,
    #[error("the decision hook answered with HTTP status {0}")]
    Failed(u16),
    /// It answered, and what it means is not clear: nothing is allowed by such an answer.
    #[error("the decision hook gave a wrong answer: {0}")]
    WrongAnswer(WrongAnswer),
    #[error("the circuit breaker is open after repeated failures of the decision hook")]
    CircuitOpen { retry_after: Duration },
    #[error("too many calls of the decision hook are in progress")]
    Busy,
    /// Its task panicked, or the process stops.
    #[error("the call of the decision hook ended without an outcome")]
    Lost,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum WrongAnswer {
    #[error(
        "its HTTP status is {0}; a decision has 200, a refusal too, and redirects are not followed"
    )]
    Status(u16),
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// With the place, and without the text.
    #[error("it is not an object with `Allow` and at most `DurationSeconds` and `Reason`: {0}")]
    Unreadable(String),
    #[error("its `DurationSeconds` is {given}, which is not between {shortest} and {requested}")]
    Duration { given: u64, shortest: u32, requested: u32 },
}

impl From<BreakerOpen> for DecisionError {
    fn from(BreakerOpen { retry_after }: BreakerOpen) -> Self {
        Self::CircuitOpen { retry_after }
    }
}

impl DecisionError {
    /// The label in metrics and the log.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::CircuitOpen { .. } => "decision_breaker",
            Self::Busy => "decision_busy",
            Self::Failed(_) => "decision_failed",
            Self::Lost => "decision_lost",
            Self::TimedOut => "decision_timed_out",
            Self::Unreachable(_) => "decision_unreachable",
            Self::WrongAnswer(_) => "decision_wrong_answer",
        }
    }

    /// Whether the hook said nothing. Only then may a request be allowed without it: a wrong answer can be a refusal.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::WrongAnswer(_) => false,
            Self::Unreachable(_)
            | Self::TimedOut
            | Self::Failed(_)
            | Self::CircuitOpen { .. }
            | Self::Busy
            | Self::Lost => true,
        }
    }
}
