//! The time and region of a signature, and the key that is derived for them.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::sts::Region;

pub(super) const SIGNATURE_VERSION: &str = "OSS4-HMAC-SHA256";
const PRODUCT: &str = "oss";
const TERMINATOR: &str = "aliyun_v4_request";

/// What signs: temporary credentials, or a long-lived AccessKey with an empty security token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionKey<'a> {
    pub(crate) access_key_id: &'a str,
    pub(crate) secret: &'a SecretString,
    pub(crate) security_token: &'a SecretString,
}

/// When and in which region a signature is valid.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// `yyyymmddThhmmssZ`
    date_time: String,
    region: String,
}

impl Scope {
    /// `at` is the beginning of the signature's life. OSS accepts no beginning that is far in the future.
    pub(crate) fn new(at: DateTime<Utc>, region: &Region) -> Self {
        Self { date_time: at.format("%Y%m%dT%H%M%SZ").to_string(), region: region.to_string() }
    }

    pub(super) fn date_time(&self) -> &str {
        &self.date_time
    }

    fn date(&self) -> &str {
        self.date_time.split('T').next().unwrap_or_default()
    }

    /// `<date>/<region>/oss/aliyun_v4_request`
    pub(super) fn text(&self) -> String {
        [self.date(), &self.region, PRODUCT, TERMINATOR].join("/")
    }

    pub(super) fn credential(&self, key: SessionKey<'_>) -> String {
        [key.access_key_id, &self.text()].join("/")
    }

    /// The signature of a text, in hexadecimal digits.
    pub(super) fn sign(&self, key: SessionKey<'_>, text: &str) -> String {
        hex::encode(hmac_sha256(&self.signing_key(key), text))
    }

    fn signing_key(&self, key: SessionKey<'_>) -> [u8; 32] {
        let first = SecretString::from(["aliyun_v4", key.secret.expose_secret()].concat());
        let dated = hmac_sha256(first.expose_secret().as_bytes(), self.date());
        [self.region.as_str(), PRODUCT, TERMINATOR]
            .into_iter()
            .fold(dated, |derived, part| hmac_sha256(&derived, part))
    }
}

fn hmac_sha256(key: &[u8], message: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(message).finalize().into_bytes().into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The credentials and the scope of the vectors in `tests/vectors/sign/`.
    pub(in crate::sign) struct VectorKey {
        secret: SecretString,
        security_token: SecretString,
    }

    impl VectorKey {
        pub(in crate::sign) fn new() -> Self {
            Self { secret: "testsecret".into(), security_token: "CAIStesttoken".into() }
        }

        pub(in crate::sign) fn key(&self) -> SessionKey<'_> {
            SessionKey {
                access_key_id: "STS.testid",
                secret: &self.secret,
                security_token: &self.security_token,
            }
        }

        pub(in crate::sign) fn scope() -> Scope {
            let region = Region::try_from("cn-hangzhou".to_owned()).unwrap();
            Scope::new("2023-12-03T12:12:12.9Z".parse().unwrap(), &region)
        }
    }

    #[test]
    fn the_signing_key_is_of_the_day_and_the_region() {
        let key = VectorKey::new();
        let scope = VectorKey::scope();
        assert_eq!(
            hex::encode(scope.signing_key(key.key())),
            "9b9f01e723edb4c41c9161fc07825a2679957d69ad4c464368b7a7f02b02d530"
        );
        assert_eq!(
            scope.credential(key.key()),
            "STS.testid/20231203/cn-hangzhou/oss/aliyun_v4_request"
        );
    }

    #[test]
    fn a_session_key_does_not_print_its_secrets() {
        let text = format!("{:?}", VectorKey::new().key());
        assert!(!text.contains("testsecret") && !text.contains("testtoken"), "{text}");
    }
}
