//! AssumeRoleWithOIDC: the credentials of a role for an OIDC token. Nothing signs the call: the token is the proof.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::call::Call;
use super::error::InvalidResponse;
use super::response_body::ResponseBody;
use super::rpc::Parameters;
use super::timestamp;
use appserver_domain::clock::Moment;
use appserver_domain::{OidcProviderArn, RoleArn, SigningCredentials};

/// The name of the session in ActionTrail.
const SESSION_NAME: &str = "appserver";
/// The shortest `MaxSessionDuration` that a role has, so that every role allows it.
const DURATION_SECS: &str = "3600";

/// A role, and the token that proves who assumes it.
pub(crate) struct AssumeRoleWithOidc<'a> {
    pub(crate) role: &'a RoleArn,
    pub(crate) provider: &'a OidcProviderArn,
    pub(crate) token: &'a SecretString,
    /// When it is asked: the credentials are older when they arrive.
    pub(crate) asked: Moment,
}

impl fmt::Debug for AssumeRoleWithOidc<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssumeRoleWithOidc({})", self.role)
    }
}

impl Call for AssumeRoleWithOidc<'_> {
    type Output = SigningCredentials;
    const ACTION: &'static str = "AssumeRoleWithOIDC";

    fn parameters(&self) -> Parameters<'_> {
        Parameters::from([
            ("DurationSeconds", DURATION_SECS.into()),
            ("OIDCProviderArn", self.provider.as_str().into()),
            ("OIDCToken", self.token.expose_secret().into()),
            ("RoleArn", self.role.as_str().into()),
            ("RoleSessionName", SESSION_NAME.into()),
        ])
    }

    fn read(
        &self,
        answer: &ResponseBody<'_>,
        now: DateTime<Utc>,
    ) -> Result<SigningCredentials, InvalidResponse> {
        const EXPIRATION: &str = "/Credentials/Expiration";
        const ARN: &str = "/AssumedRoleUser/Arn";
        let expiration = timestamp::read(answer.text(EXPIRATION)?)
            .ok_or(InvalidResponse::Malformed(EXPIRATION))?;
        // RAM writes role names in ARNs in lower case.
        let is_our_arn = answer.text(ARN)?.rsplit_once('/').is_some_and(|(role, session)| {
            role.eq_ignore_ascii_case(self.role.as_str()) && session == SESSION_NAME
        });
        if !is_our_arn {
            return Err(InvalidResponse::NotAsked(ARN));
        }
        Ok(SigningCredentials::temporary(
            answer.text("/Credentials/AccessKeyId")?,
            answer.text("/Credentials/AccessKeySecret")?.into(),
            answer.text("/Credentials/SecurityToken")?.into(),
            expiration,
            now,
            self.asked,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2016-01-13T14:02:37Z";

    fn answer() -> Value {
        json!({
            "RequestId": "1-A",
            "AssumedRoleUser": {
                "AssumedRoleId": "391578752573972854:appserver",
                "Arn": "acs:ram::11223344:role/appserver/appserver",
            },
            "Credentials": {
                "AccessKeyId": "STS.1",
                "AccessKeySecret": "canary",
                "SecurityToken": "canary",
                "Expiration": "2016-01-13T15:02:37Z",
            },
        })
    }

    fn read(answer: &Value) -> Result<SigningCredentials, InvalidResponse> {
        let body = answer.to_string();
        let answer = ResponseBody::parse(body.as_bytes()).unwrap();
        let now = NOW.parse().unwrap();
        let call = AssumeRoleWithOidc {
            role: &"acs:ram::11223344:role/AppServer".to_owned().try_into().unwrap(),
            provider: &"acs:ram::11223344:oidc-provider/ack".parse().unwrap(),
            token: &"token".into(),
            asked: Moment::at(now),
        };
        call.read(&answer, now)
    }

    #[test]
    fn the_answer_is_of_the_role_that_was_asked_for() {
        let read_one = read(&answer()).unwrap();
        let now = Moment::at(NOW.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(600));
        assert_eq!(read_one.left(now).unwrap().as_secs(), 3000);
        let mut other = answer();
        other["AssumedRoleUser"]["Arn"] = "acs:ram::11223344:role/other/appserver".into();
        assert_eq!(read(&other), Err(InvalidResponse::NotAsked("/AssumedRoleUser/Arn")));
    }

    #[test]
    fn an_answer_without_usable_credentials_is_refused() {
        for (name, value, problem) in [
            ("Expiration", json!(null), "there is no text at `/Credentials/Expiration`"),
            (
                "Expiration",
                json!("tomorrow"),
                "the text at `/Credentials/Expiration` is not of its kind",
            ),
            ("Expiration", json!("2016-01-13T14:02:37Z"), "`Expiration` is not in the future"),
            ("SecurityToken", json!(""), "there is no text at `/Credentials/SecurityToken`"),
            ("AccessKeySecret", json!(7), "there is no text at `/Credentials/AccessKeySecret`"),
        ] {
            let mut answer = answer();
            answer["Credentials"][name] = value;
            assert_eq!(read(&answer).unwrap_err().to_string(), problem);
        }
    }
}
