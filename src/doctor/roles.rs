//! One real AssumeRole for each role that a grant uses.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::DateTime;
use tokio::time::{Instant, sleep};

use super::probe::{self, Trial};
use super::{Finding, refusal};
use crate::grant::{Entitlement, Grants};
use crate::sts::{AssumeRole, CallerIdentity, Reason, RoleSession, StsClient, StsError, retrying};
use appserver_domain::AccountId;

const CHECK: &str = "role";
/// Between tries while STS throttles and does not say for how long.
const PAUSE: Duration = Duration::from_secs(1);

/// Grants that STS would be asked for in the same way, so that one call tries them all.
struct Alike<'a> {
    trial: Trial<'a>,
    /// In order.
    grants: Vec<&'a str>,
}

pub(super) async fn examine(
    sts: &StsClient,
    identity: &CallerIdentity,
    grants: &Grants,
    attempts: NonZeroU32,
    deadline: Instant,
    tell: &mut impl FnMut(Finding),
) {
    for alike in alike(grants) {
        // The policy has no `${now:…}`.
        let session = probe::session(alike.trial, DateTime::UNIX_EPOCH);
        let found = match patiently(sts, &session, attempts, deadline).await {
            // What was had is dropped here, and was shown to nobody.
            Ok(()) => Finding::ok(CHECK, assumed(&alike)),
            Err(error) => Finding::failed(CHECK, refusal::told(&error)).mend(mend(
                &error,
                &alike,
                &identity.account,
            )),
        };
        tell(found.of(alike.subject()));
    }
}

/// When nobody knows with which identity they could be tried.
pub(super) fn skipped(grants: &Grants) -> Vec<Finding> {
    let skipped = |alike: Alike<'_>| {
        Finding::skipped(CHECK, "there is no identity to try it with").of(alike.subject())
    };
    alike(grants).into_iter().map(skipped).collect()
}

/// As often as a call is worth it; throttling is waited out.
async fn patiently(
    sts: &StsClient,
    session: &RoleSession,
    attempts: NonZeroU32,
    deadline: Instant,
) -> Result<(), StsError> {
    loop {
        let attempt = |number| sts.assume_role(session, number, deadline);
        let error = match retrying(deadline, attempts, attempt).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let wait = error.retry_after().unwrap_or(PAUSE).max(PAUSE);
        if !error.is_throttling() || Instant::now() + wait >= deadline {
            return Err(error);
        }
        sleep(wait).await;
    }
}

/// The grants by what STS would see of them but for names, policies and durations; of those the longest.
fn alike(grants: &Grants) -> Vec<Alike<'_>> {
    let mut entitlements: Vec<&Entitlement> = grants.entitlements.values().collect();
    entitlements.sort_by_key(|entitlement| &entitlement.name);
    let mut groups = BTreeMap::new();
    for entitlement in entitlements {
        let Entitlement { name, role, template, durations, external_id, fingerprint: _ } =
            entitlement;
        let sets_source_identity = template.sets_source_identity();
        let trial = Trial {
            role,
            external_id: external_id.as_ref(),
            sets_source_identity,
            duration: durations.longest(),
        };
        let external = external_id.as_ref().map(|id| id.as_str());
        let group = groups
            .entry((role.as_str(), external, sets_source_identity))
            .or_insert_with(|| Alike { trial, grants: Vec::new() });
        group.trial.duration = group.trial.duration.max(trial.duration);
        group.grants.push(name.as_str());
    }
    groups.into_values().collect()
}

impl Alike<'_> {
    fn subject(&self) -> String {
        let grants = if let [only] = &*self.grants {
            format!("grant `{only}`")
        } else {
            format!("grants `{}`", self.grants.join("`, `"))
        };
        format!("{} ({grants})", self.trial.role)
    }
}

fn assumed(alike: &Alike<'_>) -> String {
    let with = match alike.trial {
        Trial { external_id: Some(_), sets_source_identity: true, .. } => {
            ", with the external id and a source identity"
        }
        Trial { external_id: Some(_), .. } => ", with the external id",
        Trial { sets_source_identity: true, .. } => ", with a source identity",
        Trial { .. } => "",
    };
    format!("it can be assumed for {} s{with}", alike.trial.duration.as_secs())
}

fn mend(error: &StsError, alike: &Alike<'_>, account: &AccountId) -> String {
    let Trial { role, external_id, sets_source_identity, duration } = alike.trial;
    let reason = match error {
        StsError::Refused { refusal, .. } => Some(refusal.reason()),
        StsError::Throttled { .. }
        | StsError::Unavailable { .. }
        | StsError::NonceUsed { .. }
        | StsError::ClockSkewed { .. }
        | StsError::Unreachable(_)
        | StsError::TimedOut
        | StsError::InvalidResponse { .. } => None,
    };
    match (reason, error.code()) {
        (Some(Reason::NoPermission), _) => {
            let external = match external_id {
                Some(_) => {
                    "see that its condition on sts:ExternalId asks for the grant's `external_id`"
                }
                None => "if it has a condition on sts:ExternalId, set the grant's `external_id`",
            };
            let source = if sets_source_identity {
                "; try without the grant's `source_identity`"
            } else {
                ""
            };
            format!(
                "in RAM, give the AccessKey's user the system policy AliyunSTSAssumeRoleAccess, or sts:AssumeRole on \
                 {role}; and see that the role's trust policy names acs:ram::{account}:root or the user as its \
                 Principal; {external}{source}"
            )
        }
        (Some(Reason::NoSuchRole), _) => {
            "make the role in RAM, or correct the `arn` of the role in the configuration".to_owned()
        }
        (Some(Reason::Parameter), Some("InvalidParameter.DurationSeconds")) => format!(
            "its grants may ask for {} s, which is more than the role's maximum session duration in RAM: raise that, \
             or lower the role's `max_session_duration_secs` here, or the grants' `max_duration_secs`",
            duration.as_secs()
        ),
        _ => refusal::mend(error).to_owned(),
    }
}
