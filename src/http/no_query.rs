//! Routes that take no query say so, rather than leave it aside unread.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::ApiError;

/// There is no query. Whoever sends one means something by it, such as a shorter life for a token.
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
