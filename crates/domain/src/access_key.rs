//! The long-lived AccessKey that AppServer signs with.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::{Invalid, text_type};

/// The public half of an AccessKey, safe to log.
///
/// A secret in its place would be logged, so a text that can be one is refused: RAM's secrets have 30 characters and those of
/// STS more. RAM's ids have 24 at most, and the longer ones of STS begin with `STS.`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct AccessKeyId(String);

text_type!(
    AccessKeyId,
    |s| (1..=128).contains(&s.len())
        && (s.len() <= LONGEST_OF_RAM || PREFIXES.iter().any(|prefix| s.starts_with(prefix)))
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
    "an AccessKey id is 1 to 24 characters of A-Z, a-z, 0-9, `.`, `_` and `-`, or up to 128 if it begins with `LTAI`, `STS.` \
     or `TMP.`; a longer text may be a secret: check that id and secret are not exchanged"
);

/// The longest id that RAM gives.
const LONGEST_OF_RAM: usize = 24;
/// How today's ids begin: of RAM users, of STS, of the console's sessions.
const PREFIXES: [&str; 3] = ["LTAI", "STS.", "TMP."];

/// Whether a secret is an id by its form. A random secret may begin with `LTAI`; it has 30 characters and no `.`.
fn is_an_id(secret: &str) -> bool {
    let [of_ram, temporary @ ..] = PREFIXES;
    let is_of_ram = secret.starts_with(of_ram) && secret.len() <= LONGEST_OF_RAM;
    is_of_ram || temporary.iter().any(|prefix| secret.starts_with(prefix))
}

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
            secret if is_an_id(secret) => Err(Invalid(
                "the AccessKey's secret has the form of an id: check that id and secret are not exchanged",
            )),
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c8Hq2vLw0ZxkT5rYb7NdEo3fUaJm9S";

    #[test]
    fn a_secret_is_no_id() {
        let of_sts = "8YyzkFUWx3PbJc2LqRt9vHnD5sGm7KaEi4BoTfZ1CwQp";
        for id in ["LTAI4FnS0a1b2c3d", "LTAI5tQnS0a1b2c3d4e5f6g7", "STS.NUgYrLnoC37mZZCNnAbez"] {
            assert!(id.parse::<AccessKeyId>().is_ok(), "{id}");
            let swapped = AccessKey::new(SECRET, id.into()).unwrap_err().to_string();
            assert!(swapped.contains("exchanged"), "{swapped}");
        }
        for id in ["testid", "jdeadfslkdfjasld", "TMP.3KdP"] {
            assert!(id.parse::<AccessKeyId>().is_ok(), "{id}");
        }
        for secret in [SECRET, of_sts] {
            let refused = secret.parse::<AccessKeyId>().unwrap_err().to_string();
            assert!(refused.contains("exchanged") && !refused.contains(secret), "{refused}");
        }
    }

    /// An id in place of the secret, beside an id that is one.
    #[test]
    fn an_id_is_no_secret() {
        for id in ["LTAI5tQnS0a1b2c3d4e5f6g7", "STS.NUgYrLnoC37mZZCNnAbez", "TMP.3KdP\n"] {
            let refused = AccessKey::new("testid", id.into()).unwrap_err().to_string();
            assert!(refused.contains("exchanged"), "{refused}");
        }
        let rare = "LTAI2vLw0ZxkT5rYb7NdEo3fUaJm9S";
        assert!(AccessKey::new("testid", rare.into()).is_ok());
    }
}
