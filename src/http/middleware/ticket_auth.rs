//! Authentication by a ticket in the query of a `GET`.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use secrecy::SecretString;

use super::context::RequestContext;
use super::{auth_failures, revocation};
use crate::auth::{AuthError, Caller, PresentedCredential, Ticket, TicketProblem};
use crate::grant::{Entitlement, TokenParams};
use crate::http::api::Api;
use crate::http::error::ApiError;
use crate::http::v1::fields::query_pairs;
use appserver_policy::RequestedPolicy;

/// The ticket's parameter in a query.
pub(crate) const PARAMETER: &str = "Ticket";

/// A received ticket, not verified yet.
pub(crate) struct PresentedTicket {
    ticket: SecretString,
    /// Whether the query has other parameters, which a ticket does not take.
    accompanied: bool,
}

/// The ticket that a request presents instead of a header.
pub(crate) fn presented(
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Option<PresentedTicket>, AuthError> {
    // Nearly all requests return here: they have no query, or a header.
    if uri.query().is_none() || headers.contains_key(AUTHORIZATION) {
        return Ok(None);
    }
    let mut pairs = query_pairs(uri);
    let Some(at) = pairs.iter().position(|(name, _)| name == PARAMETER) else { return Ok(None) };
    let (_, ticket) = pairs.swap_remove(at);
    if pairs.iter().any(|(name, _)| name == PARAMETER) {
        return Err(TicketProblem::Several.into());
    }
    Ok(Some(PresentedTicket { ticket: ticket.into(), accompanied: !pairs.is_empty() }))
}

/// The caller that the ticket was made for, within its limits, and the token that it requests.
pub(crate) async fn authenticate(
    api: &Api,
    context: &RequestContext,
    presented: &PresentedTicket,
) -> Result<(Caller, TokenParams), ApiError> {
    let rules = &context.rules;
    let failed = |error| auth_failures::record(api, context, &PresentedCredential::Other, error);
    let tickets = rules.tickets.as_ref().ok_or(TicketProblem::NotConfigured);
    let tickets = tickets.map_err(|problem| failed(problem.into()))?;
    let opened = tickets.seal.open(&presented.ticket, api.clock.now()).inspect_err(|problem| {
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
    if !rules.grants.find(caller.client(), &grant).is_some_and(same) {
        let client = caller.client().clone();
        return Err(failed(TicketProblem::GrantChanged(client).into()));
    }
    context.note_grant(&grant);
    revocation::check(api, context)?;
    let user = caller.issuer().zip(caller.subject());
    rules.limits.admit(caller.client(), user, &api.metrics.throttled).await?;
    if presented.accompanied {
        return Err(ApiError::Malformed("a query with a ticket has no other parameter".into()));
    }
    let policy = ticket.policy.as_deref().map(RequestedPolicy::parse).transpose();
    let policy = policy.map_err(|unfit| ApiError::invalid("Policy", unfit.to_string()))?;
    let params = TokenParams {
        grant: Some(grant.to_string()),
        duration_secs: ticket.duration_secs,
        parameters: ticket.parameters,
        policy,
    };
    Ok((caller, params))
}
