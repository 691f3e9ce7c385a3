//! Fuzz target of the documents with credentials that instance metadata and credentials URIs answer.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde_json::Value;

use super::document::{Code, parse};
use appserver_domain::clock::Moment;

/// A document. Its credentials are those that another reading finds, and they end when it says.
pub(crate) fn credentials_document(bytes: &[u8]) {
    let now: DateTime<Utc> = "2016-01-13T14:02:37Z".parse().expect("it is a time");
    let obtained = Moment::at(now);
    let lenient = parse(bytes, Code::IfPresent, now, obtained);
    let strict = parse(bytes, Code::Required, now, obtained);
    assert!(strict.is_err() || lenient.is_ok(), "only the strict reading accepts it");
    for error in [lenient.as_ref().err(), strict.as_ref().err()].into_iter().flatten() {
        let shown = error.to_string();
        assert!(shown.len() < 256 && !shown.contains(char::is_control), "{shown:?}");
    }
    let Ok(credentials) = lenient else { return };
    let value: Value = serde_json::from_slice(bytes).expect("a document is JSON");
    // White space around an AccessKey is left out, as in files.
    let trimmed = |name: &str| value[name].as_str().map(str::trim);
    assert_eq!(trimmed("AccessKeyId"), Some(credentials.id().as_str()));
    assert_eq!(trimmed("AccessKeySecret"), Some(credentials.secret().expose_secret()));
    let token = credentials.security_token().expect("they are temporary");
    assert_eq!(value["SecurityToken"], token.expose_secret());
    assert!(!token.expose_secret().is_empty(), "the token is empty");
    let code = value.get("Code");
    assert!(code.is_none_or(|code| code == "Success"), "{code:?} is accepted");
    assert_eq!(strict.is_ok(), code.is_some());
    let end = credentials.expiration().expect("they are temporary");
    assert!(end > now, "they have expired");
    let written = value["Expiration"].as_str().expect("it is a text");
    let written = DateTime::parse_from_rfc3339(written).expect("it is a time");
    assert!((written.to_utc() - end).abs() < TimeDelta::seconds(1), "they end at {end}");
}
