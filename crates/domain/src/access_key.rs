//! The long-lived AccessKey that AppServer signs with.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::{Invalid, text_type};

/// The public half of an AccessKey, safe to log.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct AccessKeyId(String);

text_type!(
    AccessKeyId,
    |s| (1..=128).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
    "an AccessKey id is 1 to 128 characters of A-Z, a-z, 0-9, `.`, `_` and `-`"
);

/// An AccessKey of a RAM user, which signs every call to STS.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Identifies the key, also in logs.
    pub id: AccessKeyId,
    /// Signs requests; never displayed.
    pub secret: SecretString,
}

impl AccessKey {
    /// Parses a key from text with optional white space around it, as files have.
    pub fn new(id: &str, secret: SecretString) -> Result<Self, Invalid> {
        let id = id.trim().parse()?;
        match secret.expose_secret().trim() {
            "" => Err(Invalid("an AccessKey's secret is not empty")),
            trimmed => Ok(Self { id, secret: trimmed.into() }),
        }
    }
}

impl PartialEq for AccessKey {
    fn eq(&self, other: &Self) -> bool {
        let [ours, theirs] = [self, other].map(|key| key.secret.expose_secret().as_bytes());
        self.id == other.id && bool::from(ours.ct_eq(theirs))
    }
}
