//! `POST /v1/tickets`: a URL for one grant, for SDKs that cannot send a header.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::json_body::ApiJson;
use super::no_query::NoQuery;
use super::oss_view::OssView;
use super::success::{Success, json};
use super::token;
use super::token_request::Policy;
use crate::auth::{Caller, Ticket, TicketId};
use crate::grant::{Grant, TokenParams};
use crate::http::api::Api;
use crate::http::contract::responses::{BodyFailures, CallFailures, NotFoundFailure, curl};
use crate::http::contract::schemas::Time;
use crate::http::error::ApiError;
use crate::http::middleware::audit;
use crate::http::middleware::context::RequestContext;
use appserver_domain::clock::Stamp;

pub(crate) const PATH: &str = "/v1/tickets";

/// The request of each of the ticket's tokens, and how long the ticket lives.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(crate) struct TicketRequest {
    /// One of the client's grants. May be left out where it has a default or exactly one.
    #[schema(nullable = false)]
    grant: Option<String>,
    /// Of the tokens, within the grant's bounds; left out for its default.
    #[schema(nullable = false, minimum = 900, maximum = 43200)]
    duration_seconds: Option<u64>,
    /// Exactly those that the grant declares.
    #[schema(nullable = false)]
    parameters: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    policy: Option<Policy>,
    /// Of the ticket; an hour if left out.
    #[schema(nullable = false, minimum = 60, maximum = 86400)]
    expires_in_seconds: Option<u64>,
}

impl From<TicketRequest> for TokenParams {
    fn from(request: TicketRequest) -> Self {
        Self {
            grant: request.grant,
            duration_secs: request.duration_seconds,
            parameters: request.parameters.unwrap_or_default(),
            policy: request.policy.map(Policy::into_inner),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct TicketResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    /// For `credentials_uri` of every language, and clients that read the HTTP status.
    #[schema(format = "uri")]
    url: String,
    /// The same for the OSS SDKs of Android and iOS.
    #[schema(format = "uri")]
    oss_sdk_url: String,
    #[schema(value_type = Time)]
    expires_at: &'a str,
    /// The ticket's name in the log.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    ticket_id: String,
    /// The grant of its tokens.
    grant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    oss: Option<OssView<'a>>,
}

#[utoipa::path(
    post,
    path = PATH,
    operation_id = "makeTicket",
    summary = "A URL that vends one grant",
    description = "For SDKs that can only get a URL. Everyone with the URL gets the tokens: it is a secret until `ExpiresAt`.",
    request_body = Option<TicketRequest>,
    responses(
        (status = 200, description = "A ticket.", body = TicketResponse),
        CallFailures,
        BodyFailures,
        NotFoundFailure,
    ),
    security(("Basic" = []), ("Bearer" = []), ("Certificate" = [])),
    extensions(("x-codeSamples" = json!(curl(
        r#"curl -u "$CLIENT:$SECRET" -H 'Content-Type: application/json' \
  -d '{"Parameters": {"album": "2015"}, "ExpiresInSeconds": 3600}' "$APPSERVER/v1/tickets""#
    )))),
)]
pub(crate) async fn make_ticket(
    State(api): State<Arc<Api>>,
    Extension(context): Extension<Arc<RequestContext>>,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<TicketRequest>,
) -> Result<Response, ApiError> {
    let tickets = context.rules.tickets.as_ref().ok_or(ApiError::NoTickets)?;
    audit::check(&api)?;
    let lives_secs = request.expires_in_seconds;
    let params = TokenParams::from(request);
    context.note_requested_grant(&caller, &params);
    let now = api.clock.now();
    let expires_at = tickets.end(&caller, lives_secs, now)?;
    // Everything that a token takes is checked, so that an error reaches the maker of the ticket and not an app.
    let grant = context.rules.grants.decide(&caller, &params, now)?;
    let ticket = ticket(&caller, &grant, params, now, expires_at);
    context.note_ticket(ticket.id);
    let sealed = tickets.seal.seal(&ticket).map_err(|_| ApiError::TicketTooLong)?;
    tracing::info!(
        request.id = context.id.as_str(),
        ticket.id = %ticket.id,
        client.id = %caller.client(),
        grant.name = %grant.name(),
        ticket.authenticated_by = ticket.proven_by,
        ticket.expires_at = Stamp::of(expires_at).as_str(),
        "made a ticket for `{}`",
        caller.client(),
    );
    audit::record_ticket(&api, &context, expires_at).await?;
    let url = |path| format!("{}{path}?Ticket={}", tickets.base, sealed.expose_secret());
    Ok(json(&TicketResponse {
        success: Success::new(context.id.as_str()),
        url: url(token::PATH),
        oss_sdk_url: url(token::OSS_SDK_PATH),
        expires_at: Stamp::of(expires_at).as_str(),
        ticket_id: ticket.id.to_string(),
        grant: grant.name().as_str(),
        oss: grant.oss().map(OssView::from),
    }))
}

fn ticket(
    caller: &Caller,
    grant: &Grant<'_>,
    params: TokenParams,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Ticket {
    Ticket {
        id: TicketId::fresh(),
        caller: caller.with_claims(|claim| grant.uses_claim(claim)),
        proven_by: caller.method().as_str().to_owned(),
        grant: grant.name().clone(),
        fingerprint: grant.fingerprint(),
        duration_secs: params.duration_secs,
        parameters: params.parameters,
        policy: params.policy.map(|policy| policy.to_json()),
        issued_at: now,
        expires_at,
    }
}
