//! AssumeRole: a role session becomes parameters, and the answer becomes credentials.

use chrono::{DateTime, TimeDelta, Utc};

use super::answer::Answer;
use super::call::Call;
use super::error::Unintelligible;
use super::role_session::RoleSession;
use super::rpc::Parameters;
use super::timestamp;
use crate::domain::{AssumedRoleUser, Credentials};

impl Call for RoleSession {
    type Brings = Credentials;
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

    fn read(&self, answer: &Answer, now: DateTime<Utc>) -> Result<Credentials, Unintelligible> {
        const EXPIRATION: &str = "/Credentials/Expiration";
        let expiration = timestamp::read(answer.text(EXPIRATION)?)
            .ok_or(Unintelligible::Malformed(EXPIRATION))?;
        // Answers from before 2019 write the two in other ways.
        let arn = answer
            .text("/AssumedRoleUser/Arn")
            .or_else(|e| answer.text("/AssumedRoleUser/arn").map_err(|_| e))?;
        let id = answer
            .text("/AssumedRoleUser/AssumedRoleId")
            .or_else(|e| answer.text("/AssumedRoleUser/AssumedRoleUserId").map_err(|_| e))?;
        // STS issues for what was asked or for less. If the end is further away than that, our
        // clock is slow, by less than STS minds; the token must not seem to live longer for it.
        let issued_at = now.max(expiration - TimeDelta::seconds(self.duration.as_secs().into()));
        Ok(Credentials::new(
            answer.text("/Credentials/AccessKeyId")?.into(),
            answer.text("/Credentials/AccessKeySecret")?.into(),
            answer.text("/Credentials/SecurityToken")?.into(),
            issued_at,
            expiration,
            AssumedRoleUser { arn: arn.into(), id: id.into() },
        )?
        .of_request(answer.request_id().map(|id| id.as_str().to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::IncompleteCredentials;
    use crate::sts::role_session::tests::{a_session, an_answer};

    const NOW: &str = "2016-01-13T14:02:37Z";

    fn read(answer: &Value) -> Result<Credentials, Unintelligible> {
        let answer = Answer::parse(answer.to_string().as_bytes()).unwrap();
        a_session().read(&answer, NOW.parse().unwrap())
    }

    fn changed(place: &str, value: Value) -> Value {
        let mut answer = an_answer();
        *answer.pointer_mut(place).unwrap() = value;
        answer
    }

    #[test]
    fn a_session_becomes_exactly_its_parameters() {
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
        expected.insert("ExternalId", "partner/42".into());
        expected.insert("SourceIdentity", "alice@example.com".into());
        assert_eq!(session.parameters(), expected);
    }

    #[test]
    fn an_answer_becomes_the_credentials_it_holds() {
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

    /// It is for support and the audit: an answer that is whole but for it is used, and what is no id is not kept.
    #[test]
    fn credentials_do_without_a_request_id() {
        for odd in [Value::Null, "".into(), 7.into(), "a\nb".into(), "x".repeat(65).into()] {
            let credentials = read(&changed("/RequestId", odd)).unwrap();
            assert_eq!(credentials.sts_request_id(), None);
        }
    }

    #[test]
    fn a_shorter_life_than_asked_for_is_taken_as_it_is() {
        let short = changed("/Credentials/Expiration", "2016-01-13T14:17:37Z".into());
        let credentials = read(&short).unwrap();
        let life = credentials.expiration() - credentials.issued_at();
        assert_eq!(life, TimeDelta::minutes(15));
    }

    #[test]
    fn a_slow_clock_of_ours_does_not_lengthen_a_life() {
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
                assert_eq!(refused, Unintelligible::Lacks(place));
            }
        }
        for body in [json!({}), json!([]), Value::Null, json!({"Credentials": "canary"})] {
            assert!(matches!(read(&body), Err(Unintelligible::Lacks(_))), "{body}");
        }
    }

    #[test]
    fn an_expiration_in_another_format_is_an_error() {
        for bad in ["2016-01-13T15:02:37.000Z", "2016-01-13T15:02:37+00:00", "1452697357"] {
            let refused = read(&changed("/Credentials/Expiration", bad.into())).unwrap_err();
            assert_eq!(refused, Unintelligible::Malformed("/Credentials/Expiration"));
        }
    }

    #[test]
    fn a_token_that_is_dead_on_arrival_is_an_error() {
        for dead in [NOW, "2016-01-13T14:02:36Z", "1970-01-01T00:00:00Z"] {
            let refused = read(&changed("/Credentials/Expiration", dead.into())).unwrap_err();
            assert_eq!(refused, Unintelligible::Credentials(IncompleteCredentials::Expired));
        }
    }

    #[test]
    fn names_from_before_2019_and_unknown_fields_are_understood() {
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
