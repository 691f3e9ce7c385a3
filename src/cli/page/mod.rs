//! `http://127.0.0.1:8080/dev/`: a page to see what tokens are and are not good for.
//!
//! It is a client like any other: it asks the service's own routes with a demo client's secret, and the emulated OSS
//! with the token. Only what no client could know comes from here.

mod counters;
mod setup;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Json, Redirect, Response};
use axum::routing::get;

use counters::Counters;
pub(super) use setup::Setup;

use crate::telemetry::Metrics;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// All that the page is made of, by its name below `/dev/`.
const ASSETS: [(&str, &str, &str); 12] = [
    ("", HTML, include_str!("assets/index.html")),
    ("page.css", CSS, include_str!("assets/page.css")),
    ("icon.svg", SVG, include_str!("assets/icon.svg")),
    ("page.js", JS, include_str!("assets/page.js")),
    ("asking.js", JS, include_str!("assets/asking.js")),
    ("service.js", JS, include_str!("assets/service.js")),
    ("oss.js", JS, include_str!("assets/oss.js")),
    ("signature.js", JS, include_str!("assets/signature.js")),
    ("policy.js", JS, include_str!("assets/policy.js")),
    ("pictures.js", JS, include_str!("assets/pictures.js")),
    ("life.js", JS, include_str!("assets/life.js")),
    ("counters.js", JS, include_str!("assets/counters.js")),
];

/// The routes below `/dev`. The counters are those of all servers together.
pub(super) fn routes(setup: &Setup, servers: Vec<Arc<Metrics>>) -> Router {
    let policy = security_policy(setup);
    let setup = serde_json::to_value(setup).expect("names and addresses are plain JSON");
    let mut routes = Router::new()
        .route("/dev", get(async || Redirect::permanent("/dev/")))
        .route("/dev/setup.json", get(async || Json(setup)))
        .route("/dev/counters.json", get(async move || Json(Counters::of(&servers))));
    for (name, media_type, text) in ASSETS {
        let answer = async move || ([(header::CONTENT_TYPE, media_type)], text);
        routes = routes.route(&format!("/dev/{name}"), get(answer));
    }
    let framed = move |answer: Response| {
        let policy = policy.clone();
        async move { frame(answer, policy) }
    };
    routes
        .fallback(async || (StatusCode::NOT_FOUND, Json(serde_json::json!({"Code": "NotFound"}))))
        .layer(axum::middleware::map_response(framed))
}

/// What the page may load and whom it may ask: ourselves and the emulated OSS, and no script that stands in a page.
fn security_policy(setup: &Setup) -> HeaderValue {
    let oss = setup.oss_endpoint();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {oss}; img-src 'self' blob:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    policy.try_into().expect("an address is ASCII")
}

fn frame(mut answer: Response, policy: HeaderValue) -> Response {
    let fields: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // A page of yesterday's build would be hard to understand.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    answer.headers_mut().extend(fields);
    answer
}
