//! `/openapi.json`, and `/docs`: the same document as a page.
//!
//! Both are made once. The page is plain HTML with its style in it, without scripts or other resources, and its content
//! security policy admits none.

mod page;
mod shape;
mod text;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use utoipa::openapi::OpenApi;

use super::responses::AnyFailures;

const STYLE: &str = include_str!("page.css");

pub(crate) const DOCUMENT_PATH: &str = "/openapi.json";
pub(crate) const PAGE_PATH: &str = "/docs";

/// The responses of both routes.
pub(crate) struct Docs {
    document: Answer,
    page: Answer,
}

struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Docs {
    pub(crate) fn new(document: &OpenApi) -> Self {
        let json = serde_json::to_vec(document).expect("a document is plain JSON");
        let tree = serde_json::to_value(document).expect("a document is plain JSON");
        let mut page = Answer::new("text/html; charset=utf-8", page::written(&tree, STYLE).into());
        page.headers.insert(CONTENT_SECURITY_POLICY, policy());
        Self { document: Answer::new("application/json", json.into()), page }
    }

    pub(crate) fn document(&self) -> Response {
        self.document.response()
    }

    pub(crate) fn page(&self) -> Response {
        self.page.response()
    }
}

impl Answer {
    fn new(media_type: &'static str, body: Bytes) -> Self {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        ];
        Self { headers: headers.into_iter().collect(), body }
    }

    fn response(&self) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.headers_mut() = self.headers.clone();
        response
    }
}

#[utoipa::path(
    get,
    path = DOCUMENT_PATH,
    operation_id = "openapi",
    summary = "This document",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object), AnyFailures),
)]
#[expect(dead_code, reason = "the attribute describes the route; its answer is made once")]
fn openapi() {}

#[utoipa::path(
    get,
    path = PAGE_PATH,
    operation_id = "docs",
    summary = "The same as a page",
    responses(
        (status = 200, description = "HTML.", body = String, content_type = "text/html; charset=utf-8"),
        AnyFailures,
    ),
)]
#[expect(dead_code, reason = "the attribute describes the route; its answer is made once")]
fn docs() {}

/// Admits the page's own style, by its hash, and nothing else.
fn policy() -> HeaderValue {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    policy.try_into().expect("it is plain ASCII")
}
