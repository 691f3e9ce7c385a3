//! The responses of operations, headers included.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder, Schema};

use super::codes::{self, CODES, Code};

/// Headers by their names, with their descriptions.
const HEADERS: [(&str, Type, &str); 7] = [
    ("X-Request-Id", Type::String, "Identifies the request in the log and to support."),
    ("Cache-Control", Type::String, "`no-store`."),
    ("WWW-Authenticate", Type::String, "`Basic`, with the realm."),
    ("Allow", Type::String, "The methods that the route takes."),
    ("Retry-After", Type::Integer, "Seconds, spread by jitter: when to come back."),
    (
        "RateLimit",
        Type::String,
        "The remaining requests (none), and the seconds until one is available.",
    ),
    ("RateLimit-Policy", Type::String, "The limit: a number of requests in a number of seconds."),
];

/// The headers of every answer.
const ALWAYS: [&str; 2] = ["X-Request-Id", "Cache-Control"];

/// The headers of a status besides those.
fn headers_of(status: u16) -> &'static [&'static str] {
    match status {
        401 => &["WWW-Authenticate"],
        405 => &["Allow"],
        429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        503 => &["Retry-After"],
        _ => &[],
    }
}

pub(super) fn headers() -> impl Iterator<Item = (String, RefOr<Header>)> {
    HEADERS.into_iter().map(|(name, kind, about)| {
        let schema = ObjectBuilder::new().schema_type(kind);
        let header = HeaderBuilder::new().schema(Some(schema)).description(Some(about));
        (name.to_owned(), header.build().into())
    })
}

/// All failures by their names, also those that belong to no operation.
pub(super) fn failures() -> impl Iterator<Item = (String, RefOr<Response>)> {
    let mut statuses: Vec<_> = CODES.iter().map(|code| code.status).collect();
    statuses.dedup();
    statuses.into_iter().map(|status| (name_of(status), failure(status).into()))
}

/// Declares failures that operations share, by their statuses.
macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident: $statuses:expr;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let named = |status: u16| {
                    (status.to_string(), Ref::from_response_name(name_of(status)).into())
                };
                $statuses.into_iter().map(named).collect()
            }
        }
    )+};
}

failures! {
    /// Of every operation.
    AnyFailures: [400, 500];
    /// Of every operation with a credential.
    CallFailures: [400, 401, 403, 429, 500, 503];
    /// Of every operation with a body.
    BodyFailures: [408, 413, 415];
    /// Of every operation that may call STS.
    StsFailures: [502];
    /// Of operations that a service need not offer.
    NotFoundFailure: [404];
    /// Of OSS's reports.
    ReportFailures: [403, 408, 413, 502, 504];
}

/// The extension by which tools know examples of calls, `x-codeSamples`.
pub(crate) fn curl(source: &str) -> Value {
    json!([{"lang": "Shell", "label": "curl", "source": source}])
}

/// Completes an operation: the headers of its success, and the failures that it does not list.
pub(super) fn complete(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    if let Some(RefOr::T(success)) = responses.get_mut("200") {
        for name in ALWAYS {
            success.headers.insert(name.to_owned(), RefOr::Ref(header(name)));
        }
    }
    responses.insert("default".to_owned(), otherwise().into());
}

/// What a generated client calls it.
fn name_of(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.expect("the error table has statuses that HTTP names").replace(' ', "")
}

fn failure(status: u16) -> Response {
    let described = codes::of(status).map(|Code { class, when, .. }| match *class {
        "InvalidParameter" => format!("`InvalidParameter.<Name>`: {when}."),
        class => format!("`{class}`: {when}."),
    });
    let response = answer(&described.collect::<Vec<_>>().join(" "), "application/json", error());
    headers_of(status).iter().copied().fold(response, with_header).build()
}

/// All other failures.
fn otherwise() -> Response {
    answer("Any other failure, in the same shape.", "application/json", error()).build()
}

fn error() -> Ref {
    Ref::from_schema_name("ErrorResponse")
}

fn answer(about: &str, media_type: &str, schema: impl Into<RefOr<Schema>>) -> ResponseBuilder {
    let response = ResponseBuilder::new().description(about);
    let response = response.content(media_type, Content::new(Some(schema)));
    ALWAYS.into_iter().fold(response, with_header)
}

fn with_header(response: ResponseBuilder, name: &str) -> ResponseBuilder {
    response.header_ref(name, header(name))
}

fn header(name: &str) -> Ref {
    Ref::new(format!("#/components/headers/{name}"))
}
