//! Finds the credential in a request and has it checked; whoever it proves has a limit.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::Api;
use super::error::ApiError;
use crate::auth::{Caller, Presented};

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let authenticated = api.authenticator.authenticate(&presented(parts), api.clock.now());
        let client = match &authenticated {
            Ok(caller) => Some(caller.client()),
            Err(error) => error.client(),
        };
        if let Some(client) = client {
            tracing::Span::current().record("client", client.as_str());
        }
        let caller = authenticated?;
        api.limits.admit(caller.client()).await?;
        Ok(caller)
    }
}

fn presented(parts: &Parts) -> Presented {
    let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
    match (headers.next(), headers.next()) {
        (Some(only), None) => Presented::from_authorization(only.as_bytes()),
        (Some(_), Some(_)) => Presented::Malformed,
        (None, _) => Presented::Nothing,
    }
}
