//! Tests the AccessKey: which identity STS takes it for, and whether the service would sign with it.

use tokio::time::Instant;

use super::Finding;
use super::sts_errors;
use crate::config::IdentitySource;
use crate::sts::{CallerIdentity, Reason, StsClient, StsError};
use crate::vend::{KeyRefused, VerifiedKey};
use appserver_domain::{AccountId, SigningCredentials};

const CHECK: &str = "identity";

/// Which AccessKey is used, so that an unexpected source is noticed.
pub(super) fn key_finding(source: &IdentitySource, key: &SigningCredentials) -> Finding {
    Finding::ok("access key", format!("`{}`, from: {source}", key.id()))
}

/// Returns a working client, if roles can be tested with it.
pub(super) async fn check<'a>(
    clients: &'a [(String, StsClient)],
    key: Option<&SigningCredentials>,
    role_accounts: &[AccountId],
    deadline: Instant,
    report: &mut impl FnMut(Finding),
) -> Option<&'a StsClient> {
    let Some(key) = key else {
        report(Finding::skipped(CHECK, "there are no credentials"));
        return None;
    };
    if clients.is_empty() {
        report(Finding::skipped(CHECK, "no endpoint answered"));
    }
    let mut known = None;
    for (host, sts) in clients {
        match sts.caller_identity(key, deadline).await {
            Ok(identity) => {
                // One finding for all endpoints; calling the others shows whether they are STS.
                if known.is_none() {
                    let (finding, admitted) = rate(&identity, key, role_accounts);
                    report(finding);
                    if !admitted {
                        return None;
                    }
                    known = Some(sts);
                }
            }
            Err(error) => report(failed(&error, key).of(host.as_str())),
        }
    }
    known
}

/// Credentials that a source gave are not in any setting, so that the usual fixes do not help.
fn failed(error: &StsError, key: &SigningCredentials) -> Finding {
    let finding = sts_errors::failed(CHECK, error);
    let is_about_key = match error {
        StsError::Refused { refusal, .. } => matches!(
            refusal.reason(),
            Reason::KeyUnknown
                | Reason::KeyDisabled
                | Reason::KeyRefused
                | Reason::WrongSecret
                | Reason::Signature
                | Reason::SecurityToken
        ),
        _ => false,
    };
    if is_about_key && key.expiration().is_some() {
        return finding.fix(
            "STS does not accept what the source of `sts.identity` gave: check that its role exists in RAM, and which server \
             answers as the source",
        );
    }
    finding
}

/// The finding, and whether the service would vend with the key.
fn rate(
    identity: &CallerIdentity,
    key: &SigningCredentials,
    role_accounts: &[AccountId],
) -> (Finding, bool) {
    let arn = &identity.arn;
    let belongs = match key.security_token() {
        Some(_) => "the credentials are those of",
        None => "the AccessKey belongs to",
    };
    match VerifiedKey::admit(identity.clone(), role_accounts) {
        Ok(_) => (Finding::ok(CHECK, format!("{belongs} {arn}")), true),
        Err(refused) => {
            let fix = match &refused {
                KeyRefused::RootAccount(_) => {
                    "use the AccessKey of a RAM user that may assume the configured roles and do nothing else, as `appserver \
                     setup plan` prints it and `appserver setup apply` makes it, and delete the account's own"
                }
                KeyRefused::ForeignRole { .. } => {
                    "compare the roles' `arn` with the AccessKey: one of them belongs to another account"
                }
            };
            let message = format!("{belongs} {arn}, and the server would exit at once: {refused}");
            (Finding::failed(CHECK, message).fix(fix), false)
        }
    }
}
