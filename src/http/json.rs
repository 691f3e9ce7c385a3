//! Reads a JSON body, and answers a bad one like every other error.

use std::borrow::Cow;
use std::{fmt, io};

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::context::Context;
use super::error::ApiError;
use crate::server::ChunkedError;

/// The most that a request body may hold: a policy of 2 KiB and parameters fit several times.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// The members of the JSON object that a body is. No body at all is an empty object: every field is optional.
#[derive(Debug)]
pub(crate) struct ApiJson(pub(crate) Members);

impl<S: Send + Sync> FromRequest<S> for ApiJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let declared_json = is_json(&request);
        let deadline = Context::within(request.extensions()).deadline;
        let limited = Limited::new(request.into_body(), MAX_BODY_BYTES);
        let body = tokio::time::timeout_at(deadline, limited.collect())
            .await
            .map_err(|_| ApiError::BodyTimeout)?
            .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
                Some(_) => ApiError::PayloadTooLarge,
                None => ApiError::Malformed(broken(&*error)),
            })?
            .to_bytes();
        if body.is_empty() {
            return Ok(Self(Members::default()));
        }
        if !declared_json {
            return Err(ApiError::UnsupportedMediaType);
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| ApiError::Malformed(described(&error)))
    }
}

/// Why a body could not be read to its end.
pub(super) fn broken(error: &(dyn std::error::Error + 'static)) -> Cow<'static, str> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut inner = causes.filter_map(|error| error.downcast_ref::<io::Error>()?.get_ref());
    match inner.find_map(|inner| inner.downcast_ref::<ChunkedError>()) {
        Some(error) => error.to_string().into(),
        None => "the body broke off".into(),
    }
}

/// Where the JSON went wrong. What stood there is left out: it may be a secret.
fn described(error: &serde_json::Error) -> Cow<'static, str> {
    let what = match error.classify() {
        Category::Data => "the body is not a JSON object, or names a member twice",
        Category::Syntax | Category::Eof | Category::Io => "the body is not JSON",
    };
    format!("{what} (line {}, column {})", error.line(), error.column()).into()
}

/// The members of a JSON object in their order, each name once, their values unread.
///
/// A member that is `null` is there: read as absent, `"Policy": null` would vend the whole grant.
#[derive(Debug, Default)]
pub(crate) struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::<(String, Box<RawValue>)>::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.iter().any(|(earlier, _)| *earlier == name) {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

fn is_json(request: &Request<Body>) -> bool {
    let content_type =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // Compressed, it is another type than it says: read as it is, it would be what a proxy that unpacks it does not see.
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
        && content_type.is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        })
}
