//! What a request's span tells, by the names of OpenTelemetry's semantic conventions where they have one.

use axum::http::StatusCode;

use super::context::Context;
use crate::telemetry::Span;

/// Notes how a request was answered. Nothing is told that a caller made up: no path or query of its own, no subject, and
/// of a code the fixed part.
pub(super) fn tell(span: &Span, context: &Context, status: u16, class: &'static str) {
    if !span.is_recorded() {
        return;
    }
    let Context { method, route, .. } = *context;
    let method = if method == "other" { "_OTHER" } else { method };
    let named = if method == "_OTHER" { "HTTP" } else { method };
    span.set_text("http.request.method", method);
    if route == "unmatched" {
        span.rename(named.to_owned());
    } else {
        span.rename(format!("{named} {route}"));
        span.set_text("http.route", route);
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
    // A refusal is the caller's to mend, and no failure of this service.
    if StatusCode::from_u16(status).is_ok_and(|status| status.is_server_error()) {
        span.set_error(class);
    }
}
