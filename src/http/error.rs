//! The one table of errors as callers see them.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::callback_error::{callback_failed, variable_missing};
use super::decision_error::{decision_refused, undecided};
use super::public_error::{Public, RETRY_AFTER};
use super::refusal_error::refused;
use super::signed_thing::{SignedThing, not_signed};
use super::vend_error::{unavailable, vend_failed};
use crate::audit::AuditUnavailable;
use crate::auth::AuthError;
use crate::callback::{CallbackError, NoVariable};
use crate::decision::DecisionError;
use crate::grant::Refusal;
use crate::limit::{LimitKind, Throttled};
use crate::revocation::Revocation;
use crate::vend::VendError;
use appserver_domain::GrantName;
use appserver_policy::{PolicyRefusal, Witness};

/// The longest body of a request: a policy of 2 KiB and parameters fit several times.
pub(crate) const MAX_BODY_BYTES: usize = 16 * 1024;

/// Every failure of a request. `Display` is for the log; callers see [`Public`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("the request is malformed: {0}")]
    Malformed(Cow<'static, str>),
    #[error("`{name}`: {rule}")]
    InvalidParameter { name: Cow<'static, str>, rule: Cow<'static, str> },
    #[error("the body is larger than {MAX_BODY_BYTES} bytes")]
    PayloadTooLarge,
    #[error("the body's Content-Type is not JSON")]
    UnsupportedMediaType,
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("a ticket is requested, and `tickets.key_file` is not set")]
    NoTickets,
    #[error("the ticket would be too long for a URL")]
    TicketTooLong,
    /// The grants of the client that sign it.
    #[error("the grant signs no {0}")]
    NotSigned(SignedThing, Vec<GrantName>),
    #[error("the caller's own policy does not allow `{action}` on the object")]
    ObjectNotAllowed { action: &'static str },
    #[error("the announced file is larger than {max_bytes} bytes")]
    FileTooLarge { max_bytes: u64 },
    #[error("no such route")]
    NotFound,
    #[error("the route has no such method")]
    MethodNotAllowed,
    #[error("not authenticated: {0}")]
    Unauthenticated(AuthError),
    #[error("the client is disabled")]
    ClientDisabled,
    #[error("{0}")]
    Revoked(Arc<Revocation>),
    #[error(transparent)]
    Throttled(Throttled),
    #[error(transparent)]
    Refused(Refusal),
    #[error(transparent)]
    Vend(VendError),
    #[error(transparent)]
    AuditUnavailable(AuditUnavailable),
    #[error(transparent)]
    Callback(CallbackError),
    #[error(transparent)]
    CallbackVariable(NoVariable),
    /// With the hook's reason.
    #[error("the decision hook refused: {}", .0.as_deref().unwrap_or("it gave no reason"))]
    DecisionRefused(Option<Arc<str>>),
    #[error(transparent)]
    Decision(DecisionError),
    #[error("the request ran into its time-out")]
    TimedOut,
    #[error("a handler panicked")]
    Panicked,
}

impl ApiError {
    pub(crate) fn invalid(
        name: impl Into<Cow<'static, str>>,
        rule: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::InvalidParameter { name: name.into(), rule: rule.into() }
    }

    /// Whether a line about each would only flood the log: what anyone can cause without a credential, and
    /// requests beyond a limit that was logged when it was reached. Metrics count them all.
    pub(crate) fn is_noise(&self) -> bool {
        match self {
            Self::Unauthenticated(AuthError::Missing) | Self::NotFound | Self::MethodNotAllowed => {
                true
            }
            // Logged by the callbacks themselves, at a bounded rate.
            Self::Callback(CallbackError::Refused(_) | CallbackError::NotConfigured) => true,
            Self::Throttled(Throttled { limit, .. }) => match limit {
                LimitKind::AddressFailures | LimitKind::ClientFailures => true,
                LimitKind::Client | LimitKind::Subject => false,
            },
            Self::Malformed(_)
            | Self::InvalidParameter { .. }
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::BodyTimeout
            | Self::NoTickets
            | Self::TicketTooLong
            | Self::NotSigned(..)
            | Self::ObjectNotAllowed { .. }
            | Self::FileTooLarge { .. }
            | Self::Unauthenticated(_)
            | Self::ClientDisabled
            | Self::Revoked(_)
            | Self::Refused(_)
            | Self::Vend(_)
            | Self::AuditUnavailable(_)
            | Self::Callback(_)
            | Self::CallbackVariable(_)
            | Self::DecisionRefused(_)
            | Self::Decision(_)
            | Self::TimedOut
            | Self::Panicked => false,
        }
    }

    /// The request about which the two proofs of containment disagree, if they do.
    pub(crate) fn disagreement(&self) -> Option<&Witness> {
        match self {
            Self::Refused(Refusal::Policy(PolicyRefusal::Disagreement(witness))) => Some(witness),
            _ => None,
        }
    }

    /// Which bound was reached or what failed, of what the caller cannot fix. Callers get a `Code`; this is for metrics
    /// and the log, and distinguishes errors that share one.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Vend(error) => Some(error.reason()),
            Self::Callback(error) => error.reason(),
            Self::Decision(error) => Some(error.reason()),
            Self::TimedOut => Some("request_timeout"),
            Self::AuditUnavailable(unavailable) => Some(unavailable.reason()),
            Self::Panicked => Some("panic"),
            Self::Malformed(_)
            | Self::InvalidParameter { .. }
            | Self::PayloadTooLarge
            | Self::UnsupportedMediaType
            | Self::BodyTimeout
            | Self::NoTickets
            | Self::TicketTooLong
            | Self::NotSigned(..)
            | Self::ObjectNotAllowed { .. }
            | Self::FileTooLarge { .. }
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::Unauthenticated(_)
            | Self::ClientDisabled
            | Self::Revoked(_)
            | Self::CallbackVariable(_)
            | Self::DecisionRefused(_)
            | Self::Throttled(_)
            | Self::Refused(_) => None,
        }
    }

    /// The table. Every row of docs/errors.md is here, or in the `*_error.rs` of its part, which this calls.
    pub(crate) fn public(&self) -> Public {
        use StatusCode as Status;
        match self {
            Self::Malformed(what) => Public::new(
                Status::BAD_REQUEST,
                "MalformedRequest",
                format!("The request is malformed: {what}."),
            ),
            Self::InvalidParameter { name, rule } => Public::parameter(name.clone(), rule.clone()),
            Self::PayloadTooLarge => Public::new(
                Status::PAYLOAD_TOO_LARGE,
                "PayloadTooLarge",
                "The body is larger than 16 KiB.",
            ),
            Self::UnsupportedMediaType => Public::new(
                Status::UNSUPPORTED_MEDIA_TYPE,
                "UnsupportedMediaType",
                "Send the body as JSON, not compressed, with `Content-Type: application/json`.",
            ),
            Self::BodyTimeout => Public::new(
                Status::REQUEST_TIMEOUT,
                "RequestTimeout",
                "The body did not arrive in time.",
            ),
            Self::NoTickets => Public::new(
                Status::NOT_FOUND,
                "NotFound",
                "This service is not set up to make tickets.",
            ),
            Self::TicketTooLong => Public::new(
                Status::BAD_REQUEST,
                "MalformedRequest",
                "The ticket would be too long for a URL: send a shorter `Policy` or shorter `Parameters`.",
            ),
            Self::NotSigned(what, grants) => {
                Public::new(Status::FORBIDDEN, "Forbidden.Grant", not_signed(*what, grants))
            }
            Self::ObjectNotAllowed { action } => Public::new(
                Status::FORBIDDEN,
                "Forbidden.Upload",
                format!(
                    "The grant does not allow this caller `{action}` on this key; `POST /v1/explain` says which statement \
                     decides."
                ),
            ),
            Self::FileTooLarge { max_bytes } => Public::new(
                Status::PAYLOAD_TOO_LARGE,
                "PayloadTooLarge",
                format!("Bytes: a file of this grant has at most {max_bytes} bytes."),
            ),
            Self::NotFound => Public::new(Status::NOT_FOUND, "NotFound", "There is no such route."),
            Self::MethodNotAllowed => Public::new(
                Status::METHOD_NOT_ALLOWED,
                "MethodNotAllowed",
                "The route does not take this method; the Allow header names those it takes.",
            ),
            // One answer for every cause: callers must not find out which clients exist.
            Self::Unauthenticated(AuthError::Ticket(_)) => Public::new(
                Status::UNAUTHORIZED,
                "Unauthenticated",
                "The ticket is not valid, or no longer valid; get a new ticket from the app's backend.",
            ),
            Self::Unauthenticated(AuthError::Several) => Public::new(
                Status::UNAUTHORIZED,
                "Unauthenticated",
                "The request carries several credentials; send one credential: a ticket, or the `Authorization` header.",
            ),
            Self::Unauthenticated(_) => Public::new(
                Status::UNAUTHORIZED,
                "Unauthenticated",
                "The request carries no valid credential; send `Authorization: Basic` with the client's id and \
                 secret, or `Authorization: Bearer` with a user's token.",
            ),
            Self::ClientDisabled => Public::new(
                Status::FORBIDDEN,
                "Forbidden.ClientDisabled",
                "The client is disabled; only the operator of the service can enable it again.",
            ),
            Self::Revoked(_) => Public::new(
                Status::FORBIDDEN,
                "Forbidden.Revoked",
                "The access of this caller is revoked; only the operator of the service can restore it.",
            ),
            Self::Throttled(throttled) => Public {
                limit: Some(*throttled),
                ..Public::new(Status::TOO_MANY_REQUESTS, "Throttled.Client", too_many(throttled))
                    .retry_after(throttled.retry_after)
            },
            Self::Refused(refusal) => refused(refusal),
            Self::Vend(error) => vend_failed(error),
            Self::TimedOut => unavailable().retry_after(RETRY_AFTER),
            Self::AuditUnavailable(_) => Public::new(
                Status::SERVICE_UNAVAILABLE,
                "AuditUnavailable",
                "The decision cannot be recorded, and no token is issued without a record; retry later.",
            )
            .retry_after(RETRY_AFTER),
            Self::Callback(error) => callback_failed(error),
            Self::CallbackVariable(missing) => variable_missing(missing),
            Self::DecisionRefused(_) => decision_refused(),
            Self::Decision(error) => undecided(error),
            Self::Panicked => Public::new(
                Status::INTERNAL_SERVER_ERROR,
                "Internal",
                "The service failed; quote the RequestId to the operator.",
            ),
        }
    }
}

fn too_many(Throttled { limit, terms, .. }: &Throttled) -> Cow<'static, str> {
    match limit {
        LimitKind::Client => format!("The client makes more than {terms}.").into(),
        LimitKind::Subject => format!("The user makes more than {terms}.").into(),
        LimitKind::AddressFailures => {
            "Too many requests from this address had no valid credential; retry later.".into()
        }
        LimitKind::ClientFailures => {
            "Too many requests in this client's name had no valid credential; retry later.".into()
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Disabled(_) => Self::ClientDisabled,
            AuthError::Missing
            | AuthError::Malformed
            | AuthError::NotOffered
            | AuthError::UnknownClient
            | AuthError::UnknownCertificate
            | AuthError::EndedCertificate
            | AuthError::Several
            | AuthError::Jwt(_)
            | AuthError::Ticket(_)
            | AuthError::WrongSecret(_) => Self::Unauthenticated(error),
        }
    }
}

impl From<Throttled> for ApiError {
    fn from(throttled: Throttled) -> Self {
        Self::Throttled(throttled)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<VendError> for ApiError {
    fn from(error: VendError) -> Self {
        Self::Vend(error)
    }
}

impl From<NoVariable> for ApiError {
    fn from(missing: NoVariable) -> Self {
        Self::CallbackVariable(missing)
    }
}

impl From<CallbackError> for ApiError {
    fn from(error: CallbackError) -> Self {
        Self::Callback(error)
    }
}

impl From<AuditUnavailable> for ApiError {
    fn from(unavailable: AuditUnavailable) -> Self {
        Self::AuditUnavailable(unavailable)
    }
}

impl IntoResponse for ApiError {
    /// Only carries the error outwards: `observe` knows the request's id and route, and writes the body.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.public().status;
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
