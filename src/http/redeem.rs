//! `GET` of a token with a ticket for a header.

use axum::extract::Query;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use secrecy::SecretString;

use super::Api;
use super::context::Context;
use super::error::ApiError;
use super::failing;
use crate::auth::{AuthError, Caller, PresentedCredential, Ticket, TicketProblem};
use crate::grant::{Entitlement, TokenParams};
use appserver_policy::RequestedPolicy;

/// What stands for the ticket in a query.
pub(super) const PARAMETER: &str = "Ticket";

/// A ticket as it came, not believed yet.
pub(super) struct Shown {
    ticket: SecretString,
    /// Whether something stands beside it that it does not take.
    accompanied: bool,
}

/// The ticket that a request shows instead of a header.
pub(super) fn shown(headers: &HeaderMap, uri: &Uri) -> Result<Option<Shown>, AuthError> {
    // Nearly all requests end here: with a query, or with a header.
    if uri.query().is_none() || headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    // A query that cannot be read shows no credential.
    let Ok(Query(mut pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
        return Ok(None);
    };
    let Some(at) = pairs.iter().position(|(name, _)| name == PARAMETER) else { return Ok(None) };
    let (_, ticket) = pairs.swap_remove(at);
    if pairs.iter().any(|(name, _)| name == PARAMETER) {
        return Err(AuthError::Malformed);
    }
    Ok(Some(Shown { ticket: ticket.into(), accompanied: !pairs.is_empty() }))
}

/// Whoever the ticket was made for, within its limit, and what it asks for.
pub(super) async fn redeem(
    api: &Api,
    context: &Context,
    shown: &Shown,
) -> Result<(Caller, TokenParams), ApiError> {
    let rules = &context.rules;
    let failed = |error| failing::failed(api, context, &PresentedCredential::Other, error);
    let tickets = rules.tickets.as_ref().ok_or(AuthError::NotOffered).map_err(failed)?;
    let opened = tickets.seal.open(&shown.ticket, api.clock.now()).inspect_err(|problem| {
        if let TicketProblem::Expired { ticket, client } = problem {
            context.note_ticket(*ticket);
            context.note_client(client);
        }
    });
    let ticket = opened.map_err(|problem| failed(problem.into()))?;
    context.note_ticket(ticket.id);
    context.note_caller(&ticket.caller);
    tracing::debug!(
        ticket.id = %ticket.id,
        ticket.authenticated_by = ticket.proven_by,
        ticket.issued_at = %ticket.issued_at,
        "opened a ticket of `{}`",
        ticket.caller.client(),
    );
    let Ticket { caller, grant, fingerprint, .. } = ticket;
    let caller = rules.authenticator.authenticate_ticket(caller).map_err(failed)?;
    let same = |held: &Entitlement| held.fingerprint == fingerprint;
    if !rules.grants.held(caller.client(), &grant).is_some_and(same) {
        let client = caller.client().clone();
        return Err(failed(TicketProblem::GrantChanged(client).into()));
    }
    context.note_grant(&grant);
    let user = caller.issuer().zip(caller.subject());
    rules.limits.admit(caller.client(), user, &api.metrics.throttled).await?;
    if shown.accompanied {
        return Err(ApiError::Malformed("nothing stands in the query beside a ticket".into()));
    }
    let policy = ticket.policy.as_deref().map(RequestedPolicy::parse).transpose();
    let policy = policy.map_err(|unfit| ApiError::invalid("Policy", unfit.to_string()))?;
    let asked = TokenParams {
        grant: Some(grant.to_string()),
        duration_secs: ticket.duration_secs,
        parameters: ticket.parameters,
        policy,
    };
    Ok((caller, asked))
}
