//! Refuses a query on routes that take none: one that is ignored could hold a narrower request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::error::ApiError;

/// The request has no query.
#[derive(Debug)]
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match parts.uri.query() {
            None | Some("") => Ok(Self),
            Some(_) => Err(ApiError::Malformed("this route and method take no query".into())),
        }
    }
}
