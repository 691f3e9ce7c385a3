//! Sends a report to the operator's backend, which recognises it by an HMAC over its time and body.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::Client;
use reqwest::header::CONTENT_TYPE;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::{Instant, timeout_at};

use super::outcome::{MAX_ANSWER_BYTES, Obstacle};
use crate::outbound::{BODY_SIGNATURE, SecureUrl, body_signature, read_body};
use appserver_domain::Invalid;

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

impl BackendUrl {
    /// Whether it is the demo's, which `dev` replaces.
    pub(crate) fn has_port_zero(&self) -> bool {
        self.0.url().port() == Some(0)
    }
}

impl TryFrom<String> for BackendUrl {
    type Error = Invalid;

    fn try_from(raw: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a backend's URL reads `https://<host>/<path>`, without user and fragment; `http` is admitted on `localhost` and \
             loopback addresses only; it takes no placeholders, as the body has the user",
        );
        if raw.contains(['$', '{', '}']) {
            return Err(RULE);
        }
        SecureUrl::parse(&raw).map(Self).ok_or(RULE)
    }
}

impl BackendUrl {
    pub(super) fn is_encrypted(&self) -> bool {
        self.0.is_encrypted()
    }
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
    let signature = body_signature(secret, now, &body);
    let request = http
        .post(to.0.url().clone())
        .header(CONTENT_TYPE, "application/json")
        .header(BODY_SIGNATURE, signature)
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
