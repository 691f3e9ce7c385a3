//! One route of the public listener, as the router, the request context, metrics, audit and OpenAPI use it.

use std::fmt;
use std::sync::Arc;

use axum::routing::MethodRouter;
use utoipa::openapi::path::{HttpMethod, Operation};

use super::api::Api;
use crate::audit::Event;

/// A row of the route table, `routes::ROUTES`.
pub(crate) struct Route {
    /// Its path, which is its label in logs and metrics, too.
    pub(crate) path: &'static str,
    /// The contract's section that it is in.
    pub(crate) tag: &'static str,
    /// The methods that its 405 names. The router would list HEAD wherever there is GET.
    pub(crate) allow: &'static str,
    pub(crate) kind: RouteKind,
    pub(crate) handlers: fn() -> MethodRouter<Arc<Api>>,
    /// The OpenAPI description of each of its methods.
    pub(crate) operations: fn() -> Vec<(HttpMethod, Operation)>,
}

/// What a route is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RouteKind {
    /// Its `GET` vends a token.
    Token,
    /// The same, and the HTTP status is always 200: the stock Android provider loses the body of a 4xx.
    OssSdkToken,
    Ticket,
    /// It signs an upload form.
    Upload,
    /// It signs the URL of an object.
    Url,
    /// Its sender is OSS, which reports an upload.
    Callback,
    /// It decides nothing that the audit records.
    Other,
    /// The path of a request is no route.
    Unmatched,
}

impl RouteKind {
    /// The audit event of a request for the route, if it has one.
    pub(crate) fn event(self) -> Option<Event> {
        match self {
            Self::Token | Self::OssSdkToken => Some(Event::Token),
            Self::Ticket => Some(Event::Ticket),
            Self::Upload => Some(Event::Upload),
            Self::Url => Some(Event::Url),
            Self::Callback => Some(Event::Uploaded),
            Self::Other | Self::Unmatched => None,
        }
    }

    /// Whether a `GET` of the route vends a token.
    pub(crate) fn gets_token(self) -> bool {
        matches!(self, Self::Token | Self::OssSdkToken)
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Route").field(&self.path).finish()
    }
}
