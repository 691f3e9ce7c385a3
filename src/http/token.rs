//! `/v1/token` and `/v1/oss-sdk/token`: the main job.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::Api;
use super::error::ApiError;
use super::json::ApiJson;
use super::no_query::NoQuery;
use super::observe::{Deadline, RequestId};
use super::token_request;
use super::wire;
use crate::auth::Caller;
use crate::grant::Asked;

pub(super) async fn post_token(
    State(api): State<Arc<Api>>,
    id: RequestId,
    deadline: Deadline,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(body): ApiJson,
) -> Result<Response, ApiError> {
    let asked = token_request::from_body(&body)?;
    vend(&api, &id, deadline, &caller, &asked).await
}

pub(super) async fn get_token(
    State(api): State<Arc<Api>>,
    id: RequestId,
    deadline: Deadline,
    caller: Caller,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(pairs) = query.map_err(|_| ApiError::Malformed("the query cannot be read".into()))?;
    let asked = token_request::from_query(pairs)?;
    vend(&api, &id, deadline, &caller, &asked).await
}

async fn vend(
    api: &Api,
    id: &RequestId,
    deadline: Deadline,
    caller: &Caller,
    asked: &Asked,
) -> Result<Response, ApiError> {
    let grant = api.grants.decide(caller, asked, api.clock.now())?;
    let name = grant.name();
    let session = grant.into_role_session();
    let vended = api.vendor.vend(caller.client(), &session, deadline.0).await?;
    api.metrics.vended(caller.client(), name);
    let span = tracing::Span::current();
    span.record("grant", name.as_str());
    span.record("sts_access_key_id", vended.token.credentials().access_key_id());
    Ok(json_text(wire::token_response(id.as_str(), name, &vended)))
}

/// A body of JSON. The headers that every answer carries are added by `observe`.
pub(super) fn json(answer: &impl serde::Serialize) -> Response {
    json_text(serde_json::to_vec(answer).expect("our wire types are plain JSON"))
}

fn json_text(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
