//! CORS: pages of listed origins may read answers, errors included; other pages may not.

use reqwest::header::HeaderMap;

use crate::stage::{Setting, Stage, secret};

const PAGE: &str = "https://app.example.com";

async fn set() -> Stage {
    let config =
        "[server]\ncors_origins = [\"https://app.example.com\", \"http://localhost:3000\"]\n";
    Stage::set(Setting { config, ..Setting::default() }).await
}

fn cors_headers(headers: &HeaderMap) -> String {
    let cors_headers = headers.iter().filter(|(name, _)| {
        name.as_str().starts_with("access-control") || *name == "vary" || *name == "allow"
    });
    let mut cors_headers: Vec<_> =
        cors_headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    cors_headers.sort_unstable();
    cors_headers.join("\n")
}

async fn preflight(stage: &Stage, path: &str, origin: Option<&str>) -> (u16, String) {
    let mut request =
        stage.request("OPTIONS", path).header("Access-Control-Request-Method", "POST");
    if let Some(origin) = origin {
        request = request.header("Origin", origin);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), cors_headers(answer.headers()))
}

#[tokio::test]
async fn a_listed_page_gets_its_preflight_answered() {
    let stage = set().await;
    let (status, cors_headers) = preflight(&stage, "/v1/token", Some(PAGE)).await;
    assert_eq!(status, 204);
    insta::assert_snapshot!(cors_headers, @r"
access-control-allow-headers: Authorization, Content-Type, Traceparent, Tracestate
access-control-allow-methods: GET, POST
access-control-allow-origin: https://app.example.com
access-control-expose-headers: X-Request-Id, Retry-After, RateLimit, RateLimit-Policy
access-control-max-age: 600
vary: Origin
");
    assert_eq!(preflight(&stage, "/v1/token", Some("http://localhost:3000")).await.0, 204);
    for stranger in [
        None,
        Some("null"),
        Some("https://evil.example.com"),
        Some("http://app.example.com"),
        Some("https://app.example.com.evil.com"),
        Some("https://app.example.com:8443"),
        Some("HTTPS://APP.EXAMPLE.COM"),
    ] {
        let (status, cors_headers) = preflight(&stage, "/v1/token", stranger).await;
        assert_eq!(
            (status, cors_headers.as_str()),
            (405, "allow: GET, POST\nvary: Origin"),
            "{stranger:?}"
        );
    }
    // Routes outside of the API allow no page.
    assert_eq!(preflight(&stage, "/dev", Some(PAGE)).await, (404, String::new()));
    stage.close().await;
}

#[tokio::test]
async fn only_listed_pages_may_read_answers_and_errors() {
    let stage = set().await;
    let shared = "access-control-allow-origin: https://app.example.com\n\
                  access-control-expose-headers: X-Request-Id, Retry-After, RateLimit, RateLimit-Policy\n\
                  vary: Origin";
    for (path, good, status) in [
        ("/v1/token", true, 200),
        ("/v1/whoami", true, 200),
        ("/v1/token", false, 401),
        ("/v1/token?Grant=nothing", true, 403),
        ("/v1/oss-sdk/token", false, 200),
        ("/v1/nothing", true, 404),
    ] {
        for (origin, expected) in [(PAGE, shared), ("https://evil.example.com", "vary: Origin")] {
            let password = if good { secret("client-002") } else { "wrong".to_owned() };
            let request = stage.request("GET", path).basic_auth("client-002", Some(password));
            let answer = stage.send(request.header("Origin", origin)).await;
            assert_eq!(answer.status, status);
            assert_eq!(cors_headers(&answer.headers), expected, "{path} for {origin}");
        }
    }
    stage.close().await;
}

#[tokio::test]
async fn without_listed_origins_no_cors_header_is_sent() {
    let stage = Stage::demo().await;
    let (status, cors_headers) = preflight(&stage, "/v1/token", Some(PAGE)).await;
    assert_eq!((status, cors_headers.as_str()), (405, "allow: GET, POST"));
    let request = stage.request("GET", "/v1/token");
    let request = request.basic_auth("client-002", Some(secret("client-002")));
    let answer = stage.send(request.header("Origin", PAGE)).await;
    assert_eq!(self::cors_headers(&answer.headers), "");
    stage.close().await;
}
