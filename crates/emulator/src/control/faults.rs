//! Trouble on demand.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A century: so far STS's clock may be skewed by all faults together.
const FURTHEST: TimeDelta = TimeDelta::days(100 * 365);

/// What can go wrong with a call.
///
/// Every fault but [`Fault::Slow`] and [`Fault::SkewedClock`] strikes only calls that got past the gateway's checks: a
/// badly signed call or a replayed nonce is told so even in the middle of trouble.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all_fields = "PascalCase")]
pub enum Fault {
    /// `Throttling.User`, with the hint when to come back.
    Throttle {
        /// `TimeLeft` of the hint.
        time_left_ms: u64,
    },
    /// An error of STS's own making.
    Error {
        /// The HTTP status.
        status: ErrorStatus,
        /// Such as `InternalError`.
        code: String,
        /// Its text.
        message: String,
    },
    /// An error page as proxies send it.
    Html {
        /// The HTTP status.
        status: ErrorStatus,
    },
    /// The answer is late.
    Slow {
        /// By how much.
        delay_ms: u64,
    },
    /// The connection ends.
    Cut {
        /// In the middle of the body; otherwise before the answer.
        mid_body: bool,
    },
    /// The first half of the answer, as if it were whole.
    Malformed,
    /// A field is left out, wherever it stands.
    MissingField {
        /// Such as `Expiration`.
        field: String,
    },
    /// A field says something else, wherever it stands.
    OtherText {
        /// Such as `Arn`.
        field: String,
        /// What it says.
        text: String,
    },
    /// HTTP 200 with empty texts for credentials.
    EmptyCredentials,
    /// A well-formed answer with this much padding.
    Oversized {
        /// Of the padding.
        bytes: usize,
    },
    /// Credentials that live for another time than was asked for.
    ShortLived {
        /// From now; negative for a token that is dead on arrival.
        seconds: i32,
    },
    /// STS's clock is ahead (or, if negative, behind).
    SkewedClock {
        /// By how much.
        seconds: i32,
    },
    /// Calls of one second beyond this number are throttled.
    Quota {
        /// How many a second are let through.
        per_second: u32,
    },
}

/// An HTTP status of an error: 400 to 599.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct ErrorStatus(u16);

/// A number that is no error's HTTP status.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an error's status is 400 to 599")]
pub struct NoErrorStatus;

/// A fault and the calls that it strikes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct ScriptedFault {
    fault: Fault,
    /// How many calls are left for it; all until it is cleared, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    /// Strikes calls of this action only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

impl Fault {
    /// The fault for the next so many calls.
    pub fn times(self, times: u32) -> ScriptedFault {
        ScriptedFault { fault: self, times: Some(times), action: None }
    }

    /// The fault for every call until faults are cleared.
    pub fn always(self) -> ScriptedFault {
        ScriptedFault { fault: self, times: None, action: None }
    }
}

impl ScriptedFault {
    /// Strikes calls of one action only, such as `AssumeRole`.
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

/// The faults in force, in the order in which they were scripted.
///
/// Those that only colour a call (slow, skewed clock, shorter life, quota) all strike; of those that decide its answer
/// each call gets one, the oldest first, so that a list of them plays like a script.
#[derive(Default)]
pub(crate) struct Faults {
    /// Held to pick or change, never across an await.
    script: Mutex<Vec<ScriptedFault>>,
    /// The same.
    second: Mutex<Second>,
}

/// The calls of the running second.
#[derive(Default)]
struct Second {
    start: DateTime<Utc>,
    calls: u32,
}

/// When in a call's life a fault strikes.
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

    /// How long the call waits, and how far STS's clock is off.
    pub(crate) fn on_arrival(&self, action: &str) -> (Duration, TimeDelta) {
        let mut delay = Duration::ZERO;
        let mut skew = TimeDelta::zero();
        for fault in self.take(Moment::Arrival, action, usize::MAX) {
            if let Fault::Slow { delay_ms } = fault {
                delay = delay.saturating_add(Duration::from_millis(delay_ms));
            } else if let Fault::SkewedClock { seconds } = fault {
                // However many there are, a moment stays one that can be written.
                skew = (skew + TimeDelta::seconds(seconds.into())).clamp(-FURTHEST, FURTHEST);
            }
        }
        (delay, skew)
    }

    /// If the call is beyond the quota: how many milliseconds are left until the next second.
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

    /// How long new credentials live, if not as long as was asked for.
    pub(crate) fn life(&self, action: &str) -> Option<TimeDelta> {
        self.take(Moment::Issue, action, usize::MAX).into_iter().find_map(|fault| {
            let Fault::ShortLived { seconds } = fault else { return None };
            Some(TimeDelta::seconds(seconds.into()))
        })
    }

    /// What becomes of the answer.
    pub(crate) fn on_answer(&self, action: &str) -> Option<Fault> {
        self.take(Moment::Answer, action, 1).pop()
    }

    fn take(&self, moment: Moment, action: &str, most: usize) -> Vec<Fault> {
        let mut script = self.script.lock().expect("nothing panics while it is held");
        let struck = script.iter_mut().filter(|scripted| {
            scripted.fault.moment() == moment
                && scripted.times != Some(0)
                && scripted.action.as_ref().is_none_or(|only| only == action)
        });
        let taken = struck
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
