//! What the audit is told of a request: one line for each that wants a token, whatever becomes of it.

use super::Api;
use super::context::{Context, OSS_SDK_ROUTE};
use super::error::{ApiError, Public};
use crate::sts::RoleSession;
use crate::telemetry::audit::{Decision, Event, Request, TokenPart, Why, sought_part};
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
    session: &RoleSession,
    vended: &Vended,
) -> Result<(), ApiError> {
    let (Some(trail), Some(event)) = (api.audit.trail(), event(context.route)) else {
        return Ok(());
    };
    let policy = session.policy.as_str();
    let part = vended.token.audited(|credentials| TokenPart::new(sought(session), credentials));
    let request = request(api, context, event);
    Ok(trail.vended(request, vended.source, part, policy).await?)
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
    let why = Why { code: &code, reason: &reason, sought: context.sought() };
    let decision = match public.status.is_server_error() {
        true => Decision::Failed(why),
        false => Decision::Refused(why),
    };
    trail.denied(request(api, context, event), &decision);
}

/// The caller hung up before there was an answer.
pub(super) fn abandoned(api: &Api, context: &Context) {
    let (Some(trail), Some(event)) = (api.audit.trail(), event(context.route)) else { return };
    let reason = "the caller hung up";
    let why = Why { code: "ClientGone", reason, sought: context.sought() };
    trail.denied(request(api, context, event), &Decision::Failed(why));
}

/// What a route decides about, if it decides.
fn event(route: &str) -> Option<Event> {
    matches!(route, "/v1/token" | OSS_SDK_ROUTE).then_some(Event::Token)
}

fn request<'a>(api: &Api, context: &'a Context, event: Event) -> Request<'a> {
    Request {
        time: api.clock.now(),
        id: context.id.as_str(),
        event,
        peer: context.peer.as_str(),
        client: context.client(),
        authenticated_by: context.authenticated_by(),
        subject: context.subject(),
        grant: context.grant(),
    }
}

fn sought(session: &RoleSession) -> String {
    sought_part(&session.role, &session.name, session.policy.as_str())
}
