//! `/v1/token` and `/v1/oss-sdk/token`: the main job.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::Response;
use http_body_util::BodyExt;

use super::Api;
use super::audited;
use super::authenticate;
use super::context::{Context, OSS_SDK_ROUTE, TOKEN_ROUTE, Told};
use super::error::ApiError;
use super::failing;
use super::fields;
use super::json::ApiJson;
use super::no_query::NoQuery;
use super::redeem;
use super::token_request::TokenRequest;
use super::wire;
use crate::auth::{AuthError, Caller, PresentedCredential};
use crate::grant::TokenParams;
use crate::sts::RoleSession;
use crate::vend::{GrantHolder, Vended};

/// Room for the headers of an answer, those of `observe` and hyper included.
const HEADERS: usize = 6;

/// Whether the request is one for [`wanted`].
pub(super) fn is_wanted(context: &Context) -> bool {
    context.method == "GET" && matches!(context.route, TOKEN_ROUTE | OSS_SDK_ROUTE)
}

/// `GET` of a token, without the router before it.
pub(super) async fn wanted(
    api: &Api,
    context: &Context,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let (headers, uri) = (&parts.headers, &parts.uri);
    let shown = redeem::shown(headers, uri);
    let shown =
        shown.map_err(|error| failing::failed(api, context, &PresentedCredential::Other, error))?;
    let (caller, asked) = match shown {
        None => (authenticate::caller(api, context, headers).await?, asked_by(uri)?),
        // Boxed: it is rare, and all others would carry the room that it takes.
        Some(ticket) => Box::pin(redeem::redeem(api, context, &ticket)).await?,
    };
    // Unread, it would be left aside, and a caller who asked for less in it would get all of the grant.
    if !body.is_end_stream() && Box::pin(has_body(body)).await {
        return Err(ApiError::Malformed(
            "a `GET` takes its parameters in the query and no body".into(),
        ));
    }
    vend(api, context, &caller, &asked).await
}

/// The same behind the router, which names it among the methods that the route takes.
pub(super) async fn get_token(
    State(api): State<Arc<Api>>,
    Told(context): Told,
    request: Request,
) -> Result<Response, ApiError> {
    wanted(&api, &context, request).await
}

pub(super) async fn post_token(
    State(api): State<Arc<Api>>,
    Told(context): Told,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<TokenRequest>,
) -> Result<Response, ApiError> {
    vend(&api, &context, &caller, &request.into()).await
}

/// Whether a body comes with it, though HTTP gives a `GET` none. It is looked for: HTTP/2 announces none, and may end a
/// request without one by a frame of its own.
async fn has_body(mut body: Body) -> bool {
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) if data.is_empty() => {}
            Ok(Ok(_) | Err(_)) | Err(_) => return true,
        }
    }
    false
}

fn asked_by(uri: &Uri) -> Result<TokenParams, ApiError> {
    if uri.query().is_none() {
        return Ok(TokenParams::default());
    }
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| ApiError::Malformed("the query cannot be read".into()))?;
    if pairs.iter().any(|(name, _)| name == redeem::PARAMETER) {
        // A header comes with it: two credentials prove nothing.
        return Err(AuthError::Malformed.into());
    }
    Ok(fields::from_query::<TokenRequest>(&pairs)?.into())
}

async fn vend(
    api: &Api,
    context: &Context,
    caller: &Caller,
    asked: &TokenParams,
) -> Result<Response, ApiError> {
    context.note_asked_grant(caller, asked);
    let grant = context.rules.grants.decide(caller, asked, api.clock.now())?;
    let name = grant.name();
    let holder = GrantHolder { client: caller.client().clone(), grant: grant.fingerprint() };
    let session = grant.into_role_session();
    let vended = vended(api, context, &holder, &session)
        .await
        .inspect_err(|_| audited::unmet(api, context, &session))?;
    let body = wire::token_response(context.id.as_str(), name, &vended);
    // The last that can go wrong: a caller that the audit names with a token, and with no failure after it, has it.
    audited::vended(api, context, session, &vended).await?;
    api.metrics.vended(caller.client(), name);
    tracing::debug!(
        token.access_key_id = vended.token.credentials().access_key_id(),
        "vended credentials to `{}`",
        caller.client(),
    );
    Ok(json_text(body))
}

async fn vended(
    api: &Api,
    context: &Context,
    holder: &GrantHolder,
    session: &RoleSession,
) -> Result<Vended, ApiError> {
    audited::check(api)?;
    Ok(api.vendor.vend(holder, session, context.deadline).await?)
}

/// A body of JSON. The headers that every answer carries are added by `observe`.
pub(super) fn json(answer: &impl serde::Serialize) -> Response {
    json_text(serde_json::to_vec(answer).expect("our wire types are plain JSON"))
}

fn json_text(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests;
