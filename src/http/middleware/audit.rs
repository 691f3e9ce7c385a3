//! The audit record of a request: one for each request of a token, a ticket, a form or a URL, also for refused and failed
//! ones.

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::context::RequestContext;
use super::revocation;
use crate::audit::{
    Decision, DenialReason, Event, ObjectRecord, Request, SignatureRecord, TokenFields, UserNames,
    session_fields,
};
use crate::auth::AuthError;
use crate::callback::UploadClaims;
use crate::grant::Refusal;
use crate::http::api::Api;
use crate::http::error::ApiError;
use crate::http::public_error::Public;
use crate::sts::CallerSession;
use crate::telemetry::with_causes;
use crate::vend::Vended;

/// In place of a reason that could contain a user's name.
const UNNAMED: &str = "left out: it may contain the name of a user (`audit.hash_subjects`)";

/// Fails if a token could not be recorded now; checked before anything is spent on it.
pub(crate) fn check(api: &Api) -> Result<(), ApiError> {
    match api.audit.trail() {
        Some(trail) => Ok(trail.check()?),
        None => Ok(()),
    }
}

/// Records a token that is ready. It may leave only if this succeeds; nothing that waits or fails may come between. Fails,
/// as its siblings do, if the caller was revoked while it waited.
pub(crate) async fn record_token(
    api: &Api,
    context: &RequestContext,
    session: CallerSession,
    vended: &Vended,
) -> Result<(), ApiError> {
    revocation::check(api, context)?;
    let (Some(trail), Some(event)) = (api.audit.trail(), context.route.kind.event()) else {
        return Ok(());
    };
    let part: &Arc<TokenFields> = vended.token.attachment(|credentials| {
        Arc::new(TokenFields::new(requested(&session, trail.names()), credentials))
    });
    let names = Names::of(context);
    let request = request(api, context, event, &names);
    Ok(trail.vended(request, vended.source, part, session.into_policy_json()).await?)
}

/// Records a ticket that is ready. It, too, may leave only if this succeeds.
pub(crate) async fn record_ticket(
    api: &Api,
    context: &RequestContext,
    expires: DateTime<Utc>,
) -> Result<(), ApiError> {
    revocation::check(api, context)?;
    let (Some(trail), Some(event)) = (api.audit.trail(), context.route.kind.event()) else {
        return Ok(());
    };
    let names = Names::of(context);
    Ok(trail.issued(request(api, context, event, &names), expires).await?)
}

/// Records a form or a URL that is ready. It, too, may leave only if this succeeds.
pub(crate) async fn record_signed(
    api: &Api,
    context: &RequestContext,
    object: &ObjectRecord<'_>,
    signature: &SignatureRecord<'_>,
) -> Result<(), ApiError> {
    revocation::check(api, context)?;
    let (Some(trail), Some(event)) = (api.audit.trail(), context.route.kind.event()) else {
        return Ok(());
    };
    let mut members = object.members(trail.names());
    signature.push_onto(&mut members);
    let names = Names::of(context);
    Ok(trail.signed(request(api, context, event, &names), &members).await?)
}

/// Records the object of a request that may still fail.
pub(crate) fn note_object(api: &Api, context: &RequestContext, object: &ObjectRecord<'_>) {
    if let Some(trail) = api.audit.trail() {
        context.note_requested(object.members(trail.names()));
    }
}

/// Records the upload that a request reports, and whose it is.
pub(crate) fn note_upload(api: &Api, context: &RequestContext, upload: &UploadClaims) {
    context.note_uploader(upload);
    let object = ObjectRecord {
        method: None,
        bucket: &upload.bucket,
        key: &upload.key,
        content_type: Some(&upload.content_type),
        max_bytes: None,
        upload_id: Some(&upload.id.to_string()),
    };
    note_object(api, context, &object);
}

/// Records the session for which no token was obtained.
pub(crate) fn note_failed_session(api: &Api, context: &RequestContext, session: &CallerSession) {
    if let Some(trail) = api.audit.trail() {
        context.note_requested(requested(session, trail.names()));
    }
}

/// Records a request that is answered with an error.
pub(crate) fn record_denial(
    api: &Api,
    context: &RequestContext,
    error: &ApiError,
    public: &Public,
) {
    let (Some(trail), Some(event)) = (api.audit.trail(), context.route.kind.event()) else {
        return;
    };
    let code = public.code();
    let reason = if may_name_user(error) && !trail.names().are_plain() {
        UNNAMED.to_owned()
    } else {
        with_causes(error)
    };
    let why = DenialReason { code: &code, reason: &reason, session: context.requested() };
    let decision = if public.status.is_server_error() {
        Decision::Failed(why)
    } else {
        Decision::Refused(why)
    };
    let names = Names::of(context);
    trail.denied(request(api, context, event, &names), &decision);
}

/// Records a request whose caller hung up before the answer.
pub(crate) fn record_hang_up(api: &Api, context: &RequestContext) {
    let (Some(trail), Some(event)) = (api.audit.trail(), context.route.kind.event()) else {
        return;
    };
    let reason = "the caller hung up";
    let why = DenialReason { code: "ClientGone", reason, session: context.requested() };
    let names = Names::of(context);
    trail.denied(request(api, context, event, &names), &Decision::Failed(why));
}

/// The texts that are made for a request's record.
struct Names<'a> {
    /// The ticket that the request makes or presents.
    ticket: Option<String>,
    address: Cow<'a, str>,
}

impl<'a> Names<'a> {
    fn of(context: &'a RequestContext) -> Self {
        let ticket = context.ticket().map(ToString::to_string);
        Self { ticket, address: context.address_text() }
    }
}

fn request<'a>(
    api: &Api,
    context: &'a RequestContext,
    event: Event,
    names: &'a Names<'_>,
) -> Request<'a> {
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

fn requested(session: &CallerSession, names: &UserNames) -> String {
    let session = session.role_session();
    session_fields(&session.role, &session.name, session.policy.as_str(), names)
}

/// Whether the error's text can contain what the caller sent, the hook answered or the operator wrote, and so the name
/// of a user.
fn may_name_user(error: &ApiError) -> bool {
    match error {
        ApiError::Malformed(_)
        | ApiError::InvalidParameter { .. }
        | ApiError::Callback(_)
        | ApiError::CallbackVariable(_)
        | ApiError::Revoked(_)
        | ApiError::DecisionRefused(_)
        | ApiError::Refused(Refusal::Value(_) | Refusal::Policy(_)) => true,
        ApiError::Unauthenticated(AuthError::Jwt(refusal)) => refusal.quotes_claims(),
        ApiError::Refused(
            Refusal::NotGranted
            | Refusal::UploadsOnly { .. }
            | Refusal::NameRequired(_)
            | Refusal::Duration { .. }
            | Refusal::LoginEndsSoon
            | Refusal::LoginEnds,
        )
        | ApiError::PayloadTooLarge
        | ApiError::UnsupportedMediaType
        | ApiError::BodyTimeout
        | ApiError::NoTickets
        | ApiError::TicketTooLong
        | ApiError::NotSigned(..)
        | ApiError::ObjectNotAllowed { .. }
        | ApiError::FileTooLarge { .. }
        | ApiError::NotFound
        | ApiError::MethodNotAllowed
        | ApiError::Unauthenticated(_)
        | ApiError::ClientDisabled
        | ApiError::Throttled(_)
        | ApiError::Vend(_)
        | ApiError::AuditUnavailable(_)
        | ApiError::Decision(_)
        | ApiError::TimedOut
        | ApiError::Panicked => false,
    }
}
