//! What a request's span tells, by the names of OpenTelemetry's semantic conventions where they have one.

use axum::http::StatusCode;

use super::context::Context;
use crate::telemetry::Trace;

/// Notes how a request was answered. Nothing is told that a caller made up: no path or query of its own, no subject, and
/// of a code the fixed part.
pub(super) fn tell(trace: &Trace, context: &Context, status: u16, class: &'static str) {
    if !trace.is_recorded() {
        return;
    }
    let Context { method, route, .. } = *context;
    let method = if method == "other" { "_OTHER" } else { method };
    let named = if method == "_OTHER" { "HTTP" } else { method };
    trace.note("http.request.method", method);
    if route == "unmatched" {
        trace.rename(named.to_owned());
    } else {
        trace.rename(format!("{named} {route}"));
        trace.note("http.route", route);
    }
    trace.note_number("http.response.status_code", status.into());
    trace.note("appserver.request_id", context.id.as_str());
    trace.note("appserver.code", class);
    for (key, name) in
        [("appserver.client", context.client()), ("appserver.grant", context.grant())]
    {
        if let Some(name) = name {
            trace.note(key, name);
        }
    }
    // A refusal is the caller's to mend, and no failure of this service.
    if StatusCode::from_u16(status).is_ok_and(|status| status.is_server_error()) {
        trace.fail(class);
    }
}
