//! `POST /v1/tickets`: a URL for one grant, for SDKs that cannot send a header.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::audited;
use super::context::{OSS_SDK_ROUTE, TOKEN_ROUTE, Told};
use super::error::ApiError;
use super::json::ApiJson;
use super::no_query::NoQuery;
use super::openapi::Time;
use super::public_url::PublicUrl;
use super::token::json;
use super::token_request::Policy;
use super::wire::Success;
use crate::auth::{Caller, Ticket, TicketId, TicketSeal};
use crate::grant::{Grant, TokenParams};
use appserver_domain::clock::Stamp;

/// How tickets are made and known again; where there is none, there are no tickets.
#[derive(Debug)]
pub(crate) struct TicketRules {
    pub(crate) seal: TicketSeal,
    /// What their URLs begin with.
    pub(crate) base: PublicUrl,
    /// How long the longest of them lives.
    pub(crate) longest: TimeDelta,
}

impl TicketRules {
    /// A ticket that lives shorter is gone before an app has it.
    pub(crate) const SHORTEST: TimeDelta = TimeDelta::seconds(60);
    /// What a ticket gets that nobody gave a life.
    const USUAL: TimeDelta = TimeDelta::hours(1);

    /// When a ticket ends: a part of a second would only be lost on the way.
    fn end(
        &self,
        caller: &Caller,
        asked_secs: Option<u64>,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, ApiError> {
        let life = match asked_secs {
            None => Self::USUAL.min(self.longest),
            Some(secs) => {
                let life = i64::try_from(secs).ok().and_then(TimeDelta::try_seconds);
                life.filter(|life| (Self::SHORTEST..=self.longest).contains(life)).ok_or_else(
                    || {
                        let (least, most) =
                            (Self::SHORTEST.num_seconds(), self.longest.num_seconds());
                        let rule = format!("a ticket lives {least} to {most} seconds");
                        ApiError::invalid("ExpiresInSeconds", rule)
                    },
                )?
            }
        };
        let end = (now + life).trunc_subsecs(0);
        Ok(caller.until().map_or(end, |until| end.min(until)))
    }
}

/// What each token of the ticket is asked for, and how long the ticket lives.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct TicketRequest {
    /// One of the client's grants. May be left out where it has exactly one.
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
pub(super) struct TicketResponse<'a> {
    #[serde(flatten)]
    success: Success<'a>,
    /// For `credentials_uri` of every language and whoever reads a status.
    #[schema(format = "uri")]
    url: String,
    /// The same for the OSS SDKs of Android and iOS.
    #[schema(format = "uri")]
    oss_sdk_url: String,
    #[schema(value_type = Time)]
    expires_at: &'a str,
    /// What stands in the log.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    ticket_id: String,
    /// The grant of its tokens.
    grant: &'a str,
}

pub(super) async fn make_ticket(
    State(api): State<Arc<Api>>,
    Told(context): Told,
    caller: Caller,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<TicketRequest>,
) -> Result<Response, ApiError> {
    let tickets = context.rules.tickets.as_ref().ok_or(ApiError::NoTickets)?;
    audited::check(&api)?;
    let lives_secs = request.expires_in_seconds;
    let asked = TokenParams::from(request);
    context.note_asked_grant(&caller, &asked);
    let now = api.clock.now();
    let expires_at = tickets.end(&caller, lives_secs, now)?;
    // All of what a token takes, so that what is wrong is told here and not to a phone.
    let grant = context.rules.grants.decide(&caller, &asked, now)?;
    let ticket = ticket(&caller, &grant, asked, now, expires_at);
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
    audited::issued(&api, &context, expires_at).await?;
    let url = |route| format!("{}{route}?Ticket={}", tickets.base, sealed.expose_secret());
    Ok(json(&TicketResponse {
        success: Success::new(context.id.as_str()),
        url: url(TOKEN_ROUTE),
        oss_sdk_url: url(OSS_SDK_ROUTE),
        expires_at: Stamp::of(expires_at).as_str(),
        ticket_id: ticket.id.to_string(),
        grant: grant.name().as_str(),
    }))
}

fn ticket(
    caller: &Caller,
    grant: &Grant<'_>,
    asked: TokenParams,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Ticket {
    Ticket {
        id: TicketId::fresh(),
        caller: caller.with_claims(|claim| grant.uses_claim(claim)),
        proven_by: caller.method().as_str().to_owned(),
        grant: grant.name().clone(),
        fingerprint: grant.fingerprint(),
        duration_secs: asked.duration_secs,
        parameters: asked.parameters,
        policy: asked.policy.map(|policy| policy.to_json()),
        issued_at: now,
        expires_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::SealKey;

    fn rules(longest: TimeDelta) -> TicketRules {
        let base = "https://vend.example.com".to_owned().try_into().unwrap();
        TicketRules { seal: TicketSeal::new(&[SealKey::for_tests(1)]), base, longest }
    }

    fn now() -> DateTime<Utc> {
        "2016-01-13T14:02:37.9Z".parse().unwrap()
    }

    fn caller() -> Caller {
        Caller::simulated("photo-app".parse().unwrap(), None, Default::default())
    }

    fn life(rules: &TicketRules, caller: &Caller, asked: Option<u64>) -> Option<i64> {
        rules.end(caller, asked, now()).ok().map(|end| (end - now().trunc_subsecs(0)).num_seconds())
    }

    #[test]
    fn a_ticket_lives_an_hour_or_what_was_asked_within_its_bounds() {
        let day = rules(TimeDelta::days(1));
        let lives = [None, Some(59), Some(60), Some(86_400), Some(86_401), Some(u64::MAX)]
            .map(|asked| life(&day, &caller(), asked));
        assert_eq!(lives, [Some(3600), None, Some(60), Some(86_400), None, None]);
        let short = rules(TimeDelta::minutes(5));
        let lives = [None, Some(300), Some(301)].map(|asked| life(&short, &caller(), asked));
        assert_eq!(lives, [Some(300), Some(300), None]);
    }

    #[test]
    fn a_ticket_does_not_outlive_a_login_that_binds_it() {
        let day = rules(TimeDelta::days(1));
        let caller = caller().logged_in_until(now().trunc_subsecs(0) + TimeDelta::minutes(20));
        let lives = [None, Some(600), Some(86_400)].map(|asked| life(&day, &caller, asked));
        assert_eq!(lives, [Some(1200), Some(600), Some(1200)]);
    }
}
