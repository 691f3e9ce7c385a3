//! Verifies signatures, with the emulator's own code as in the emulated STS.

#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_signature;
mod v1;
mod v4;

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha1::Sha1;
use sha2::Sha256;

use super::error::{Denied, Mismatch, OssError};
use super::head::Head;

pub(crate) use v1::SIGNED_SUBRESOURCES;
pub(crate) use v4::{Scope, SigningKey, credential_of};

/// The accepted difference of a request's time from now, either way.
const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// The signature of a request, parsed but not verified.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) access_key_id: String,
    pub(crate) token: Option<String>,
    signature: String,
    scheme: Scheme,
}

#[derive(Debug)]
enum Scheme {
    V1(v1::Time),
    V4(v4::Terms),
}

/// A string to sign and, in V4, its canonical request.
struct Text {
    string_to_sign: String,
    canonical_request: Option<String>,
}

impl Signed {
    /// Reads the signature; `None` if the request is unsigned.
    pub(crate) fn read(head: &Head) -> Result<Option<Self>, OssError> {
        let in_header = head.header("authorization");
        let in_query = v1::is_in_query(&head.query) || v4::is_in_query(&head.query);
        match in_header {
            Some(_) if in_query => Err(OssError::InvalidArgument(
                "Only one auth mechanism allowed; only the Authorization header or the query string may be signed.",
            )),
            _ if head.query.has("security-token") && head.header(TOKEN_HEADER).is_some() => {
                Err(OssError::InvalidArgument(
                    "The security token is given both in the header and in the query string.",
                ))
            }
            Some(authorization) => match authorization.split_once(' ') {
                Some(("OSS", rest)) => v1::from_header(head, rest).map(Some),
                Some(("OSS4-HMAC-SHA256", rest)) => v4::from_header(head, rest).map(Some),
                Some(_) | None => Err(OssError::InvalidArgument("Unsupported authorization type.")),
            },
            None if v4::is_in_query(&head.query) => v4::from_query(head).map(Some),
            None if v1::is_in_query(&head.query) => v1::from_query(head).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn is_v1(&self) -> bool {
        matches!(self.scheme, Scheme::V1(_))
    }

    /// Checks the signature's time. The expiry of a URL is checked first.
    pub(crate) fn check_time(&self, now: DateTime<Utc>) -> Result<(), OssError> {
        let (signed_at, expires, expired) = match &self.scheme {
            Scheme::V1(v1::Time::Date { at, .. }) => (Some(*at), None, Denied::RequestExpired),
            Scheme::V1(v1::Time::Expires { at, .. }) => (None, Some(*at), Denied::RequestExpired),
            Scheme::V4(terms) => (Some(terms.at), terms.expires, Denied::UrlV4Expired),
        };
        match (signed_at, expires) {
            (_, Some(expires)) if expires < now => Err(OssError::AccessDenied(expired)),
            // A URL can be old, but not from the future.
            (Some(at), Some(_)) if at > now + WINDOW => {
                Err(OssError::TimeTooSkewed { request: at, server: now })
            }
            (Some(at), None) if (now - at).abs() > WINDOW => {
                Err(OssError::TimeTooSkewed { request: at, server: now })
            }
            (_, Some(_) | None) => Ok(()),
        }
    }

    /// Checks that the signature is for OSS in this region. V1 has no regions.
    pub(crate) fn check_scope(&self, region: Option<&str>) -> Result<(), OssError> {
        match &self.scheme {
            Scheme::V1(_) => Ok(()),
            Scheme::V4(terms) => terms.scope.check(region),
        }
    }

    /// Verifies that the request was signed with the secret.
    pub(crate) fn verify(&self, head: &Head, secret: &SecretString) -> Result<(), OssError> {
        let (text, is_valid) = match &self.scheme {
            Scheme::V1(time) => {
                let text = v1::text(head, time.line());
                let is_valid = v1::is_valid(secret, &text.string_to_sign, &self.signature);
                (text, is_valid)
            }
            Scheme::V4(terms) => {
                let text = v4::text(head, terms);
                let key = SigningKey::derive(secret, &terms.scope);
                let is_valid = key.is_valid(&text.string_to_sign, &self.signature);
                (text, is_valid)
            }
        };
        if is_valid {
            return Ok(());
        }
        Err(OssError::SignatureDoesNotMatch(Box::new(Mismatch {
            access_key_id: self.access_key_id.clone(),
            signature: self.signature.clone(),
            string_to_sign: text.string_to_sign,
            canonical_request: text.canonical_request,
            ec: "0002-00000040",
        })))
    }
}

pub(crate) const TOKEN_HEADER: &str = "x-oss-security-token";

/// Whether `signature` is the V1 signature of a text, such as a form's policy.
pub(crate) fn is_valid_v1(secret: &SecretString, text: &str, signature: &str) -> bool {
    v1::is_valid(secret, text, signature)
}

fn hmac_sha1(key: &[u8]) -> Hmac<Sha1> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(message)
}

#[cfg(test)]
pub(crate) mod tests;
