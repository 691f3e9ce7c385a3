//! AssumeRole: converts a role session into parameters, and the response into credentials of exactly that session.

use chrono::{DateTime, TimeDelta, Utc};

use super::call::Call;
use super::error::InvalidResponse;
use super::response_body::ResponseBody;
use super::role_session::RoleSession;
use super::rpc::Parameters;
use super::timestamp;
use appserver_domain::{AssumedRoleUser, Credentials};

/// The clock difference that STS accepts. Beyond it STS refuses requests, and the client adjusts its clock.
const SKEW: TimeDelta = TimeDelta::minutes(15);

impl Call for RoleSession {
    type Output = Credentials;
    const ACTION: &'static str = "AssumeRole";

    fn parameters(&self) -> Parameters<'_> {
        let mut parameters = Parameters::from([
            ("DurationSeconds", self.duration.as_secs().to_string().into()),
            ("Policy", self.policy.as_str().into()),
            ("RoleArn", self.role.as_str().into()),
            ("RoleSessionName", self.name.as_str().into()),
        ]);
        let external_id = self.external_id.as_ref().map(|id| ("ExternalId", id.as_str().into()));
        let source_identity =
            self.source_identity.as_ref().map(|id| ("SourceIdentity", id.as_str().into()));
        parameters.extend(external_id.into_iter().chain(source_identity));
        parameters
    }

    fn read(
        &self,
        answer: &ResponseBody<'_>,
        now: DateTime<Utc>,
    ) -> Result<Credentials, InvalidResponse> {
        const EXPIRATION: &str = "/Credentials/Expiration";
        const KEY_ID: &str = "/Credentials/AccessKeyId";
        let expiration = timestamp::read(answer.text(EXPIRATION)?)
            .ok_or(InvalidResponse::Malformed(EXPIRATION))?;
        // Responses from before 2019 spell these two fields differently.
        let arn = answer
            .text("/AssumedRoleUser/Arn")
            .or_else(|e| answer.text("/AssumedRoleUser/arn").map_err(|_| e))?;
        let id = answer
            .text("/AssumedRoleUser/AssumedRoleId")
            .or_else(|e| answer.text("/AssumedRoleUser/AssumedRoleUserId").map_err(|_| e))?;
        self.check_session(answer, arn, id)?;
        // STS issues for the requested duration or less. If the expiration is later than that, our clock is slow by
        // less than STS accepts; the token must not seem to live longer because of it.
        let beyond = expiration - now - TimeDelta::seconds(self.duration.as_secs().into());
        if beyond > SKEW {
            return Err(InvalidResponse::NotAsked(EXPIRATION));
        }
        let issued_at = now + beyond.max(TimeDelta::zero());
        let key_id = answer.text(KEY_ID)?;
        let is_temporary = key_id.strip_prefix("STS.").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic())
        });
        if !is_temporary {
            return Err(InvalidResponse::Malformed(KEY_ID));
        }
        Ok(Credentials::new(
            key_id.into(),
            answer.text("/Credentials/AccessKeySecret")?.into(),
            answer.text("/Credentials/SecurityToken")?.into(),
            issued_at,
            expiration,
            AssumedRoleUser { arn: arn.into(), id: id.into() },
        )?
        .of_request(answer.request_id().map(|id| id.as_str().to_owned())))
    }
}

impl RoleSession {
    /// Checks that the response is for the requested session, in all fields that identify it.
    fn check_session(
        &self,
        answer: &ResponseBody<'_>,
        arn: &str,
        id: &str,
    ) -> Result<(), InvalidResponse> {
        const SOURCE: &str = "/SourceIdentity";
        let name = self.name.as_str();
        // RAM writes role names in ARNs in lower case. Session names keep their case: `Alice` and `alice` may be two
        // users.
        let is_our_arn = arn.rsplit_once('/').is_some_and(|(role, session)| {
            role.eq_ignore_ascii_case(self.role.as_str()) && session == name
        });
        if !is_our_arn {
            return Err(InvalidResponse::NotAsked("/AssumedRoleUser/Arn"));
        }
        // The role's own id is not known here.
        if id.split_once(':').is_none_or(|(_, session)| session != name) {
            return Err(InvalidResponse::NotAsked("/AssumedRoleUser/AssumedRoleId"));
        }
        // If none was requested, it may come from AppServer's own session.
        match (&self.source_identity, answer.text(SOURCE)) {
            (Some(asked), Ok(told)) if asked.as_str() != told => {
                Err(InvalidResponse::NotAsked(SOURCE))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::*;
    use crate::sts::role_session::tests::{a_session, an_answer};
    use appserver_domain::IncompleteCredentials;

    const NOW: &str = "2016-01-13T14:02:37Z";

    fn read(answer: &Value) -> Result<Credentials, InvalidResponse> {
        let body = answer.to_string();
        let answer = ResponseBody::parse(body.as_bytes()).unwrap();
        a_session().read(&answer, NOW.parse().unwrap())
    }

    fn changed(place: &str, value: Value) -> Value {
        let mut answer = an_answer();
        *answer.pointer_mut(place).unwrap() = value;
        answer
    }

    #[test]
    fn a_session_is_converted_to_exactly_its_parameters() {
        let mut session = a_session();
        let mut expected = Parameters::from([
            ("DurationSeconds", "3600".into()),
            ("Policy", session.policy.as_str().to_owned().into()),
            ("RoleArn", "acs:ram::11223344:role/oss-readonly".into()),
            ("RoleSessionName", "client-002".into()),
        ]);
        assert_eq!(session.parameters(), expected);

        session.external_id = Some("partner/42".parse().unwrap());
        session.source_identity = Some("alice@example.com".parse().unwrap());
        expected.push(("ExternalId", "partner/42".into()));
        expected.push(("SourceIdentity", "alice@example.com".into()));
        assert_eq!(session.parameters(), expected);
    }

    #[test]
    fn a_response_is_converted_to_credentials() {
        let credentials = read(&an_answer()).unwrap();
        let expected = AssumedRoleUser {
            arn: "acs:ram::11223344:role/oss-readonly/client-002".into(),
            id: "391578752573972854:client-002".into(),
        };
        assert_eq!(credentials.access_key_id(), "STS.L4aBSCSJVMuKg5U1");
        assert_eq!(credentials.access_key_secret().expose_secret(), "canary-issued-secret");
        assert_eq!(credentials.security_token().expose_secret(), "canary-issued-token");
        assert_eq!(credentials.assumed_role_user(), &expected);
        assert_eq!(credentials.sts_request_id(), Some("6894B13B-6D71-4EF5-88FA-F32781734A7F"));
        assert_eq!(timestamp::written(credentials.issued_at()), NOW);
        assert_eq!(timestamp::written(credentials.expiration()), "2016-01-13T15:02:37Z");
    }

    /// The request id is only for support and the audit: a response without a valid one is still used.
    #[test]
    fn credentials_may_lack_a_request_id() {
        for odd in [Value::Null, "".into(), 7.into(), "a\nb".into(), "x".repeat(65).into()] {
            let credentials = read(&changed("/RequestId", odd)).unwrap();
            assert_eq!(credentials.sts_request_id(), None);
        }
    }

    #[test]
    fn a_shorter_lifetime_than_requested_is_accepted() {
        let short = changed("/Credentials/Expiration", "2016-01-13T14:17:37Z".into());
        let credentials = read(&short).unwrap();
        let life = credentials.expiration() - credentials.issued_at();
        assert_eq!(life, TimeDelta::minutes(15));
    }

    #[test]
    fn a_slow_local_clock_does_not_extend_a_lifetime() {
        let ahead = changed("/Credentials/Expiration", "2016-01-13T15:12:37Z".into());
        let credentials = read(&ahead).unwrap();
        assert_eq!(timestamp::written(credentials.issued_at()), "2016-01-13T14:12:37Z");
    }

    #[test]
    fn a_field_that_is_missing_empty_or_not_text_is_an_error() {
        let places = [
            "/Credentials/AccessKeyId",
            "/Credentials/AccessKeySecret",
            "/Credentials/SecurityToken",
            "/Credentials/Expiration",
            "/AssumedRoleUser/Arn",
            "/AssumedRoleUser/AssumedRoleId",
        ];
        for place in places {
            for bad in
                [Value::Null, "".into(), 7.into(), json!({"canary": true}), json!(["canary"])]
            {
                let refused = read(&changed(place, bad)).unwrap_err();
                assert_eq!(refused, InvalidResponse::Lacks(place));
            }
        }
        for body in [json!({}), json!([]), Value::Null, json!({"Credentials": "canary"})] {
            assert!(matches!(read(&body), Err(InvalidResponse::Lacks(_))), "{body}");
        }
    }

    #[test]
    fn an_expiration_in_another_format_is_an_error() {
        for bad in ["2016-01-13T15:02:37.000Z", "2016-01-13T15:02:37+00:00", "1452697357"] {
            let refused = read(&changed("/Credentials/Expiration", bad.into())).unwrap_err();
            assert_eq!(refused, InvalidResponse::Malformed("/Credentials/Expiration"));
        }
    }

    #[test]
    fn an_expired_token_in_a_response_is_an_error() {
        for dead in [NOW, "2016-01-13T14:02:36Z", "1970-01-01T00:00:00Z"] {
            let refused = read(&changed("/Credentials/Expiration", dead.into())).unwrap_err();
            assert_eq!(refused, InvalidResponse::Credentials(IncompleteCredentials::Expired));
        }
    }

    /// It is rejected before anything is computed from it.
    #[test]
    fn an_expiration_beyond_the_requested_duration_is_an_error() {
        for late in ["2016-01-13T15:17:38Z", "2016-01-14T02:02:37Z", "9999-12-31T23:59:59Z"] {
            let refused = read(&changed("/Credentials/Expiration", late.into())).unwrap_err();
            assert_eq!(refused, InvalidResponse::NotAsked("/Credentials/Expiration"), "{late}");
        }
        assert!(read(&changed("/Credentials/Expiration", "2016-01-13T15:17:37Z".into())).is_ok());
    }

    #[test]
    fn credentials_of_another_session_than_the_requested_one_are_an_error() {
        const ARN: &str = "/AssumedRoleUser/Arn";
        const ID: &str = "/AssumedRoleUser/AssumedRoleId";
        for (place, other) in [
            (ARN, "acs:ram::11223344:role/oss-readwrite/client-002"),
            (ARN, "acs:ram::11223344:role/oss-readonly/client-003"),
            (ARN, "acs:ram::11223344:role/oss-readonly/Client-002"),
            (ARN, "acs:ram::55667788:role/oss-readonly/client-002"),
            (ARN, "acs:ram::11223344:role/oss-readonly"),
            (ARN, "acs:ram::11223344:role/oss-readonly/x/client-002"),
            (ARN, "acs:ram::11223344:user/client-002"),
            (ARN, "client-002"),
            (ID, "391578752573972854:client-003"),
            (ID, "391578752573972854"),
            (ID, "client-002"),
        ] {
            let refused = read(&changed(place, other.into())).unwrap_err();
            assert_eq!(refused, InvalidResponse::NotAsked(place), "{other}");
        }
    }

    /// RAM writes `role/adminrole` for the role `AdminRole`.
    #[test]
    fn a_role_name_is_compared_without_case() {
        let role = "acs:ram::11223344:role/OSS-ReadOnly".to_owned().try_into().unwrap();
        let session = RoleSession { role, ..a_session() };
        let body = an_answer().to_string();
        let answer = ResponseBody::parse(body.as_bytes()).unwrap();
        assert!(session.read(&answer, NOW.parse().unwrap()).is_ok());
    }

    #[test]
    fn a_source_identity_must_be_the_requested_one() {
        let asked = RoleSession { source_identity: Some("alice".parse().unwrap()), ..a_session() };
        let read = |session: &RoleSession, told: Value| {
            let mut answer = an_answer();
            answer["SourceIdentity"] = told;
            let body = answer.to_string();
            let answer = ResponseBody::parse(body.as_bytes()).unwrap();
            session.read(&answer, NOW.parse().unwrap()).map(|_| ())
        };
        assert_eq!(read(&asked, "alice".into()), Ok(()));
        // Endpoints from before 2025 do not return it.
        assert_eq!(read(&asked, Value::Null), Ok(()));
        assert_eq!(read(&asked, "bob".into()), Err(InvalidResponse::NotAsked("/SourceIdentity")));
        assert_eq!(read(&a_session(), "appserver".into()), Ok(()), "it is AppServer's own");
    }

    #[test]
    fn an_access_key_that_is_not_temporary_is_an_error() {
        for other in ["LTAI5tCanary", "STS.", "sts.L4aBSCSJVMuKg5U1", "STS.a b", "STS.a\nb"] {
            let refused = read(&changed("/Credentials/AccessKeyId", other.into())).unwrap_err();
            assert_eq!(refused, InvalidResponse::Malformed("/Credentials/AccessKeyId"), "{other}");
        }
    }

    #[test]
    fn field_names_from_before_2019_and_unknown_fields_are_accepted() {
        let mut answer = an_answer();
        answer["AssumedRoleUser"] = json!({
            "arn": "acs:ram::11223344:role/oss-readonly/client-002",
            "AssumedRoleUserId": "391578752573972854:client-002",
            "Novelty": 1,
        });
        answer["Novelty"] = json!({"a": [1, 2]});
        let credentials = read(&answer).unwrap();
        assert_eq!(
            credentials.assumed_role_user(),
            read(&an_answer()).unwrap().assumed_role_user()
        );
    }
}
