//! Sends a report to the operator's backend, which recognises it by an HMAC over its time and body.

use std::time::Duration;

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderName};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::Sha256;
use tokio::time::{Instant, timeout_at};

use super::outcome::{MAX_ANSWER_BYTES, Obstacle};
use crate::outbound::{SecureUrl, read_body};
use appserver_domain::Invalid;

/// `t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.body" in hexadecimal digits>`.
const SIGNATURE: HeaderName = HeaderName::from_static("x-appserver-signature");
/// For DNS, connection and TLS.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// What OSS gets if the backend accepted the report and said nothing that OSS takes.
const EMPTY: &str = "{}";

/// Where reports of a grant's uploads go.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct BackendUrl(SecureUrl);

/// Why the backend does not have a report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error("the backend cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    #[error(
        "the backend answered with HTTP status {0}; it must be 2xx, and redirects are not followed"
    )]
    Status(u16),
    #[error("the backend did not answer in time")]
    TimedOut,
}

impl ForwardError {
    pub(super) fn obstacle(&self) -> Obstacle {
        match self {
            Self::Unreachable(_) | Self::Status(_) => Obstacle::BackendFailed,
            Self::TimedOut => Obstacle::TimedOut,
        }
    }
}

impl TryFrom<String> for BackendUrl {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a backend's URL reads `https://<host>/<path>`, without user and fragment; `http` is admitted on `localhost` and \
             loopback addresses only",
        );
        SecureUrl::parse(&raw).map(Self).ok_or(RULE)
    }
}

impl BackendUrl {
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }
}

/// The value of the header that signs a body.
fn signature(secret: &SecretString, now: DateTime<Utc>, body: &[u8]) -> String {
    let time = now.timestamp();
    let mut hash = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    hash.update(format!("{time}.").as_bytes());
    hash.update(body);
    format!("t={time},v1={}", hex::encode(hash.finalize().into_bytes()))
}

/// Sends the body once. The answer is the backend's JSON, for OSS.
pub(super) async fn forward(
    http: &Client,
    to: &BackendUrl,
    secret: &SecretString,
    body: Vec<u8>,
    now: DateTime<Utc>,
    deadline: Instant,
) -> Result<String, ForwardError> {
    let signature = signature(secret, now, &body);
    let request = http
        .post(to.0.url().clone())
        .header(CONTENT_TYPE, "application/json")
        .header(SIGNATURE, signature)
        .body(body);
    let sent = timeout_at(deadline, request.send()).await.map_err(|_| ForwardError::TimedOut)?;
    let mut response = sent.map_err(|error| {
        if error.is_timeout() { ForwardError::TimedOut } else { ForwardError::Unreachable(error) }
    })?;
    if !response.status().is_success() {
        return Err(ForwardError::Status(response.status().as_u16()));
    }
    // From here on the backend has the report, whatever becomes of its answer.
    let body = timeout_at(deadline, read_body(&mut response, MAX_ANSWER_BYTES)).await;
    let answer = body.ok().and_then(Result::ok).and_then(|body| String::from_utf8(body).ok());
    let json = answer.filter(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    Ok(json.unwrap_or_else(|| EMPTY.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_with_its_time() {
        let now = DateTime::from_timestamp(1_452_693_757, 0).unwrap();
        // printf '1452693757.{"a":1}' | openssl dgst -sha256 -hmac canary-secret
        let signed = signature(&"canary-secret".into(), now, br#"{"a":1}"#);
        assert_eq!(
            signed,
            "t=1452693757,v1=02df17f8371b35966caedcf8360be09add4b6fd01c4c1819a4bedffb8fae2b1f"
        );
    }

    #[test]
    fn a_backend_is_reached_by_https_or_on_this_machine() {
        for good in ["https://backend.example:8443/a?b=c", "http://127.0.0.1:9000/uploads"] {
            assert!(BackendUrl::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "backend/uploads",
            "ftp://backend/",
            "http://backend/uploads",
            "http://10.0.0.1/uploads",
            "https://a:b@backend/",
            "https://backend/#a",
        ] {
            assert!(BackendUrl::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
