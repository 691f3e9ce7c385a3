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

/// An AccessKey of a RAM user: what every call to STS is signed with.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// Names the key, also in logs.
    pub id: AccessKeyId,
    /// Signs, and is shown to nobody.
    pub secret: SecretString,
}

impl AccessKey {
    /// A key from text that may have white space around it, as files do.
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
