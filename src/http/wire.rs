//! The shapes of answers, as every known consumer of them parses.

use std::borrow::Cow;

use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Public;
use super::openapi::ErrorCode;
use crate::vend::Vended;
use appserver_domain::clock::Stamp;
use appserver_domain::{Credentials, GrantName};

/// What is at the head of every successful answer.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Success<'a> {
    #[schema(minimum = 200, maximum = 200)]
    status_code: u16,
    #[schema(pattern = "^Success$")]
    code: &'static str,
    #[schema(format = "uuid")]
    request_id: &'a str,
}

impl<'a> Success<'a> {
    pub(crate) fn new(request_id: &'a str) -> Self {
        Self { status_code: 200, code: "Success", request_id }
    }
}

/// Credentials for mobile OSS SDKs, `credentials_uri` of every language, ali-oss and the CLI at once.
pub(crate) fn token_response(request_id: &str, grant: &GrantName, vended: &Vended) -> Vec<u8> {
    let written = vended.token.written(|credentials| token_fields(credentials).into());
    let fields = written.expose_secret();
    // What differs is written by hand: an id, a time and a name hold nothing that JSON escapes, and serde takes as
    // long for them as all the rest of a request.
    let refresh_after = Stamp::of(vended.refresh_after);
    let parts = [
        r#"{"StatusCode":200,"Code":"Success","RequestId":""#,
        request_id,
        r#"","RefreshAfter":""#,
        refresh_after.as_str(),
        r#"","Grant":""#,
        grant.as_str(),
        r#"","#,
        // The members of both objects in one.
        &fields[1..],
    ];
    parts.concat().into_bytes()
}

/// What is the same in each answer with one token: written once for all of them.
///
/// Times are `YYYY-MM-DDTHH:MM:SSZ`: Python, Java, iOS and Node SDKs break on any other form.
fn token_fields(credentials: &Credentials) -> String {
    let user = credentials.assumed_role_user();
    let mut json = String::with_capacity(2048);
    let mut member = |name: &str, text: &str| {
        json.push_str(name);
        // serde looks at each byte by itself; a token is long, and holds none that is escaped.
        if text.bytes().fold(false, |any, b| any | (b < b' ' || b == b'"' || b == b'\\')) {
            json.push_str(&serde_json::to_string(text).expect("a text is plain JSON"));
        } else {
            json.push('"');
            json.push_str(text);
            json.push('"');
        }
    };
    member(r#"{"AccessKeyId":"#, credentials.access_key_id());
    member(r#","AccessKeySecret":"#, credentials.access_key_secret().expose_secret());
    member(r#","SecurityToken":"#, credentials.security_token().expose_secret());
    member(r#","Expiration":"#, Stamp::of(credentials.expiration()).as_str());
    member(r#","LastUpdated":"#, Stamp::of(credentials.issued_at()).as_str());
    member(r#","AssumedRoleUser":{"Arn":"#, &user.arn);
    member(r#","AssumedRoleId":"#, &user.id);
    json.push_str("}}");
    json
}

/// A failure in the two vocabularies that SDKs know: `ErrorCode` and `ErrorMessage` of the mobile SDKs,
/// `Code` and `Message` of everyone else.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ErrorResponse<'a> {
    #[schema(minimum = 400, maximum = 599)]
    status_code: u16,
    #[schema(value_type = ErrorCode, inline)]
    code: Cow<'a, str>,
    #[schema(value_type = ErrorCode, inline)]
    error_code: Cow<'a, str>,
    error_message: &'a str,
    message: &'a str,
    #[schema(format = "uuid")]
    request_id: &'a str,
}

impl<'a> ErrorResponse<'a> {
    pub(crate) fn new(request_id: &'a str, public: &'a Public) -> Self {
        let code = public.code();
        Self {
            status_code: public.status.as_u16(),
            code: code.clone(),
            error_code: code,
            error_message: &public.message,
            message: &public.message,
            request_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use appserver_domain::AssumedRoleUser;

    proptest! {
        #[test]
        fn a_tokens_fields_are_json_whatever_sts_wrote(text in "\\PC{1,40}|[\"\\\\\u{0}-\u{1f}]{1,4}") {
            let issued_at = "2016-01-13T14:02:37Z".parse().unwrap();
            let user = AssumedRoleUser { arn: text.clone(), id: text.clone() };
            let expiration = issued_at + TimeDelta::hours(1);
            let [id, secret, token] = [(); 3].map(|()| text.clone());
            let credentials =
                Credentials::new(id, secret.into(), token.into(), issued_at, expiration, user);
            let written: Value = serde_json::from_str(&token_fields(&credentials.unwrap())).unwrap();
            let expected = json!({
                "AccessKeyId": text, "AccessKeySecret": text, "SecurityToken": text,
                "Expiration": "2016-01-13T15:02:37Z", "LastUpdated": "2016-01-13T14:02:37Z",
                "AssumedRoleUser": { "Arn": text, "AssumedRoleId": text },
            });
            prop_assert_eq!(written, expected);
        }
    }
}
