//! Credentials that STS issues.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

/// Temporary credentials as STS returned them: complete, and not expired on arrival.
#[derive(Clone, Debug)]
pub struct Credentials {
    access_key_id: String,
    access_key_secret: SecretString,
    security_token: SecretString,
    issued_at: DateTime<Utc>,
    expiration: DateTime<Utc>,
    assumed_role_user: AssumedRoleUser,
    sts_request_id: Option<String>,
}

/// The role session of the credentials.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AssumedRoleUser {
    /// Such as `acs:ram::11223344:role/oss-readonly/client-002`.
    pub arn: String,
    /// Such as `391578752573972854:client-002`.
    pub id: String,
}

/// Why a response of STS has no valid credentials. Incomplete or expired ones are never handed out.
#[derive(Debug, thiserror::Error, Eq, PartialEq)]
pub enum IncompleteCredentials {
    /// A part is empty.
    #[error("`{0}` is empty")]
    Empty(&'static str),
    /// The token had expired on arrival.
    #[error("`Expiration` is not in the future")]
    Expired,
}

impl Credentials {
    /// Credentials from a response at `issued_at` by STS's clock.
    pub fn new(
        access_key_id: String,
        access_key_secret: SecretString,
        security_token: SecretString,
        issued_at: DateTime<Utc>,
        expiration: DateTime<Utc>,
        assumed_role_user: AssumedRoleUser,
    ) -> Result<Self, IncompleteCredentials> {
        let parts = [
            ("AccessKeyId", access_key_id.as_str()),
            ("AccessKeySecret", access_key_secret.expose_secret()),
            ("SecurityToken", security_token.expose_secret()),
        ];
        if let Some((name, _)) = parts.iter().find(|(_, text)| text.is_empty()) {
            return Err(IncompleteCredentials::Empty(name));
        }
        if expiration <= issued_at {
            return Err(IncompleteCredentials::Expired);
        }
        Ok(Self {
            access_key_id,
            access_key_secret,
            security_token,
            issued_at,
            expiration,
            assumed_role_user,
            sts_request_id: None,
        })
    }

    /// The same credentials with the `RequestId` of the STS response.
    pub fn of_request(self, sts_request_id: Option<String>) -> Self {
        Self { sts_request_id, ..self }
    }

    /// Identifies the credentials, also in logs and in ActionTrail.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Signs requests to OSS.
    pub fn access_key_secret(&self) -> &SecretString {
        &self.access_key_secret
    }

    /// Accompanies each signed request.
    pub fn security_token(&self) -> &SecretString {
        &self.security_token
    }

    /// When STS issued them, by STS's clock.
    pub fn issued_at(&self) -> DateTime<Utc> {
        self.issued_at
    }

    /// The expiration that STS returned; never computed from the requested duration.
    pub fn expiration(&self) -> DateTime<Utc> {
        self.expiration
    }

    /// The role session of the credentials.
    pub fn assumed_role_user(&self) -> &AssumedRoleUser {
        &self.assumed_role_user
    }

    /// The `RequestId` of the STS response, by which Alibaba Cloud's support finds the call.
    pub fn sts_request_id(&self) -> Option<&str> {
        self.sts_request_id.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(
        secret: &str,
        token: &str,
        expiration: &str,
    ) -> Result<Credentials, IncompleteCredentials> {
        Credentials::new(
            "STS.1".into(),
            secret.into(),
            token.into(),
            "2016-01-13T14:02:37Z".parse().unwrap(),
            expiration.parse().unwrap(),
            AssumedRoleUser { arn: String::new(), id: String::new() },
        )
    }

    #[test]
    fn empty_or_expired_credentials_are_refused() {
        let refusals = [
            credentials("", "token", "2016-01-13T15:02:37Z"),
            credentials("secret", "", "2016-01-13T15:02:37Z"),
            credentials("secret", "token", "2016-01-13T14:02:37Z"),
        ]
        .map(Result::unwrap_err);
        let expected = [
            IncompleteCredentials::Empty("AccessKeySecret"),
            IncompleteCredentials::Empty("SecurityToken"),
            IncompleteCredentials::Expired,
        ];
        assert_eq!(refusals, expected);
    }

    #[test]
    fn credentials_do_not_print_their_secrets() {
        let text =
            format!("{:?}", credentials("canary-secret", "canary-token", "2016-01-13T15:02:37Z"));
        assert!(!text.contains("canary"), "{text}");
    }
}
