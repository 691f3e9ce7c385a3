//! The JSON document with credentials, as instance metadata and credentials URIs answer it.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::error::FetchError;
use appserver_domain::SigningCredentials;
use appserver_domain::clock::Moment;

/// The longest document. One has one or two kilobytes; tokens have no documented limit.
pub(super) const LONGEST: usize = 64 * 1024;

/// Whether a document must say `"Code": "Success"`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    /// The metadata server always does.
    Required,
    /// Not every server of a credentials URI does.
    IfPresent,
}

/// Parses a document that arrived at `obtained`, which was `now` by its server's clock.
///
/// A tree and not a struct, because serde's errors quote unexpected values, which may be secrets.
pub(super) fn parse(
    body: &[u8],
    code: Code,
    now: DateTime<Utc>,
    obtained: Moment,
) -> Result<SigningCredentials, FetchError> {
    let document: Value = serde_json::from_slice(body).map_err(|_| FetchError::NotJson)?;
    if !document.is_object() {
        return Err(FetchError::NotJson);
    }
    match (document.get("Code"), code) {
        (Some(Value::String(code)), _) if code == "Success" => {}
        (Some(Value::String(code)), _) => return Err(FetchError::Failed(plain(code))),
        (None, Code::IfPresent) => {}
        (None, Code::Required) => return Err(FetchError::Lacks("Code")),
        (Some(_), _) => return Err(FetchError::Malformed("Code")),
    }
    let text = |name: &'static str| {
        let text = document.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty()).ok_or(FetchError::Lacks(name))
    };
    let expiration = DateTime::parse_from_rfc3339(text("Expiration")?)
        .map_err(|_| FetchError::Malformed("Expiration"))?
        .to_utc();
    Ok(SigningCredentials::temporary(
        text("AccessKeyId")?,
        text("AccessKeySecret")?.into(),
        text("SecurityToken")?.into(),
        expiration,
        now,
        obtained,
    )?)
}

/// A code for the log; what is not plain is not quoted.
fn plain(code: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'_';
    if (1..=64).contains(&code.len()) && code.bytes().all(is_plain) {
        format!("the `Code` `{code}`")
    } else {
        "a `Code` that is no plain word".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: &str = "2017-11-01T04:20:01Z";

    fn document() -> Value {
        json!({
            "AccessKeyId": "STS.1",
            "AccessKeySecret": "canary-secret",
            "Expiration": "2017-11-01T05:20:01Z",
            "SecurityToken": "canary-token",
            "LastUpdated": "2017-10-31T23:20:01Z",
            "Code": "Success",
        })
    }

    fn read(document: &Value, code: Code) -> Result<SigningCredentials, FetchError> {
        let now = NOW.parse().unwrap();
        parse(document.to_string().as_bytes(), code, now, Moment::at(now))
    }

    #[test]
    fn the_documented_shape_is_read() {
        let credentials = read(&document(), Code::Required).unwrap();
        assert_eq!(credentials.id().as_str(), "STS.1");
        let now = Moment::at(NOW.parse().unwrap());
        assert_eq!(credentials.left(now).unwrap().as_secs_f64().round(), 3600.0);
        let mut plain = document();
        plain.as_object_mut().unwrap().remove("Code");
        assert!(read(&plain, Code::IfPresent).is_ok());
        assert!(matches!(read(&plain, Code::Required), Err(FetchError::Lacks("Code"))));
    }

    #[test]
    fn any_other_document_is_refused_and_not_quoted() {
        for (name, value, problem) in [
            (
                "Code",
                json!("Failed"),
                "the source's answer has the `Code` `Failed`, and not `Success`",
            ),
            (
                "Code",
                json!("canary secret"),
                "the source's answer has a `Code` that is no plain word, and not `Success`",
            ),
            ("Code", json!(7), "the source's answer is malformed at `Code`"),
            ("AccessKeyId", json!(""), "the source's answer has no text at `AccessKeyId`"),
            ("AccessKeyId", json!("canary id"), "the source's credentials cannot be used"),
            (
                "AccessKeySecret",
                json!(null),
                "the source's answer has no text at `AccessKeySecret`",
            ),
            (
                "SecurityToken",
                json!(["canary"]),
                "the source's answer has no text at `SecurityToken`",
            ),
            ("Expiration", json!(null), "the source's answer has no text at `Expiration`"),
            ("Expiration", json!("canary"), "the source's answer is malformed at `Expiration`"),
            ("Expiration", json!(NOW), "the source's credentials cannot be used"),
        ] {
            let mut document = document();
            document[name] = value;
            let error = read(&document, Code::Required).unwrap_err();
            assert_eq!(error.to_string(), problem);
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        for body in ["", "<html>canary</html>", "[]", "\"canary\"", "{"] {
            let now = NOW.parse().unwrap();
            let refused = parse(body.as_bytes(), Code::IfPresent, now, Moment::at(now));
            assert!(matches!(refused, Err(FetchError::NotJson)), "{body}");
        }
    }
}
