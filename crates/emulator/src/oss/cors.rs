//! CORS: preflights, and the headers by which a page may read an answer. Signatures and policies still decide; cookies are not used.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};

use super::cors_rules::CorsRules;
use super::error::OssError;
use super::head::Head;
use super::response::{empty, set};

/// Whether the request is a preflight.
pub(crate) fn is_preflight(head: &Head) -> bool {
    head.method == Method::OPTIONS
        && head.headers.contains_key(header::ORIGIN)
        && head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight by the rules of its bucket.
pub(crate) fn preflight(
    head: &Head,
    rules: Option<&CorsRules>,
) -> Result<Response<Body>, OssError> {
    let rules = rules.ok_or(OssError::CorsNotEnabled)?;
    let origin = head.header("origin").unwrap_or_default();
    let method = head.header("access-control-request-method").unwrap_or_default();
    let requested = head.header("access-control-request-headers").unwrap_or_default();
    let names: Vec<_> = requested.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    let rule = rules.find(origin, method, &names).ok_or(OssError::CorsNotAllowed)?;
    let mut response = empty(StatusCode::OK);
    let headers = response.headers_mut();
    set(headers, "access-control-allow-methods", &rule.methods.join(", "));
    // The requested headers rather than `*`, which does not include `Authorization`.
    if !requested.is_empty() {
        set(headers, "access-control-allow-headers", requested);
    }
    if let Some(secs) = rule.max_age_seconds {
        set(headers, "access-control-max-age", &secs.to_string());
    }
    Ok(response)
}

/// Adds the headers that let a page read the answer, if a rule of the bucket allows it to pages of this origin.
pub(crate) fn allow_origin(head: &Head, rules: Option<&CorsRules>, response: &mut HeaderMap) {
    let Some(origin) = head.header("origin") else { return };
    response.insert(header::VARY, HeaderValue::from_static("Origin"));
    let method = match head.header("access-control-request-method") {
        Some(requested) if head.method == Method::OPTIONS => requested,
        Some(_) | None => head.method.as_str(),
    };
    let Some(rule) = rules.and_then(|rules| rules.find(origin, method, &[])) else { return };
    set(response, "access-control-allow-origin", rule.allowed_origin(origin));
    if !rule.exposed.is_empty() {
        set(response, "access-control-expose-headers", &rule.exposed.join(", "));
    }
}
