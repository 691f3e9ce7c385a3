//! Reads a JSON body into a wire type, and answers a bad one like every other error.

use std::borrow::Cow;
use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::fields;
use crate::http::error::{ApiError, MAX_BODY_BYTES};
use crate::http::middleware::context::RequestContext;
use crate::server::ChunkedError;

/// The body of a request, read from its JSON object. No body at all is an empty object.
#[derive(Debug)]
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        // Two servers in a row may each read another one of them.
        if request.headers().get_all(header::CONTENT_TYPE).iter().nth(1).is_some() {
            return Err(ApiError::Malformed("it has more than one `Content-Type`".into()));
        }
        let declared_json = is_json(&request);
        let body = read_body(request).await?;
        match &*body {
            [] => fields::from_json(b"{}"),
            _ if !declared_json => Err(ApiError::UnsupportedMediaType),
            json => fields::from_json(json),
        }
        .map(Self)
    }
}

/// The whole body, at most [`MAX_BODY_BYTES`] of it.
pub(super) async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    let deadline = RequestContext::within(request.extensions()).deadline;
    let limited = Limited::new(request.into_body(), MAX_BODY_BYTES);
    let body = tokio::time::timeout_at(deadline, limited.collect())
        .await
        .map_err(|_| ApiError::BodyTimeout)?
        .map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => ApiError::PayloadTooLarge,
            None => ApiError::Malformed(broken(&*error)),
        })?;
    Ok(body.to_bytes())
}

/// Why a body cannot be read to its end.
fn broken(error: &(dyn std::error::Error + 'static)) -> Cow<'static, str> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut inner = causes.filter_map(|error| error.downcast_ref::<io::Error>()?.get_ref());
    match inner.find_map(|inner| inner.downcast_ref::<ChunkedError>()) {
        Some(error) => error.to_string().into(),
        None => "the body broke off".into(),
    }
}

fn is_json(request: &Request<Body>) -> bool {
    let content_type =
        request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // A compressed body is refused: a proxy that decompresses it would see another request than this server.
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
        && content_type.is_some_and(|value| {
            let essence = value.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        })
}
