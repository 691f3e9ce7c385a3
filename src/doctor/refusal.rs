//! What STS's refusals ask an operator to do.

use super::Finding;
use crate::sts::{Reason, StsError};
use crate::telemetry::with_causes;

/// A check that STS's answer ended.
pub(super) fn failed(check: &'static str, error: &StsError) -> Finding {
    Finding::failed(check, told(error)).mend(mend(error))
}

/// The error, and the id that Alibaba's support asks for.
pub(super) fn told(error: &StsError) -> String {
    match error.request_id() {
        Some(id) => format!("{}; STS's RequestId is {id}", with_causes(error)),
        None => with_causes(error),
    }
}

/// What helps whatever was asked for. What is about a role is told by who asked for it.
pub(super) fn mend(error: &StsError) -> &'static str {
    match error {
        StsError::Throttled { .. } => {
            "something else spends the account's quota of 100 calls a second; try again, and keep \
             `vend.budget.calls_per_second` below what is left"
        }
        StsError::Unavailable { .. } => "try again, and see Alibaba Cloud's status page",
        StsError::NonceUsed { .. } => {
            "somebody in between repeats requests: see the proxies on the way"
        }
        StsError::ClockSkewed { .. } => "set this machine's clock, by NTP",
        StsError::Unreachable(_) | StsError::TimedOut => {
            "see the way to STS; it answered a moment ago, so this may pass: try again"
        }
        StsError::InvalidResponse { .. } => {
            "see who answers there: a proxy in between, or another service"
        }
        StsError::Refused { refusal, .. } => match refusal.reason() {
            Reason::KeyUnknown => {
                "take the AccessKey's id from RAM anew: this one does not exist, or no longer"
            }
            Reason::KeyDisabled => "enable the AccessKey in RAM, or use another one",
            Reason::WrongSecret | Reason::Signature => {
                "the secret is most likely not the one of this AccessKey id: make a new AccessKey in RAM, whose secret is \
                 shown once"
            }
            Reason::SigningBug => "please report this, with AppServer's version",
            Reason::NoPermission | Reason::NoSuchRole => "see the RAM user and its policies",
            Reason::Policy | Reason::Parameter | Reason::Unknown => {
                "https://api.aliyun.com/troubleshoot explains STS's codes and RequestIds"
            }
        },
    }
}
