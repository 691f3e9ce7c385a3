//! What the service signs its calls with: a long-lived AccessKey, or temporary credentials with a security token.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::clock::Moment;
use super::{AccessKey, AccessKeyId, Invalid};

/// An AccessKey, with the security token and the expiration that temporary ones have.
#[derive(Clone, Debug)]
pub struct SigningCredentials {
    key: AccessKey,
    security_token: Option<SecretString>,
    end: Option<End>,
}

/// The end of temporary credentials.
#[derive(Clone, Copy, Debug)]
struct End {
    /// As the source says.
    expiration: DateTime<Utc>,
    /// When they arrived, and how long they were valid then.
    obtained: Moment,
    life: Duration,
}

/// Why credentials of a source cannot sign.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum UnusableCredentials {
    /// The id or the secret is not valid.
    #[error(transparent)]
    Key(#[from] Invalid),
    /// Temporary credentials need their security token.
    #[error("`SecurityToken` is empty")]
    NoToken,
    /// They had expired on arrival.
    #[error("`Expiration` is not in the future")]
    Expired,
}

impl SigningCredentials {
    /// A key of the configuration. It has a security token if it is one of STS, and no known expiration.
    pub fn of_key(key: AccessKey, security_token: Option<SecretString>) -> Self {
        Self { key, security_token, end: None }
    }

    /// Temporary credentials that arrived at `obtained`, which was `now` by the clock of their issuer.
    pub fn temporary(
        id: &str,
        secret: SecretString,
        security_token: SecretString,
        expiration: DateTime<Utc>,
        now: DateTime<Utc>,
        obtained: Moment,
    ) -> Result<Self, UnusableCredentials> {
        let key = AccessKey::new(id, secret)?;
        if security_token.expose_secret().is_empty() {
            return Err(UnusableCredentials::NoToken);
        }
        let life = (expiration - now).to_std().unwrap_or_default();
        if life.is_zero() {
            return Err(UnusableCredentials::Expired);
        }
        let end = End { expiration, obtained, life };
        Ok(Self { key, security_token: Some(security_token), end: Some(end) })
    }

    /// Identifies the credentials, also in logs.
    pub fn id(&self) -> &AccessKeyId {
        &self.key.id
    }

    /// Signs requests.
    pub fn secret(&self) -> &SecretString {
        &self.key.secret
    }

    /// Accompanies each request that temporary credentials sign.
    pub fn security_token(&self) -> Option<&SecretString> {
        self.security_token.as_ref()
    }

    /// When temporary credentials end, as their source says.
    pub fn expiration(&self) -> Option<DateTime<Utc>> {
        self.end.map(|end| end.expiration)
    }

    /// How long temporary credentials are still valid, by the clock that shows less.
    pub fn left(&self, now: Moment) -> Option<Duration> {
        self.end.map(|end| end.life.saturating_sub(now.since(end.obtained)))
    }
}

impl PartialEq for SigningCredentials {
    fn eq(&self, other: &Self) -> bool {
        let token = |credentials: &Self| {
            credentials.security_token.clone().unwrap_or_else(|| SecretString::from(""))
        };
        let [ours, theirs] = [token(self), token(other)];
        let same_token = ours.expose_secret().as_bytes().ct_eq(theirs.expose_secret().as_bytes());
        self.key == other.key && self.expiration() == other.expiration() && bool::from(same_token)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn temporary(
        id: &str,
        secret: &str,
        token: &str,
        end: &str,
    ) -> Result<SigningCredentials, UnusableCredentials> {
        let now = "2016-01-13T14:02:37Z".parse().unwrap();
        let end = end.parse().unwrap();
        SigningCredentials::temporary(id, secret.into(), token.into(), end, now, Moment::at(now))
    }

    #[test]
    fn incomplete_and_expired_credentials_do_not_sign() {
        let end = "2016-01-13T15:02:37Z";
        assert!(temporary("STS.1", "secret", "token", end).is_ok());
        let refusals = [
            temporary("", "secret", "token", end),
            temporary("STS.1", "", "token", end),
            temporary("STS.1", "secret", "", end),
            temporary("STS.1", "secret", "token", "2016-01-13T14:02:37Z"),
        ]
        .map(|refused| refused.unwrap_err().to_string());
        let expected = [
            "an AccessKey id is 1 to 24 characters of A-Z, a-z, 0-9, `.`, `_` and `-`, or up to 128 if it begins with `LTAI`, \
             `STS.` or `TMP.`; a longer text may be a secret: check that id and secret are not exchanged",
            "an AccessKey's secret is not empty",
            "`SecurityToken` is empty",
            "`Expiration` is not in the future",
        ];
        assert_eq!(refusals, expected);
    }

    /// The machine's clock may be wrong by an hour: what counts is the life that the issuer's clock gives.
    #[test]
    fn the_rest_of_the_life_is_counted_from_the_arrival() {
        let issuers = "2016-01-13T14:02:37Z".parse().unwrap();
        let ours = Moment::at("2016-01-13T15:02:37Z".parse().unwrap());
        let end = "2016-01-13T14:32:37Z".parse().unwrap();
        let credentials =
            SigningCredentials::temporary("STS.1", "s".into(), "t".into(), end, issuers, ours)
                .unwrap();
        let left = |secs| {
            let by_wall = ours.moved(TimeDelta::seconds(secs), Duration::ZERO);
            credentials.left(by_wall).unwrap().as_secs()
        };
        assert_eq!([left(0), left(600), left(1800), left(9999)], [1800, 1200, 0, 0]);
    }

    #[test]
    fn credentials_that_differ_in_any_part_are_different() {
        let end = "2016-01-13T15:02:37Z";
        let one = temporary("STS.1", "secret", "token", end).unwrap();
        assert_eq!(one, temporary("STS.1", "secret", "token", end).unwrap());
        let others = [
            temporary("STS.2", "secret", "token", end),
            temporary("STS.1", "other", "token", end),
            temporary("STS.1", "secret", "other", end),
            temporary("STS.1", "secret", "token", "2016-01-13T16:02:37Z"),
        ];
        assert!(others.into_iter().all(|other| other.unwrap() != one));
    }
}
