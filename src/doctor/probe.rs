//! A session that may do nothing, to see whether a role can be assumed.
//!
//! It comes about as every other: a grant is decided for a caller, and the grant's template makes its policy. So
//! there is no second way to a call of STS, and none without a session policy.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::auth::Caller;
use crate::grant::{Durations, Entitlement, Grant, Grants, TokenParams};
use crate::sts::RoleSession;
use appserver_domain::{ClientId, ExternalId, Fingerprint, RoleArn, SessionDuration};
use appserver_policy::{Breadth, GrantTemplate, GrantTexts, ValueRules};

/// Allows only what needs no permission, and so nothing. (RAM's grammar wants an Allow, and so do we.)
const NOTHING: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}]}"#;

/// What the session is called, for who reads ActionTrail.
const NAME: &str = "appserver-doctor";

/// What a role is tried for: what its grants would ask at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial<'a> {
    pub(super) role: &'a RoleArn,
    pub(super) external_id: Option<&'a ExternalId>,
    pub(super) sets_source_identity: bool,
    pub(super) duration: SessionDuration,
}

pub(super) fn session(trial: Trial<'_>, now: DateTime<Utc>) -> RoleSession {
    let client: ClientId = NAME.parse().expect("it is a client id");
    let texts = GrantTexts {
        policy: NOTHING,
        breadth: Breadth::Broad,
        session_name: Some("${client}"),
        source_identity: trial.sets_source_identity.then_some("${client}"),
    };
    let rules =
        ValueRules { params: BTreeMap::new(), claims: BTreeMap::new(), subject_max_bytes: 1 };
    let only = trial.duration;
    let entitlement = Entitlement {
        name: NAME.parse().expect("it is a grant's name"),
        role: trial.role.clone(),
        template: GrantTemplate::parse(texts, rules).expect("the texts are sound"),
        durations: Durations::new(only, only, only).expect("they are in order"),
        external_id: trial.external_id.cloned(),
        fingerprint: Fingerprint::of([NOTHING.as_bytes()]),
    };
    let name = entitlement.name.clone();
    let grants = Grants {
        entitlements: HashMap::from([(name.clone(), entitlement)]),
        of_clients: HashMap::from([(client.clone(), [name].into())]),
        issued_within: Duration::ZERO,
    };
    let caller = Caller::simulated(client, None, BTreeMap::new());
    let granted =
        grants.decide(&caller, &TokenParams::default(), now).map(Grant::into_role_session);
    granted.expect("its one client has the one grant, which needs nothing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use appserver_domain::MaxSessionDuration;

    #[test]
    fn a_trial_asks_for_a_session_that_may_do_nothing() {
        let role = RoleArn::try_from("acs:ram::11223344:role/oss-readonly".to_owned()).unwrap();
        let external_id: ExternalId = "partner/42".parse().unwrap();
        let trial = Trial {
            role: &role,
            external_id: Some(&external_id),
            sets_source_identity: true,
            duration: MaxSessionDuration::from_secs(43_200).unwrap().admit(43_200).unwrap(),
        };
        let session = session(trial, DateTime::UNIX_EPOCH);
        assert_eq!(session.policy.as_str(), NOTHING);
        assert_eq!(session.name.as_str(), "appserver-doctor");
        assert_eq!(session.duration.as_secs(), 43_200);
        assert_eq!((session.role, session.external_id), (role, Some(external_id)));
        assert_eq!(session.source_identity.unwrap().as_str(), "appserver-doctor");
    }
}
