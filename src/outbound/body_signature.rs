//! The signature of a body that the service sends to one of the operator's own servers, which recognises it by that.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::header::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// `t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.body" in hexadecimal digits>`.
pub(crate) const BODY_SIGNATURE: HeaderName = HeaderName::from_static("x-appserver-signature");

/// The value of the header that signs a body.
pub(crate) fn body_signature(secret: &SecretString, now: DateTime<Utc>, body: &[u8]) -> String {
    let time = now.timestamp();
    let mut hash = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    hash.update(format!("{time}.").as_bytes());
    hash.update(body);
    format!("t={time},v1={}", hex::encode(hash.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_with_its_time() {
        let now = DateTime::from_timestamp(1_452_693_757, 0).unwrap();
        // printf '1452693757.{"a":1}' | openssl dgst -sha256 -hmac canary-secret
        let signed = body_signature(&"canary-secret".into(), now, br#"{"a":1}"#);
        assert_eq!(
            signed,
            "t=1452693757,v1=02df17f8371b35966caedcf8360be09add4b6fd01c4c1819a4bedffb8fae2b1f"
        );
    }
}
