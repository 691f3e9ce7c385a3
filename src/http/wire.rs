//! The shapes of answers, as every known consumer of them parses.

use std::borrow::Cow;

use chrono::{DateTime, SubsecRound, Utc};
use secrecy::ExposeSecret;
use serde::{Serialize, Serializer};

use super::error::Public;
use crate::vend::Vended;

/// A time as `YYYY-MM-DDTHH:MM:SSZ`: Python, Java, iOS and Node SDKs break on any other form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireTime(DateTime<Utc>);

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.trunc_subsecs(0).format("%Y-%m-%dT%H:%M:%SZ"))
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

/// Credentials for mobile OSS SDKs, `credentials_uri` of every language, ali-oss and the CLI at once.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TokenResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    access_key_id: &'a str,
    access_key_secret: &'a str,
    security_token: &'a str,
    expiration: WireTime,
    last_updated: WireTime,
    refresh_after: WireTime,
    assumed_role_user: AssumedRoleUser<'a>,
    grant: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AssumedRoleUser<'a> {
    arn: &'a str,
    assumed_role_id: &'a str,
}

impl<'a> TokenResponse<'a> {
    pub(crate) fn new(request_id: &'a str, grant: &'a str, vended: &'a Vended) -> Self {
        let credentials = &vended.credentials;
        let user = credentials.assumed_role_user();
        Self {
            success: Success::new(request_id),
            access_key_id: credentials.access_key_id(),
            access_key_secret: credentials.access_key_secret().expose_secret(),
            security_token: credentials.security_token().expose_secret(),
            expiration: WireTime(credentials.expiration()),
            last_updated: WireTime(credentials.issued_at()),
            refresh_after: WireTime(vended.refresh_after),
            assumed_role_user: AssumedRoleUser { arn: &user.arn, assumed_role_id: &user.id },
            grant,
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
