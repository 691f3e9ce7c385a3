//! `/v1/token` and `/v1/oss-sdk/token`: vend a token.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use http_body_util::BodyExt;
use utoipa::openapi::schema::{OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::fields;
use super::hook_decision::{self, AllowedRequest};
use super::json_body::ApiJson;
use super::no_query::NoQuery;
use super::success::json_text;
use super::token_request::{TokenQuery, TokenRequest};
use super::token_response::{TokenResponse, token_response};
use crate::auth::{AuthError, Caller, PresentedCredential};
use crate::decision::HookKind;
use crate::grant::{TokenParams, shortened};
use crate::http::api::Api;
use crate::http::contract::responses::{BodyFailures, CallFailures, StsFailures, curl};
use crate::http::error::ApiError;
use crate::http::middleware::context::RequestContext;
use crate::http::middleware::{audit, auth_failures, authenticate, ticket_auth};
use crate::sts::CallerSession;
use crate::vend::GrantHolder;
use appserver_domain::GrantName;

pub(crate) const PATH: &str = "/v1/token";
pub(crate) const OSS_SDK_PATH: &str = "/v1/oss-sdk/token";

/// Answers `GET` of a token. The request observer calls it directly, without the router.
pub(crate) async fn handle_get(
    api: &Api,
    context: &RequestContext,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let (headers, uri) = (&parts.headers, &parts.uri);
    let ticket = ticket_auth::presented(headers, uri)
        .map_err(|error| auth_failures::record(api, context, &PresentedCredential::Other, error))?;
    let (caller, params) = match ticket {
        None => (authenticate::caller(api, context, headers).await?, params_of(uri)?),
        // Boxed: it is rare, and its future would enlarge that of every other request.
        Some(ticket) => Box::pin(ticket_auth::authenticate(api, context, &ticket)).await?,
    };
    // A body that is ignored could hold a narrower request, and its caller would get all of the grant.
    // An announced body that does not arrive counts as a body.
    if !body.is_end_stream()
        && tokio::time::timeout_at(context.deadline, Box::pin(has_body(body))).await.unwrap_or(true)
    {
        return Err(ApiError::Malformed(
            "a `GET` takes its parameters in the query and no body".into(),
        ));
    }
    vend(api, context, &caller, &params).await
}

#[utoipa::path(
    get,
    path = PATH,
    operation_id = "getToken",
    summary = "A token",
    description = "Absent parameters have their defaults.",
    params(TokenQuery),
    responses(
        (status = 200, description = "A token.", body = TokenResponse),
        CallFailures,
        StsFailures,
    ),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = []), ("Ticket" = [])),
    extensions(("x-codeSamples" = json!(curl(
        r#"curl -u "$CLIENT:$SECRET" "$APPSERVER/v1/token?DurationSeconds=1800&Parameters.album=2015""#
    )))),
)]
pub(crate) async fn get_token(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request,
) -> Result<Response, ApiError> {
    handle_get(&api, &context, request).await
}

#[utoipa::path(
    get,
    path = OSS_SDK_PATH,
    operation_id = "getTokenForOssSdks",
    summary = "A token, always with HTTP 200",
    description = "For Android's stock `OSSAuthCredentialsProvider`, which cannot read the body of a 4xx: the real \
                   status is `StatusCode`.",
    params(TokenQuery),
    responses((status = 200, description = "A token, or an error.", body = inline(TokenOrError))),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = []), ("Ticket" = [])),
    extensions(("x-codeSamples" = json!(curl(
        r#"curl -u "$CLIENT:$SECRET" "$APPSERVER/v1/oss-sdk/token""#
    )))),
)]
pub(crate) async fn get_oss_sdk_token(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    request: Request,
) -> Result<Response, ApiError> {
    handle_get(&api, &context, request).await
}

#[utoipa::path(
    post,
    path = PATH,
    operation_id = "postToken",
    summary = "A token, requested in JSON",
    description = "A body has at most 16 KiB. Without one, all members have their defaults.",
    request_body = Option<TokenRequest>,
    responses(
        (status = 200, description = "A token.", body = TokenResponse),
        CallFailures,
        BodyFailures,
        StsFailures,
    ),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = [])),
    extensions(("x-codeSamples" = json!(curl(
        r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"DurationSeconds": 1800, "Parameters": {"album": "2015"}}' "$APPSERVER/v1/token""#
    )))),
)]
pub(crate) async fn post_token(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<TokenRequest>,
) -> Result<Response, ApiError> {
    vend(&api, &context, &caller, &request.into()).await
}

/// Whether a `GET` has a body. HTTP/2 does not announce one, and may end a request without one by an empty frame, so the
/// body is read.
async fn has_body(mut body: Body) -> bool {
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) if data.is_empty() => {}
            Ok(Ok(_) | Err(_)) | Err(_) => return true,
        }
    }
    false
}

fn params_of(uri: &Uri) -> Result<TokenParams, ApiError> {
    if uri.query().is_none() {
        return Ok(TokenParams::default());
    }
    let pairs = fields::query_pairs(uri);
    if pairs.iter().any(|(name, _)| name == ticket_auth::PARAMETER) {
        // The caller is authenticated by its header.
        return Err(AuthError::Several.into());
    }
    Ok(fields::from_query::<TokenRequest>(&pairs)?.into())
}

async fn vend(
    api: &Api,
    context: &RequestContext,
    caller: &Caller,
    params: &TokenParams,
) -> Result<Response, ApiError> {
    let decided = context.rules.grants.decide(caller, params, api.clock.now());
    let grant = decided.inspect_err(|_| context.note_requested_grant(caller, params))?;
    context.note_grant(grant.name());
    let (name, upstream, oss) = (grant.name(), grant.upstream(), grant.oss());
    let (client, user) = (caller.client().clone(), grant.user_of(caller));
    let holder = GrantHolder { client, grant: grant.fingerprint(), user };
    let mut session = grant.into_caller_session();
    let vended = async {
        audit::check(api)?;
        decide(context, caller, name, params, &mut session).await?;
        Ok::<_, ApiError>(api.vendors.vend(upstream, &holder, &session, context.deadline).await?)
    };
    let vended =
        vended.await.inspect_err(|_| audit::note_failed_session(api, context, &session))?;
    let body = token_response(context.id.as_str(), name, oss, &vended);
    // The last step that can fail: a caller with an audit record of a token, and none of a failure after it, has the token.
    audit::record_token(api, context, session, &vended).await?;
    api.metrics.vended(caller.client(), name);
    tracing::debug!(
        token.access_key_id = vended.token.credentials().access_key_id(),
        "vended credentials to `{}`",
        caller.client(),
    );
    Ok(json_text(body))
}

/// Lets the decision hook refuse or shorten the session.
async fn decide(
    context: &RequestContext,
    caller: &Caller,
    grant: &GrantName,
    params: &TokenParams,
    session: &mut CallerSession,
) -> Result<(), ApiError> {
    let duration = session.role_session().duration;
    let allowed = AllowedRequest {
        kind: HookKind::Token,
        grant,
        parameters: &params.parameters,
        duration_secs: duration.as_secs(),
        object: None,
    };
    let secs = hook_decision::decide(context, caller, allowed).await?;
    if secs < duration.as_secs() {
        let shortened = shortened(duration, secs.into());
        session.shorten(shortened.ok_or(ApiError::DecisionRefused(None))?);
    }
    Ok(())
}

/// The answer of the route that is always 200.
struct TokenOrError;

impl ToSchema for TokenOrError {}

impl PartialSchema for TokenOrError {
    fn schema() -> RefOr<Schema> {
        let names = ["TokenResponse", "ErrorResponse"].into_iter().map(Ref::from_schema_name);
        names.fold(OneOfBuilder::new(), OneOfBuilder::item).into()
    }
}

#[cfg(test)]
mod tests;
