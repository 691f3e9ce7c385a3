//! Fuzz target of what STS answers: credentials are those of the answer and of the session, and an error has bounded consequences.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::call::Call;
use super::caller_identity::GetCallerIdentity;
use super::classify::classify;
use super::error::StsError;
use super::response_body::ResponseBody;
use super::role_session::{InlinePolicy, RoleSession};
use appserver_domain::{Credentials, MaxSessionDuration};
use appserver_policy::GrantSessionPolicy;

const ROLE: &str = "acs:ram::11223344:role/oss-readonly";
const NAME: &str = "client-002";

/// The body of an answer, after a line with its status and the header of throttling.
pub(crate) fn sts_answer(bytes: &[u8]) {
    let head = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (head, body) = (&bytes[..head], bytes.get(head + 1..).unwrap_or_default());
    let answer = ResponseBody::parse(body).ok();
    if let Some(answer) = &answer {
        let now = "2016-01-13T14:02:37Z".parse().expect("it is a time");
        // serde_json refuses numbers that our reader ignores.
        let value: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Ok(credentials) = session().read(answer, now)
            && value.is_object()
        {
            check_credentials(&credentials, &value, now);
        }
        if let Ok(identity) = GetCallerIdentity.read(answer, now) {
            let arn = format!("acs:ram::{}:", identity.account);
            assert!(identity.arn.starts_with(&arn), "the identity is of another account");
            let is_digits = |account: &str| account.bytes().all(|digit| digit.is_ascii_digit());
            assert!(is_digits(identity.account.as_str()), "{:?}", identity.account);
        }
    }
    let (status, header) = head.split_at(head.len().min(3));
    let Ok(status) = StatusCode::from_bytes(status) else { return };
    let mut headers = HeaderMap::new();
    let name = HeaderName::from_static("x-ratelimit-user-api");
    headers.extend(HeaderValue::from_bytes(header).ok().map(|value| (name, value)));
    check_error(&classify(status, &headers, answer.as_ref(), "POST&%2F&a"));
}

fn session() -> RoleSession {
    let bucket = "sample-bucket".parse().expect("it is a bucket");
    let policy = GrantSessionPolicy::reading(&bucket, "*").expect("it is a pattern");
    RoleSession {
        role: ROLE.to_owned().try_into().expect("it is a role"),
        name: NAME.parse().expect("it is a name"),
        policy: InlinePolicy::Grant(policy),
        duration: MaxSessionDuration::DEFAULT.admit(3600).expect("it is in the range"),
        external_id: None,
        source_identity: Some("alice".parse().expect("it is an identity")),
    }
}

fn check_credentials(credentials: &Credentials, value: &Value, now: DateTime<Utc>) {
    let text = |path| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let secret = credentials.access_key_secret().expose_secret();
    assert_eq!(credentials.access_key_id(), text("/Credentials/AccessKeyId"));
    assert_eq!(secret, text("/Credentials/AccessKeySecret"));
    let token = credentials.security_token().expose_secret();
    assert_eq!(token, text("/Credentials/SecurityToken"));
    assert!(!secret.is_empty() && !token.is_empty(), "credentials are incomplete");
    assert!(credentials.access_key_id().starts_with("STS."), "they are not temporary");
    let written = credentials.expiration().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    assert_eq!(written, text("/Credentials/Expiration"));
    let life = credentials.expiration() - credentials.issued_at();
    assert!(life > TimeDelta::zero() && life <= TimeDelta::hours(1), "they live for {life}");
    assert!(credentials.issued_at() >= now, "they were issued before they were requested");
    let user = credentials.assumed_role_user();
    let arn = format!("{ROLE}/{NAME}");
    assert!(user.arn.eq_ignore_ascii_case(&arn) && user.arn.ends_with(NAME), "{}", user.arn);
    assert_eq!(user.id.split_once(':').map(|(_, name)| name), Some(NAME));
    assert!(["", "alice"].contains(&text("/SourceIdentity")), "the source identity is another's");
}

fn check_error(error: &StsError) {
    let retry_after = error.retry_after().unwrap_or_default();
    assert!(retry_after <= Duration::from_mins(5), "callers are sent away for {retry_after:?}");
    if let Some(code) = error.code_to_remember() {
        assert!(!error.is_transient(), "{error} is remembered and sent again");
        let again = StsError::remembered(code).expect("what is remembered is a refusal");
        assert_eq!(again.refused_for(), error.refused_for(), "replicas read {code} otherwise");
        assert_eq!(again.code(), Some(code));
    }
    for text in [error.to_string(), error.code().unwrap_or_default().to_owned()] {
        assert!(text.len() < 1024, "an error has {} bytes", text.len());
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
