//! What operations answer, headers included.

use axum::http::StatusCode;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder, Schema};

use super::codes::{self, CODES, Code};

/// Headers by their names, what they hold and whether every answer has them.
const HEADERS: [(&str, Type, &str); 7] = [
    ("X-Request-Id", Type::String, "Names the request in the log and to support."),
    ("Cache-Control", Type::String, "`no-store`."),
    ("WWW-Authenticate", Type::String, "`Basic`, with the realm."),
    ("Allow", Type::String, "The methods that the route takes."),
    ("Retry-After", Type::Integer, "Seconds, spread by jitter: when to come back."),
    (
        "RateLimit",
        Type::String,
        "That nothing is left of the limit, and in how many seconds something is.",
    ),
    ("RateLimit-Policy", Type::String, "The limit: so many requests, in so many seconds."),
];

/// What every answer carries.
const ALWAYS: [&str; 2] = ["X-Request-Id", "Cache-Control"];

/// What goes with a status besides.
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

/// A failure, by its name.
pub(super) fn failing(status: u16) -> Ref {
    Ref::from_response_name(name_of(status))
}

/// What a generated client calls it.
fn name_of(status: u16) -> String {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    reason.expect("the error table has statuses that HTTP names").replace(' ', "")
}

fn failure(status: u16) -> Response {
    let told = codes::of(status).map(|Code { class, when, .. }| match *class {
        "InvalidParameter" => format!("`InvalidParameter.<Name>`: {when}."),
        class => format!("`{class}`: {when}."),
    });
    let response = answer(&told.collect::<Vec<_>>().join(" "), "application/json", error());
    headers_of(status).iter().copied().fold(response, with_header).build()
}

/// A success of the API.
pub(super) fn success(about: &str, schema: impl Into<RefOr<Schema>>) -> Response {
    answer(about, "application/json", schema).build()
}

/// What is no JSON of the API's.
pub(super) fn plain(about: &str, media_type: &str, kind: Type) -> Response {
    answer(about, media_type, ObjectBuilder::new().schema_type(kind)).build()
}

/// All other failures.
pub(super) fn otherwise() -> Response {
    answer("Any other failure, in the same shape.", "application/json", error()).build()
}

pub(super) fn error() -> Ref {
    Ref::from_schema_name("ErrorResponse")
}

fn answer(about: &str, media_type: &str, schema: impl Into<RefOr<Schema>>) -> ResponseBuilder {
    let response = ResponseBuilder::new().description(about);
    let response = response.content(media_type, Content::new(Some(schema)));
    ALWAYS.into_iter().fold(response, with_header)
}

fn with_header(response: ResponseBuilder, name: &str) -> ResponseBuilder {
    response.header_ref(name, Ref::new(format!("#/components/headers/{name}")))
}
