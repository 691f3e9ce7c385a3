//! The attributes of a request's span, by the names of OpenTelemetry's semantic conventions where they have one.

use axum::http::StatusCode;

use super::context::RequestContext;
use crate::http::route::RouteKind;
use crate::telemetry::Span;

/// Records how a request was answered. It contains no text that a caller chooses: no path or query, no subject, and only the
/// fixed part of a code.
pub(crate) fn record_response(
    span: &Span,
    context: &RequestContext,
    status: u16,
    class: &'static str,
) {
    if !span.is_recorded() {
        return;
    }
    let (method, route) = (context.method, context.route);
    let method = if method == "other" { "_OTHER" } else { method };
    let named = if method == "_OTHER" { "HTTP" } else { method };
    span.set_text("http.request.method", method);
    if route.kind == RouteKind::Unmatched {
        span.rename(named.to_owned());
    } else {
        span.rename(format!("{named} {}", route.path));
        span.set_text("http.route", route.path);
    }
    span.set_number("http.response.status_code", status.into());
    span.set_text("appserver.request_id", context.id.as_str());
    span.set_text("appserver.code", class);
    for (key, name) in
        [("appserver.client", context.client()), ("appserver.grant", context.grant())]
    {
        if let Some(name) = name {
            span.set_text(key, name);
        }
    }
    // A refusal is for the caller to fix, and no failure of this service.
    if StatusCode::from_u16(status).is_ok_and(|status| status.is_server_error()) {
        span.set_error(class);
    }
}
