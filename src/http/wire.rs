//! The shapes of answers, as every known consumer of them parses.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use secrecy::ExposeSecret;
use serde::{Serialize, Serializer};

use super::error::Public;
use crate::domain::Credentials;
use crate::vend::Vended;

/// A time as `YYYY-MM-DDTHH:MM:SSZ`: Python, Java, iOS and Node SDKs break on any other form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireTime(DateTime<Utc>);

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

/// What is at the head of every successful answer.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Success<'a> {
    status_code: u16,
    code: &'static str,
    request_id: &'a str,
}

impl<'a> Success<'a> {
    pub(crate) fn new(request_id: &'a str) -> Self {
        Self { status_code: 200, code: "Success", request_id }
    }
}

/// What differs between two answers with the same token.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TokenAnswer<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    refresh_after: WireTime,
    grant: &'a str,
}

/// What is the same in each: written once for a token.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TokenFields<'a> {
    access_key_id: &'a str,
    access_key_secret: &'a str,
    security_token: &'a str,
    expiration: WireTime,
    last_updated: WireTime,
    assumed_role_user: AssumedRoleUser<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser<'a> {
    arn: &'a str,
    assumed_role_id: &'a str,
}

/// Credentials for mobile OSS SDKs, `credentials_uri` of every language, ali-oss and the CLI at once.
pub(crate) fn token_response(request_id: &str, grant: &str, vended: &Vended) -> Vec<u8> {
    let written = vended.token.written(|credentials| {
        let fields = serde_json::to_string(&TokenFields::of(credentials));
        fields.expect("our wire types are plain JSON").into()
    });
    let fields = written.expose_secret();
    let answer = TokenAnswer {
        success: Success::new(request_id),
        refresh_after: WireTime(vended.refresh_after),
        grant,
    };
    // What differs has less than 200 bytes; the longest grant's name has 32.
    let mut body = Vec::with_capacity(fields.len() + 256);
    serde_json::to_writer(&mut body, &answer).expect("our wire types are plain JSON");
    // The members of both objects in one.
    body.pop();
    body.push(b',');
    body.extend_from_slice(&fields.as_bytes()[1..]);
    body
}

impl<'a> TokenFields<'a> {
    fn of(credentials: &'a Credentials) -> Self {
        let user = credentials.assumed_role_user();
        Self {
            access_key_id: credentials.access_key_id(),
            access_key_secret: credentials.access_key_secret().expose_secret(),
            security_token: credentials.security_token().expose_secret(),
            expiration: WireTime(credentials.expiration()),
            last_updated: WireTime(credentials.issued_at()),
            assumed_role_user: AssumedRoleUser { arn: &user.arn, assumed_role_id: &user.id },
        }
    }
}

/// A failure in the two vocabularies that SDKs know: `ErrorCode` and `ErrorMessage` of the mobile SDKs,
/// `Code` and `Message` of everyone else.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ErrorResponse<'a> {
    status_code: u16,
    code: Cow<'a, str>,
    error_code: Cow<'a, str>,
    error_message: &'a str,
    message: &'a str,
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
