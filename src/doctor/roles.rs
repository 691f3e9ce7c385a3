//! Tests each role that a grant uses with one real AssumeRole call.
//!
//! The session can do nothing. Its policy is made like every other: the one grant of a made-up caller is decided, and the grant's
//! template renders the policy. So there is no second way to call STS, and none without a session policy.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use super::Finding;
use super::sts_errors;
use crate::auth::Caller;
use crate::grant::{Durations, Entitlement, Grant, Grants, TokenParams};
use crate::sign::SignedUrlMethods;
use crate::sts::{AssumeRole, CallerSession, Reason, StsClient, StsError, retrying};
use appserver_domain::{ClientId, ExternalId, Fingerprint, RoleArn, SessionDuration, UpstreamName};
use appserver_policy::{Breadth, GrantTemplate, GrantTexts, ValueRules};

const CHECK: &str = "role";
/// The wait while STS throttles and names no time.
const THROTTLE_PAUSE: Duration = Duration::from_secs(1);

/// Allows only an action that needs no permission, and so nothing. (RAM's grammar requires an Allow, and so do we.)
const NOTHING: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}]}"#;

/// The session's name, which ActionTrail shows.
const NAME: &str = "appserver-doctor";

/// Grants whose AssumeRole calls differ in nothing that can fail, so that one call tests them all.
struct GrantGroup<'a> {
    probe: Probe<'a>,
    /// In alphabetical order.
    grants: Vec<&'a str>,
}

/// The grants of one upstream.
#[derive(Clone, Copy)]
pub(super) struct GrantsOf<'a>(pub(super) &'a Grants, pub(super) &'a UpstreamName);

pub(super) async fn check(
    sts: &StsClient,
    grants: &GrantsOf<'_>,
    attempts: NonZeroU32,
    deadline: Instant,
    report: &mut impl FnMut(Finding),
) {
    for group in group(grants) {
        // The policy has no `${now:…}`.
        let session = probe_session(group.probe, DateTime::UNIX_EPOCH);
        let finding = match assume(sts, &session, attempts, deadline).await {
            // The credentials are dropped unread.
            Ok(()) => Finding::ok(CHECK, assumed(&group)),
            Err(error) => {
                Finding::failed(CHECK, sts_errors::message(&error)).fix(fix(&error, &group))
            }
        };
        report(finding.of(group.subject()));
    }
}

/// The findings if no identity is known to test them with.
pub(super) fn skipped(grants: &GrantsOf<'_>) -> Vec<Finding> {
    let skipped = |group: GrantGroup<'_>| {
        Finding::skipped(CHECK, "not tested: there is no identity to assume it with")
            .of(group.subject())
    };
    group(grants).into_iter().map(skipped).collect()
}

/// One call with the usual retries; throttling is waited out until the deadline.
async fn assume(
    sts: &StsClient,
    session: &CallerSession,
    attempts: NonZeroU32,
    deadline: Instant,
) -> Result<(), StsError> {
    loop {
        let attempt = |number| sts.assume_role(session.role_session(), number, deadline);
        let Err(error) = retrying(deadline, attempts, attempt).await else { return Ok(()) };
        let wait = error.retry_after().unwrap_or(THROTTLE_PAUSE).max(THROTTLE_PAUSE);
        if !error.is_throttling() || Instant::now() + wait >= deadline {
            return Err(error);
        }
        sleep(wait).await;
    }
}

/// Groups the grants by what decides whether STS allows the call, each with its longest duration.
fn group<'a>(GrantsOf(grants, upstream): &GrantsOf<'a>) -> Vec<GrantGroup<'a>> {
    let own = |grant: &&Entitlement| grant.upstream == **upstream;
    let mut entitlements: Vec<&Entitlement> = grants.entitlements.values().filter(own).collect();
    entitlements.sort_by_key(|entitlement| &entitlement.name);
    let mut groups = BTreeMap::new();
    for entitlement in entitlements {
        let Entitlement { name, role, durations, external_id, .. } = entitlement;
        let sets_source_identity = entitlement.sets_source_identity();
        let probe = Probe {
            role,
            external_id: external_id.as_ref(),
            sets_source_identity,
            duration: durations.longest(),
        };
        let external = external_id.as_ref().map(appserver_domain::ExternalId::as_str);
        let group = groups
            .entry((role.as_str(), external, sets_source_identity))
            .or_insert_with(|| GrantGroup { probe, grants: Vec::new() });
        group.probe.duration = group.probe.duration.max(probe.duration);
        group.grants.push(name.as_str());
    }
    groups.into_values().collect()
}

impl GrantGroup<'_> {
    fn subject(&self) -> String {
        let grants = if let [only] = &*self.grants {
            format!("grant `{only}`")
        } else {
            format!("grants `{}`", self.grants.join("`, `"))
        };
        format!("{} ({grants})", self.probe.role)
    }
}

fn assumed(group: &GrantGroup<'_>) -> String {
    let with = match group.probe {
        Probe { external_id: Some(_), sets_source_identity: true, .. } => {
            ", with the external id and a source identity"
        }
        Probe { external_id: Some(_), .. } => ", with the external id",
        Probe { sets_source_identity: true, .. } => ", with a source identity",
        Probe { .. } => "",
    };
    format!("it can be assumed for {} s{with}", group.probe.duration.as_secs())
}

fn fix(error: &StsError, group: &GrantGroup<'_>) -> String {
    let Probe { role, external_id, sets_source_identity, duration } = group.probe;
    match (error.refused_for(), error.code()) {
        (Some(Reason::NoPermission), _) => {
            let external = match external_id {
                Some(_) => {
                    "check that its condition on sts:ExternalId matches the grant's `external_id`"
                }
                None => "if it has a condition on sts:ExternalId, set the grant's `external_id`",
            };
            let source = if sets_source_identity {
                "; try without the grant's `source_identity`"
            } else {
                ""
            };
            format!(
                "in RAM, allow this identity sts:AssumeRole on {role}, and name it as the Principal of the role's trust policy: \
                 `appserver setup check` prints what differs and the calls that change it (`setup apply` makes only what does \
                 not exist, and changes no trust policy); \
                 {external}{source}"
            )
        }
        (Some(Reason::NoSuchRole), _) => {
            "create the role in RAM, or correct the `arn` of the role in the configuration"
                .to_owned()
        }
        (Some(Reason::Parameter), Some("InvalidParameter.DurationSeconds")) => format!(
            "its grants allow {} s, more than the role's maximum session duration in RAM: raise that, or \
             lower the role's `max_session_duration_secs` here, or the grants' `max_duration_secs`",
            duration.as_secs()
        ),
        _ => sts_errors::fix(error).to_owned(),
    }
}

/// How a role is tested: as the most demanding of its grants would use it.
#[derive(Clone, Copy, Debug)]
struct Probe<'a> {
    role: &'a RoleArn,
    external_id: Option<&'a ExternalId>,
    sets_source_identity: bool,
    duration: SessionDuration,
}

fn probe_session(probe: Probe<'_>, now: DateTime<Utc>) -> CallerSession {
    let client: ClientId = NAME.parse().expect("it is a client id");
    let texts = GrantTexts {
        policy: NOTHING,
        breadth: Breadth::Broad,
        session_name: Some("${client}"),
        source_identity: probe.sets_source_identity.then_some("${client}"),
    };
    let rules =
        ValueRules { params: BTreeMap::new(), claims: BTreeMap::new(), subject_max_bytes: 1 };
    let only = probe.duration;
    let entitlement = Entitlement {
        name: NAME.parse().expect("it is a grant's name"),
        role: probe.role.clone(),
        upstream: UpstreamName::default(),
        template: GrantTemplate::parse(texts, rules).expect("the texts are sound"),
        durations: Durations::new(only, only, only).expect("they are in order"),
        external_id: probe.external_id.cloned(),
        oss: None,
        upload: None,
        signed_urls: SignedUrlMethods::default(),
        signing: None,
        fingerprint: Fingerprint::of([NOTHING.as_bytes()]),
    };
    let name = entitlement.name.clone();
    let grants = Grants {
        entitlements: [(name.clone(), entitlement)].into_iter().collect(),
        of_clients: [(client.clone(), [name].into())].into_iter().collect(),
        defaults: Default::default(),
        issued_within: Duration::ZERO,
    };
    let caller = Caller::simulated(client, None, BTreeMap::new());
    let granted =
        grants.decide(&caller, &TokenParams::default(), now).map(Grant::into_caller_session);
    granted.expect("the only client has the only grant, which needs no value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use appserver_domain::MaxSessionDuration;

    #[test]
    fn a_trial_asks_for_a_session_that_may_do_nothing() {
        let role = RoleArn::try_from("acs:ram::11223344:role/oss-readonly".to_owned()).unwrap();
        let external_id: ExternalId = "partner/42".parse().unwrap();
        let probe = Probe {
            role: &role,
            external_id: Some(&external_id),
            sets_source_identity: true,
            duration: MaxSessionDuration::from_secs(43_200).unwrap().admit(43_200).unwrap(),
        };
        let session = probe_session(probe, DateTime::UNIX_EPOCH).into_role_session();
        assert_eq!(session.policy.as_str(), NOTHING);
        assert_eq!(session.name.as_str(), "appserver-doctor");
        assert_eq!(session.duration.as_secs(), 43_200);
        assert_eq!((session.role, session.external_id), (role, Some(external_id)));
        assert_eq!(session.source_identity.unwrap().as_str(), "appserver-doctor");
    }
}
