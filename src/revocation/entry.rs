//! One revocation: who or what, until when, and why.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::revoked::Revoked;
use appserver_domain::clock::Stamp;
use appserver_domain::text_type;

/// The longest life. What is to end for good is removed from the configuration or at the issuer.
const MAX_LIFETIME: TimeDelta = TimeDelta::days(366);

/// Who or what is refused, until when, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Revocation {
    what: Revoked,
    until: DateTime<Utc>,
    reason: Reason,
}

/// Why, for the audit and the log. Callers do not learn it. It may be empty.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Reason(String);

text_type!(
    Reason,
    |s| s.chars().count() <= 200 && !s.chars().any(char::is_control),
    "a reason is at most 200 characters on one line"
);

/// Why a time cannot be the end of a revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum EndProblem {
    #[error(
        "a revocation ends within 366 days: write an earlier time; what is to end for good is removed from the \
         configuration or at the issuer"
    )]
    TooFar,
}

impl Revocation {
    /// A revocation that may have ended already.
    pub(crate) fn new(
        what: Revoked,
        until: DateTime<Utc>,
        reason: Reason,
        now: DateTime<Utc>,
    ) -> Result<Self, EndProblem> {
        if until - now > MAX_LIFETIME {
            return Err(EndProblem::TooFar);
        }
        Ok(Self { what, until, reason })
    }

    /// One that was accepted before, perhaps by a machine with another clock.
    pub(super) fn accepted(what: Revoked, until: DateTime<Utc>, reason: Reason) -> Self {
        Self { what, until, reason }
    }

    pub(crate) fn what(&self) -> &Revoked {
        &self.what
    }

    pub(crate) fn until(&self) -> DateTime<Utc> {
        self.until
    }

    pub(crate) fn reason(&self) -> &Reason {
        &self.reason
    }

    pub(crate) fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.until > now
    }
}

/// For the audit and the log, which have the caller's names in fields of their own.
impl fmt::Display for Revocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, until, reason } = self;
        let (kind, until) = (what.kind().as_str(), Stamp::of(*until));
        write!(f, "the caller's {kind} is revoked until {}", until.as_str())?;
        if reason.as_str().is_empty() { Ok(()) } else { write!(f, ": {reason}") }
    }
}
