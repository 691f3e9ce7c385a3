//! The parameters of an AssumeRole call.

use appserver_domain::{ExternalId, RoleArn, SessionDuration, SessionName, SourceIdentity};
use appserver_policy::SessionPolicy;

/// Exactly what STS sees of a request: equal sessions may share one token, and no others may.
///
/// The policy is not optional.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct RoleSession {
    pub(crate) role: RoleArn,
    pub(crate) name: SessionName,
    pub(crate) policy: SessionPolicy,
    pub(crate) duration: SessionDuration,
    pub(crate) external_id: Option<ExternalId>,
    pub(crate) source_identity: Option<SourceIdentity>,
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
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":["oss:GetObject"],"Resource":["acs:oss:*:*:sample-bucket/{keys}"]}}]}}"#
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
            policy: policy_for("2015/01/01/*.jpg"),
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

    #[test]
    fn sessions_that_differ_in_anything_sts_sees_are_not_equal() {
        let session = a_session();
        assert_eq!(session, a_session());
        let other = [
            RoleSession {
                role: "acs:ram::11223344:role/oss-readwrite".to_owned().try_into().unwrap(),
                ..a_session()
            },
            RoleSession { name: "client-003".parse().unwrap(), ..a_session() },
            RoleSession { policy: policy_for("2015/*"), ..a_session() },
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
