//! The headers of every answer.

use crate::certificates::Pki;
use crate::stage::{Setting, Stage, secret};

fn challenges(headers: &reqwest::header::HeaderMap) -> Vec<&str> {
    headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect()
}

async fn refused(stage: &Stage, path: &str) -> Vec<String> {
    let answer = stage.send(stage.request("GET", path)).await;
    challenges(&answer.headers).into_iter().map(str::to_owned).collect()
}

const BASIC: &str = r#"Basic realm="AppServer", charset="UTF-8""#;
const BEARER: &str = r#"Bearer realm="AppServer""#;

#[tokio::test]
async fn a_refused_request_is_offered_exactly_the_configured_authentication_methods() {
    let stage = Stage::demo().await;
    assert_eq!(refused(&stage, "/v1/token").await, [BASIC, BEARER]);
    assert_eq!(refused(&stage, "/v1/oss-sdk/token").await, [BASIC, BEARER]);
    assert_eq!(refused(&stage, "/v1/whoami").await, [BASIC, BEARER]);
    stage.close().await;

    let clients = ["CLIENT-001", "CLIENT-002", "CLIENT-003", "CLIENT-004", "PHOTO-APP"];
    let without = clients.map(|client| format!("APPSERVER__CLIENTS__{client}__SECRET_SHA256"));
    let without = without.each_ref().map(|name| (name.as_str(), ""));
    let stage = Stage::set(Setting { environment: &without, ..Setting::default() }).await;
    assert_eq!(refused(&stage, "/v1/token").await, [BEARER]);
    let secret =
        stage.request("GET", "/v1/token").basic_auth("client-002", Some(secret("client-002")));
    assert_eq!(stage.send(secret).await.outcome(), "401 Unauthenticated");
    stage.close().await;
}

#[tokio::test]
async fn no_answer_allows_content_sniffing() {
    let stage = Stage::demo().await;
    for path in ["/v1/token", "/v1/nothing", "/openapi.json", "/docs"] {
        let answer = reqwest::get(format!("http://{}{path}", stage.public)).await.unwrap();
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        let plain = !answer.headers().contains_key("strict-transport-security");
        assert!(plain, "{path}: over plain HTTP it would be ignored, and is not ours to say");
    }
    for path in ["/healthz", "/readyz", "/version", "/metrics", "/nothing"] {
        let answer = reqwest::get(format!("http://{}{path}", stage.admin)).await.unwrap();
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
    }
    stage.close().await;
}

#[tokio::test]
async fn with_tls_answers_have_strict_transport_security() {
    let pki = Pki::new();
    let config = format!("[server]\n{}", pki.config("off"));
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    for path in ["/v1/token", "/v1/nothing"] {
        let url = format!("https://{}{path}", stage.public);
        let answer = pki.client().build().unwrap().get(url).send().await.unwrap();
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000", "{path}");
    }
    stage.close().await;
}
