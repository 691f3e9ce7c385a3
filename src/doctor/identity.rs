//! Whose the AccessKey is, as each endpoint sees it, and whether the service would sign with it.

use tokio::time::Instant;

use super::{Finding, refusal};
use crate::sts::{CallerIdentity, StsClient};
use crate::vend::{KeyRefused, VerifiedKey};
use appserver_domain::{AccessKey, AccountId};

const CHECK: &str = "identity";

/// Answers a client that works and the identity, if roles may be tried with them.
pub(super) async fn examine<'a>(
    clients: &'a [(String, StsClient)],
    key: &AccessKey,
    role_accounts: &[AccountId],
    deadline: Instant,
    tell: &mut impl FnMut(Finding),
) -> Option<(&'a StsClient, CallerIdentity)> {
    if clients.is_empty() {
        tell(Finding::skipped(CHECK, "no endpoint answered"));
    }
    let mut known: Option<(&StsClient, CallerIdentity)> = None;
    for (host, sts) in clients {
        match sts.caller_identity(key, deadline).await {
            Ok(identity) => {
                // One word for all endpoints; the others were asked whether they are STS.
                if known.is_none() {
                    let (found, admitted) = judged(&identity, role_accounts);
                    tell(found);
                    if !admitted {
                        return None;
                    }
                    known = Some((sts, identity));
                }
            }
            Err(error) => tell(refusal::failed(CHECK, &error).of(host.as_str())),
        }
    }
    known
}

/// The finding, and whether the service would vend with the key.
fn judged(identity: &CallerIdentity, role_accounts: &[AccountId]) -> (Finding, bool) {
    let arn = &identity.arn;
    match VerifiedKey::admit(identity.clone(), role_accounts) {
        Ok(_) => (Finding::ok(CHECK, format!("STS takes us for {arn}")), true),
        Err(refused) => {
            let mend = match &refused {
                KeyRefused::RootAccount(_) => {
                    "in RAM, make a user for AppServer with an AccessKey and the system policy \
                     AliyunSTSAssumeRoleAccess; use that key, and delete the account's own"
                }
                KeyRefused::ForeignRole { .. } => {
                    "see the roles' `arn` and the AccessKey: one of them is another account's"
                }
            };
            let told =
                format!("STS takes us for {arn}, and the server would end at once: {refused}");
            (Finding::failed(CHECK, told).mend(mend), false)
        }
    }
}
