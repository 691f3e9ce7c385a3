//! Explains STS errors and how to fix them, for the checks that call STS.

use super::Finding;
use crate::sts::{Reason, StsError};
use crate::telemetry::with_causes;

/// The finding for a check that an STS error ended.
pub(super) fn failed(check: &'static str, error: &StsError) -> Finding {
    Finding::failed(check, message(error)).fix(fix(error))
}

/// The error, with the request id that Alibaba Cloud's support needs.
pub(super) fn message(error: &StsError) -> String {
    match error.request_id() {
        Some(id) => format!("{}; STS's RequestId is {id}", with_causes(error)),
        None => with_causes(error),
    }
}

/// The fix that does not depend on the action; `roles` adds those about a role.
pub(super) fn fix(error: &StsError) -> &'static str {
    match error {
        StsError::Throttled { .. } => {
            "other callers use up the account's quota of 100 calls a second; run it again, and keep \
             `vend.budget.calls_per_second` below what is left"
        }
        StsError::Unavailable { .. } => "run it again, and check Alibaba Cloud's status page",
        StsError::NonceUsed { .. } => "something on the way repeats requests: check the proxies",
        StsError::ClockSkewed { .. } => "set this machine's clock, by NTP",
        StsError::Unreachable(_) | StsError::TimedOut => {
            "check the network path to STS; it answered a moment ago, so run it again"
        }
        StsError::Proxy(error) => error.fix(),
        StsError::NoCredentials => {
            "see the check of the credentials; they have to be valid for some seconds more"
        }
        StsError::InvalidResponse { .. } => {
            "find out which server answers there: a proxy, or another service"
        }
        StsError::Refused { refusal, .. } => match refusal.reason() {
            Reason::KeyUnknown => {
                "copy the AccessKey id from RAM again: this one does not exist or was deleted"
            }
            Reason::KeyDisabled => "enable the AccessKey in RAM, or use another one",
            Reason::KeyNetwork => {
                "add the address to the AccessKey's network policy; the one that counts is the one that STS sees, behind a NAT \
                 or a proxy theirs: `appserver setup check` with `--egress` and this address prints the call"
            }
            Reason::KeyRefused => {
                "look at the AccessKey in RAM: its status, its owner and its network policy"
            }
            Reason::WrongSecret | Reason::Signature => {
                "the secret probably belongs to another AccessKey id: create a new AccessKey in RAM, whose secret is shown \
                 once"
            }
            Reason::SecurityToken => {
                "temporary credentials end, and are an id, a secret and a token together: get new ones, or let AppServer renew them by another `sts.identity.source`"
            }
            Reason::OidcTokenExpired => {
                "check that `sts.identity.oidc.token_file` is replaced before its token expires, and this machine's clock"
            }
            Reason::OidcAudience | Reason::OidcToken => {
                "compare the OIDC provider in RAM (issuer, client ids, certificate fingerprints) with the token's `iss` and `aud`"
            }
            Reason::SigningBug => "please report this, with AppServer's version",
            Reason::NoPermission | Reason::NoSuchRole => {
                "check the RAM user or role that signs, and its policies"
            }
            Reason::Policy | Reason::Parameter | Reason::Unknown => {
                "https://api.aliyun.com/troubleshoot explains STS's codes and RequestIds"
            }
        },
    }
}
