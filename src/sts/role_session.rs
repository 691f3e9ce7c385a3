//! The parameters of an AssumeRole call, and the two kinds of sessions that calls are for.

use appserver_domain::{
    ExternalId, GrantName, RoleArn, SessionDuration, SessionName, SourceIdentity,
};
use appserver_policy::{GrantSessionPolicy, SessionPolicy};

/// Exactly what STS sees of a request, and for whom it is: equal sessions may share one token, and no others may.
///
/// The policy is not optional.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RoleSession {
    pub(crate) role: RoleArn,
    pub(crate) name: SessionName,
    pub(crate) policy: InlinePolicy,
    pub(crate) duration: SessionDuration,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) source_identity: Option<SourceIdentity>,
}

/// The policy of a session. Two of different kinds are never equal, even if their texts are: the credentials of the one
/// go to a caller, and those of the other never do.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum InlinePolicy {
    Caller(SessionPolicy),
    Grant(GrantSessionPolicy),
}

/// A session whose credentials its caller gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CallerSession(RoleSession);

/// A grant's own session. The server signs with its credentials for all callers of the grant, and hands them to none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct GrantSession(RoleSession);

impl InlinePolicy {
    /// The JSON as it goes to STS.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Caller(policy) => policy.as_str(),
            Self::Grant(policy) => policy.as_str(),
        }
    }

    /// The JSON, without a copy.
    fn into_json(self) -> String {
        match self {
            Self::Caller(policy) => policy.into_json(),
            Self::Grant(policy) => policy.into_json(),
        }
    }

    /// What distinguishes the kinds where policies are compared as texts.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Caller(_) => "caller",
            Self::Grant(_) => "grant",
        }
    }
}

impl CallerSession {
    pub(crate) fn new(
        role: RoleArn,
        name: SessionName,
        policy: SessionPolicy,
        duration: SessionDuration,
        external_id: Option<ExternalId>,
        source_identity: Option<SourceIdentity>,
    ) -> Self {
        let policy = InlinePolicy::Caller(policy);
        Self(RoleSession { role, name, policy, duration, external_id, source_identity })
    }

    pub(crate) fn role_session(&self) -> &RoleSession {
        &self.0
    }

    /// Shortens the session to this duration if it is longer.
    pub(crate) fn shorten(&mut self, duration: SessionDuration) {
        self.0.duration = self.0.duration.min(duration);
    }

    /// The JSON of its policy, without a copy.
    pub(crate) fn into_policy_json(self) -> String {
        self.0.policy.into_json()
    }

    #[cfg(test)]
    pub(crate) fn into_role_session(self) -> RoleSession {
        self.0
    }
}

impl GrantSession {
    /// The session of this grant, under a name that no caller's session has. It has no source identity: it acts for no
    /// caller in particular.
    pub(crate) fn new(
        role: RoleArn,
        grant: &GrantName,
        policy: GrantSessionPolicy,
        duration: SessionDuration,
        external_id: Option<ExternalId>,
    ) -> Self {
        let (name, policy) = (SessionName::of_grant(grant), InlinePolicy::Grant(policy));
        Self(RoleSession { role, name, policy, duration, external_id, source_identity: None })
    }

    pub(crate) fn role_session(&self) -> &RoleSession {
        &self.0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use appserver_domain::MaxSessionDuration;
    use appserver_policy::{Breadth, GrantTemplate, GrantTexts, RawValues, ValueRules};

    /// A grant's policy for these keys of `sample-bucket`. Tests too can only obtain a session policy from a grant.
    pub(crate) fn policy_for(keys: &str) -> SessionPolicy {
        let policy = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{keys}"}}]}}"#
        );
        let texts = GrantTexts {
            policy: &policy,
            breadth: Breadth::Narrow,
            session_name: None,
            source_identity: None,
        };
        let (params, claims) = Default::default();
        let rules = ValueRules { params, claims, subject_max_bytes: 64 };
        let raw = RawValues {
            client: &"client-002".parse().unwrap(),
            issuer: None,
            subject: None,
            claims: &BTreeMap::new(),
            params: &BTreeMap::new(),
            now: "2016-01-13T14:02:37Z".parse().unwrap(),
        };
        GrantTemplate::parse(texts, rules).unwrap().render(raw).unwrap().policy
    }

    /// One hour of `oss-readonly` for `client-002`.
    pub(in crate::sts) fn a_session() -> RoleSession {
        RoleSession {
            role: "acs:ram::11223344:role/oss-readonly".to_owned().try_into().unwrap(),
            name: "client-002".parse().unwrap(),
            policy: InlinePolicy::Caller(policy_for("2015/01/01/*.jpg")),
            duration: MaxSessionDuration::DEFAULT.admit(3600).unwrap(),
            external_id: None,
            source_identity: None,
        }
    }

    /// STS's response to it at 2016-01-13T14:02:37Z.
    pub(in crate::sts) fn an_answer() -> Value {
        json!({
            "RequestId": "6894B13B-6D71-4EF5-88FA-F32781734A7F",
            "AssumedRoleUser": {
                "AssumedRoleId": "391578752573972854:client-002",
                "Arn": "acs:ram::11223344:role/oss-readonly/client-002",
            },
            "Credentials": {
                "SecurityToken": "canary-issued-token",
                "Expiration": "2016-01-13T15:02:37Z",
                "AccessKeySecret": "canary-issued-secret",
                "AccessKeyId": "STS.L4aBSCSJVMuKg5U1",
            },
        })
    }

    /// The same text as that of a caller's policy for these keys.
    pub(crate) fn grant_policy_for(keys: &str) -> GrantSessionPolicy {
        GrantSessionPolicy::reading(&"sample-bucket".parse().unwrap(), keys).unwrap()
    }

    #[test]
    fn a_session_is_shortened_and_never_prolonged_and_keeps_its_policy() {
        let mut session = CallerSession(a_session());
        for (duration, expected) in [(1800, 1800), (900, 900), (3600, 900)] {
            session.shorten(MaxSessionDuration::DEFAULT.admit(duration).unwrap());
            assert_eq!(session.role_session().duration.as_secs(), expected);
        }
        let policy = policy_for("2015/01/01/*.jpg");
        assert_eq!(session.into_policy_json(), policy.as_str());
        let of_grant = InlinePolicy::Grant(grant_policy_for("2015/01/01/*.jpg"));
        assert_eq!(of_grant.into_json(), policy.as_str());
    }

    #[test]
    fn sessions_that_differ_in_anything_sts_sees_are_not_equal() {
        let session = a_session();
        assert_eq!(session, a_session());
        let of_grant = InlinePolicy::Grant(grant_policy_for("2015/01/01/*.jpg"));
        assert_eq!(of_grant.as_str(), session.policy.as_str());
        let other = [
            RoleSession {
                role: "acs:ram::11223344:role/oss-readwrite".to_owned().try_into().unwrap(),
                ..a_session()
            },
            RoleSession { name: "client-003".parse().unwrap(), ..a_session() },
            RoleSession { policy: InlinePolicy::Caller(policy_for("2015/*")), ..a_session() },
            RoleSession { policy: of_grant, ..a_session() },
            RoleSession {
                duration: MaxSessionDuration::DEFAULT.admit(900).unwrap(),
                ..a_session()
            },
            RoleSession { external_id: Some("partner".parse().unwrap()), ..a_session() },
            RoleSession { source_identity: Some("alice".parse().unwrap()), ..a_session() },
        ];
        for other in other {
            assert_ne!(session, other);
        }
    }
}
