//! Successful answers: the members that all of them begin with, and how they are written.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

/// The capacity for an answer's headers, including those of the request observer and hyper.
const HEADERS: usize = 6;

/// The first members of every successful answer.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Success<'a> {
    #[schema(minimum = 200, maximum = 200)]
    status_code: u16,
    #[schema(pattern = "^Success$")]
    code: &'static str,
    #[schema(format = "uuid")]
    request_id: &'a str,
}

impl<'a> Success<'a> {
    pub(crate) fn new(request_id: &'a str) -> Self {
        Self { status_code: 200, code: "Success", request_id }
    }
}

/// An answer of JSON. The headers that every answer carries are added by the request observer.
pub(crate) fn json(answer: &impl Serialize) -> Response {
    json_text(serde_json::to_vec(answer).expect("our wire types are plain JSON"))
}

/// The same of JSON that is already written.
pub(crate) fn json_text(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    let mut headers = HeaderMap::with_capacity(HEADERS);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.headers_mut() = headers;
    response
}
