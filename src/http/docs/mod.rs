//! `/openapi.json`, and `/docs`: the same to be read by people.
//!
//! Both are made once. The page is plain HTML with its style in it: no script, nothing from elsewhere, and a policy that
//! would not let either in.

mod page;
mod shape;
mod text;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::Api;
use super::no_query::NoQuery;
use super::openapi;

const STYLE: &str = include_str!("page.css");

/// What both routes answer.
#[derive(Clone)]
pub(super) struct Docs {
    document: Answer,
    page: Answer,
}

#[derive(Clone)]
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Docs {
    pub(super) fn made() -> Self {
        let document = openapi::document();
        let json = serde_json::to_vec(&document).expect("a document is plain JSON");
        let tree = serde_json::to_value(&document).expect("a document is plain JSON");
        let mut page = Answer::new("text/html; charset=utf-8", page::written(&tree, STYLE).into());
        page.headers.insert(CONTENT_SECURITY_POLICY, policy());
        Self { document: Answer::new("application/json", json.into()), page }
    }

    pub(super) fn document(&self) -> MethodRouter<Arc<Api>> {
        self.document.clone().served()
    }

    pub(super) fn page(&self) -> MethodRouter<Arc<Api>> {
        self.page.clone().served()
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

    fn served(self) -> MethodRouter<Arc<Api>> {
        get(async move |_: NoQuery| {
            let mut response = Response::new(Body::from(self.body.clone()));
            *response.headers_mut() = self.headers.clone();
            response
        })
    }
}

/// Lets in the page's own style, by its hash, and nothing else at all.
fn policy() -> HeaderValue {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    policy.try_into().expect("it is plain ASCII")
}
