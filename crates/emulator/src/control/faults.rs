//! Faults that tests script.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A hundred years: the most that all faults together can skew STS's clock.
const FURTHEST: TimeDelta = TimeDelta::days(100 * 365);

/// A fault of STS.
///
/// Every fault except [`Fault::Slow`] and [`Fault::SkewedClock`] applies only to calls that pass the gateway's checks: a wrong
/// signature or a replayed nonce is reported even while faults are active.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all_fields = "PascalCase")]
pub enum Fault {
    /// `Throttling.User`, with a hint when to retry.
    Throttle {
        /// `TimeLeft` of the hint.
        time_left_ms: u64,
    },
    /// An error answer of STS.
    Error {
        /// The HTTP status.
        status: ErrorStatus,
        /// Such as `InternalError`.
        code: String,
        /// The message.
        message: String,
    },
    /// An error page as proxies send it.
    Html {
        /// The HTTP status.
        status: ErrorStatus,
    },
    /// A delayed answer.
    Slow {
        /// By how much.
        delay_ms: u64,
    },
    /// A closed connection.
    Cut {
        /// In the middle of the body, or else before the answer.
        mid_body: bool,
    },
    /// The first half of the answer, sent as if it were complete.
    Malformed,
    /// A field is left out, at any depth.
    MissingField {
        /// Such as `Expiration`.
        field: String,
    },
    /// A field has another text, at any depth.
    OtherText {
        /// Such as `Arn`.
        field: String,
        /// The other text.
        text: String,
    },
    /// HTTP 200 with empty texts for credentials.
    EmptyCredentials,
    /// A well-formed answer with padding.
    Oversized {
        /// The size of the padding.
        bytes: usize,
    },
    /// Credentials with another lifetime than requested.
    ShortLived {
        /// From now; negative for a token that has already expired.
        seconds: i32,
    },
    /// STS's clock is ahead, or behind if negative.
    SkewedClock {
        /// By how much.
        seconds: i32,
    },
    /// Calls beyond this number in one second are throttled.
    Quota {
        /// The number of calls a second that succeed.
        per_second: u32,
    },
}

/// An HTTP status of an error: 400 to 599.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ErrorStatus(u16);

/// A number that is not the HTTP status of an error.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an error's status is 400 to 599")]
pub struct NoErrorStatus;

/// A fault and the calls that it applies to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ScriptedFault {
    fault: Fault,
    /// The number of calls it still applies to; if absent, all until it is cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    /// Applies only to calls of this action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

impl Fault {
    /// The fault for the next `times` calls.
    pub fn times(self, times: u32) -> ScriptedFault {
        ScriptedFault { fault: self, times: Some(times), action: None }
    }

    /// The fault for every call until it is cleared.
    pub fn always(self) -> ScriptedFault {
        ScriptedFault { fault: self, times: None, action: None }
    }
}

impl ScriptedFault {
    /// The fault for calls of one action only, such as `AssumeRole`.
    #[must_use]
    pub fn only(self, action: &str) -> Self {
        Self { action: Some(action.to_owned()), ..self }
    }
}

impl TryFrom<u16> for ErrorStatus {
    type Error = NoErrorStatus;

    fn try_from(status: u16) -> Result<Self, NoErrorStatus> {
        if (400..=599).contains(&status) { Ok(Self(status)) } else { Err(NoErrorStatus) }
    }
}

impl From<ErrorStatus> for u16 {
    fn from(status: ErrorStatus) -> Self {
        status.0
    }
}

impl From<ErrorStatus> for StatusCode {
    fn from(status: ErrorStatus) -> Self {
        Self::from_u16(status.0).expect("400 to 599 are status codes")
    }
}

/// The active faults, in the order in which they were scripted.
///
/// Faults that do not decide the answer (slow, skewed clock, shorter lifetime, quota) all apply to a call; of those that do, each call
/// gets the oldest, so that a list of them plays like a script.
#[derive(Default)]
pub(crate) struct Faults {
    /// A plain mutex: held briefly, never across an await.
    script: Mutex<Vec<ScriptedFault>>,
    /// Likewise.
    second: Mutex<Second>,
}

/// The number of calls in the current second.
#[derive(Default)]
struct Second {
    start: DateTime<Utc>,
    calls: u32,
}

/// The point of a call at which a fault applies.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Moment {
    Arrival,
    Admission,
    Issue,
    Answer,
}

impl Faults {
    pub(crate) fn add(&self, fault: ScriptedFault) {
        self.script.lock().expect("nothing panics while it is held").push(fault);
    }

    pub(crate) fn clear(&self) {
        self.script.lock().expect("nothing panics while it is held").clear();
    }

    pub(crate) fn list(&self) -> Vec<ScriptedFault> {
        self.script.lock().expect("nothing panics while it is held").clone()
    }

    /// The call's delay, and the skew of STS's clock.
    pub(crate) fn on_arrival(&self, action: &str) -> (Duration, TimeDelta) {
        let mut delay = Duration::ZERO;
        let mut skew = TimeDelta::zero();
        for fault in self.take(Moment::Arrival, action, usize::MAX) {
            if let Fault::Slow { delay_ms } = fault {
                delay = delay.saturating_add(Duration::from_millis(delay_ms));
            } else if let Fault::SkewedClock { seconds } = fault {
                // Limited, so that the date can be formatted however many faults add up.
                skew = (skew + TimeDelta::seconds(seconds.into())).clamp(-FURTHEST, FURTHEST);
            }
        }
        (delay, skew)
    }

    /// The milliseconds until the next second, if the call exceeds the quota.
    pub(crate) fn beyond_quota(&self, action: &str, now: DateTime<Utc>) -> Option<u64> {
        let quotas = self.take(Moment::Admission, action, usize::MAX);
        let per_second = quotas
            .into_iter()
            .filter_map(|fault| {
                if let Fault::Quota { per_second } = fault { Some(per_second) } else { None }
            })
            .min()?;
        let mut second = self.second.lock().expect("nothing panics while it is held");
        let elapsed = now - second.start;
        if elapsed < TimeDelta::zero() || elapsed >= TimeDelta::seconds(1) {
            *second = Second { start: now, calls: 0 };
        }
        second.calls = second.calls.saturating_add(1);
        let left = TimeDelta::seconds(1) - (now - second.start);
        (second.calls > per_second).then(|| left.num_milliseconds().unsigned_abs().max(1))
    }

    /// The scripted lifetime of new credentials.
    pub(crate) fn lifetime(&self, action: &str) -> Option<TimeDelta> {
        self.take(Moment::Issue, action, usize::MAX).into_iter().find_map(|fault| {
            let Fault::ShortLived { seconds } = fault else { return None };
            Some(TimeDelta::seconds(seconds.into()))
        })
    }

    /// The fault that decides the answer.
    pub(crate) fn on_answer(&self, action: &str) -> Option<Fault> {
        self.take(Moment::Answer, action, 1).pop()
    }

    fn take(&self, moment: Moment, action: &str, most: usize) -> Vec<Fault> {
        let mut script = self.script.lock().expect("nothing panics while it is held");
        let matching = script.iter_mut().filter(|scripted| {
            scripted.fault.moment() == moment
                && scripted.times != Some(0)
                && scripted.action.as_ref().is_none_or(|only| only == action)
        });
        let taken = matching
            .take(most)
            .map(|scripted| {
                scripted.times = scripted.times.map(|times| times - 1);
                scripted.fault.clone()
            })
            .collect();
        script.retain(|scripted| scripted.times != Some(0));
        taken
    }
}

impl Fault {
    /// The outcome of a call in whose answer the fault shows.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Throttle { .. } => "Fault.Throttle",
            Self::Error { .. } => "Fault.Error",
            Self::Html { .. } => "Fault.Html",
            Self::Slow { .. } => "Fault.Slow",
            Self::Cut { .. } => "Fault.Cut",
            Self::Malformed => "Fault.Malformed",
            Self::MissingField { .. } => "Fault.MissingField",
            Self::OtherText { .. } => "Fault.OtherText",
            Self::EmptyCredentials => "Fault.EmptyCredentials",
            Self::Oversized { .. } => "Fault.Oversized",
            Self::ShortLived { .. } => "Fault.ShortLived",
            Self::SkewedClock { .. } => "Fault.SkewedClock",
            Self::Quota { .. } => "Fault.Quota",
        }
    }

    fn moment(&self) -> Moment {
        match self {
            Self::Slow { .. } | Self::SkewedClock { .. } => Moment::Arrival,
            Self::Quota { .. } => Moment::Admission,
            Self::ShortLived { .. } => Moment::Issue,
            Self::Throttle { .. }
            | Self::Error { .. }
            | Self::Html { .. }
            | Self::Cut { .. }
            | Self::Malformed
            | Self::MissingField { .. }
            | Self::OtherText { .. }
            | Self::EmptyCredentials
            | Self::Oversized { .. } => Moment::Answer,
        }
    }
}
