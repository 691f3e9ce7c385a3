//! What the audit is told of a request: one line for each that wants a token or a ticket, whatever becomes of it.

use std::borrow::Cow;

use chrono::{DateTime, Utc};

use super::Api;
use super::context::{Context, OSS_SDK_ROUTE, TICKETS_ROUTE, TOKEN_ROUTE};
use super::error::{ApiError, Public};
use crate::audit::{Decision, DenialReason, Event, Request, TokenFields, session_fields};
use crate::sts::RoleSession;
use crate::telemetry::with_causes;
use crate::vend::Vended;

/// Before anything is spent on a token: whether it could leave.
pub(super) fn check(api: &Api) -> Result<(), ApiError> {
    match api.audit.trail() {
        Some(trail) => Ok(trail.check()?),
        None => Ok(()),
    }
}

/// A token is ready. It leaves only if this says so, and nothing may come between the two that waits or fails.
pub(super) async fn vended(
    api: &Api,
    context: &Context,
    session: RoleSession,
    vended: &Vended,
) -> Result<(), ApiError> {
    let (Some(trail), Some(event)) = (api.audit.trail(), event(context.route)) else {
        return Ok(());
    };
    let part = vended.token.audited(|credentials| TokenFields::new(sought(&session), credentials));
    let names = Names::of(context);
    let request = request(api, context, event, &names);
    Ok(trail.vended(request, vended.source, part, session.policy.into_json()).await?)
}

/// A ticket is ready. It leaves only if this says so, too.
pub(super) async fn issued(
    api: &Api,
    context: &Context,
    expires: DateTime<Utc>,
) -> Result<(), ApiError> {
    let (Some(trail), Some(event)) = (api.audit.trail(), event(context.route)) else {
        return Ok(());
    };
    let names = Names::of(context);
    Ok(trail.issued(request(api, context, event, &names), expires).await?)
}

/// There was none for this session.
pub(super) fn unmet(api: &Api, context: &Context, session: &RoleSession) {
    if api.audit.trail().is_some() {
        context.note_sought(sought(session));
    }
}

/// The request is answered with an error.
pub(super) fn denied(api: &Api, context: &Context, error: &ApiError, public: &Public) {
    let (Some(trail), Some(event)) = (api.audit.trail(), event(context.route)) else { return };
    let (code, reason) = (public.code(), with_causes(error));
    let why = DenialReason { code: &code, reason: &reason, session: context.sought() };
    let decision = match public.status.is_server_error() {
        true => Decision::Failed(why),
        false => Decision::Refused(why),
    };
    let names = Names::of(context);
    trail.denied(request(api, context, event, &names), &decision);
}

/// The caller hung up before there was an answer.
pub(super) fn abandoned(api: &Api, context: &Context) {
    let (Some(trail), Some(event)) = (api.audit.trail(), event(context.route)) else { return };
    let reason = "the caller hung up";
    let why = DenialReason { code: "ClientGone", reason, session: context.sought() };
    let names = Names::of(context);
    trail.denied(request(api, context, event, &names), &Decision::Failed(why));
}

/// What a route decides about, if it decides.
fn event(route: &str) -> Option<Event> {
    match route {
        TOKEN_ROUTE | OSS_SDK_ROUTE => Some(Event::Token),
        TICKETS_ROUTE => Some(Event::Ticket),
        _ => None,
    }
}

/// What of a request is written out for its line.
struct Names<'a> {
    /// The ticket that is made or shown.
    ticket: Option<String>,
    address: Cow<'a, str>,
}

impl<'a> Names<'a> {
    fn of(context: &'a Context) -> Self {
        let ticket = context.ticket().map(ToString::to_string);
        Self { ticket, address: context.address_text() }
    }
}

fn request<'a>(api: &Api, context: &'a Context, event: Event, names: &'a Names<'_>) -> Request<'a> {
    Request {
        time: api.clock.now(),
        id: context.id.as_str(),
        event,
        peer: context.peer.as_str(),
        address: &names.address,
        client: context.client(),
        authenticated_by: context.authenticated_by(),
        issuer: context.issuer(),
        subject: context.subject(),
        grant: context.grant(),
        ticket: names.ticket.as_deref(),
        is_granted: &context.is_granted,
    }
}

fn sought(session: &RoleSession) -> String {
    session_fields(&session.role, &session.name, session.policy.as_str())
}
