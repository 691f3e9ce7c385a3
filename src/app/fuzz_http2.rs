//! The fuzz target of HTTP/2: a connection's bytes, with the whole service of `config/dev.toml` behind them.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::App;
use crate::config::{self, Mode};
use crate::http;
use crate::server::fuzz_http2::{Sent, check_requests, serve};
use crate::server::{ConnectionHandler, Peer};
use appserver_domain::clock::Clock;

thread_local! {
    /// Its clock is virtual: a time-out costs no time.
    static SERVICE: (Runtime, App) = {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("the system gives us a runtime");
        let started = runtime.block_on(start());
        (runtime, started)
    };
}

/// A service that has not verified its AccessKey, so it has no token for anyone.
async fn start() -> App {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dev.toml");
    let environment = ["SERVER", "ADMIN"]
        .map(|section| (format!("APPSERVER__{section}__LISTEN"), "127.0.0.1:0".to_owned()));
    let settings = config::load(&[file], &environment.into(), Mode::Demo);
    let settings = settings.unwrap_or_else(|problems| panic!("{problems:?}"));
    let clock = Clock::manual("2016-01-13T14:02:37Z".parse().expect("it is a time"));
    App::start(settings, clock).await.expect("the demo starts")
}

/// Whatever the bytes of a connection are, it ends, each request that is handled has one host and one length, and each answer is
/// one of the contract: only a secret of a client opens a route that needs one.
pub(crate) fn http2(bytes: &[u8]) {
    answers(bytes);
}

/// The statuses of the answers, as their bodies name them.
fn answers(bytes: &[u8]) -> Vec<u64> {
    let Some(sent) = Sent::of(bytes) else { return Vec::new() };
    let statuses = Arc::<Mutex<_>>::default();
    SERVICE.with(|(runtime, app)| {
        runtime.block_on(async {
            check_requests(&sent).await;
            let handler = http::router(Arc::clone(&app.api));
            serve(Checked { handler, statuses: Arc::clone(&statuses) }, &sent).await;
        });
    });
    std::mem::take(&mut statuses.lock())
}

/// Checks the answers of a handler.
#[derive(Clone)]
struct Checked<H> {
    handler: H,
    statuses: Arc<Mutex<Vec<u64>>>,
}

impl<H: ConnectionHandler> ConnectionHandler for Checked<H> {
    async fn handle(&self, request: Request, peer: Arc<Peer>) -> Response {
        let (path, has_secret) = (request.uri().path().to_owned(), has_secret(request.headers()));
        let asked = format!("{} {}", request.method(), request.uri());
        let (head, body) = self.handler.handle(request, peer).await.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("an answer is in memory");
        let status = check(&path, has_secret, head.status, &head.headers, &body)
            .unwrap_or_else(|fault| panic!("{fault}: {asked} → {head:?} {body:?}"));
        self.statuses.lock().push(status);
        Response::from_parts(head, Body::from(body))
    }

    fn trusts_proxy(&self, proxy: IpAddr) -> bool {
        self.handler.trusts_proxy(proxy)
    }
}

fn check(
    path: &str,
    has_secret: bool,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<u64, &'static str> {
    if !headers.contains_key("x-request-id") {
        return Err("it has no id");
    }
    if matches!(path, "/openapi.json" | "/docs") && status.is_success() {
        return Ok(200);
    }
    if headers.get(header::CACHE_CONTROL).map(HeaderValue::as_bytes) != Some(b"no-store") {
        return Err("it can be cached");
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return Err("it is no JSON") };
    let number = body.get("StatusCode").and_then(Value::as_u64).map_or(200, |number| number);
    match number {
        200 if has_secret && !body.contains_key("SecurityToken") => Ok(number),
        200 => Err("it needs a secret"),
        // A limit of the failures of an address is among them, and that there is no AccessKey yet.
        400 | 401 | 403 | 404 | 405 | 408 | 413 | 415 | 429 | 503 => {
            let is_always_200 = path == "/v1/oss-sdk/token";
            if !is_always_200 && u64::from(status.as_u16()) != number {
                return Err("its two statuses differ");
            }
            body.get("Code").and_then(Value::as_str).map(|_| number).ok_or("it has no code")
        }
        _ => Err("no refusal has this status"),
    }
}

/// Whether the demo's secret of a client is in the header, as its name has it.
fn has_secret(headers: &HeaderMap) -> bool {
    headers.get_all(header::AUTHORIZATION).iter().any(|value| {
        let value = value.to_str().unwrap_or_default();
        let (scheme, rest) = value.split_once(' ').unwrap_or_default();
        let decoded = STANDARD.decode(rest.trim()).unwrap_or_default();
        let decoded = String::from_utf8(decoded).unwrap_or_default();
        let (client, secret) = decoded.split_once(':').unwrap_or_default();
        scheme.eq_ignore_ascii_case("basic") && secret == format!("{client}-demo-secret")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_reaches_the_service_and_only_a_secret_opens_what_needs_one() {
        for (name, expected) in [
            ("without-credential", &[401, 401, 401][..]),
            ("with-secret", &[200, 503]),
            ("continuation", &[200]),
            ("bytes", &[200]),
            ("body", &[503]),
            ("http1", &[]),
        ] {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/http2");
            let input = std::fs::read(corpus.join(name)).unwrap();
            assert_eq!(answers(&input), expected, "{name}");
        }
    }
}
