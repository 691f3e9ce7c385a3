//! The contract and the service agree on routes, on every kind of answer, and on valid requests.

use std::collections::BTreeSet;

use appserver_emulator::{ErrorStatus, Fault, demo_jwt};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use syn::visit::Visit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::document::Document;
use crate::stage::{Answer, Setting, Stage, repository, secret};
use crate::uploads::{ask, stage_with};

/// Counts the calls that add a route to a router.
#[derive(Default)]
struct RouteCalls(usize);

impl Visit<'_> for RouteCalls {
    fn visit_expr_method_call(&mut self, call: &syn::ExprMethodCall) {
        self.0 += usize::from(call.method == "route" && call.args.len() == 2);
        syn::visit::visit_expr_method_call(self, call);
    }
}

/// The public router adds routes in one place: for each row of its table, which the document is made of, too.
#[test]
fn the_public_router_has_no_route_beside_its_table() {
    let calls = |path: &str| {
        let source = std::fs::read_to_string(repository(path)).unwrap();
        let mut calls = RouteCalls::default();
        calls.visit_file(&syn::parse_file(&source).unwrap());
        calls.0
    };
    assert_eq!(calls("src/http/routes.rs"), 1);
    for file in ["mod.rs", "route.rs", "api.rs", "contract/docs/mod.rs"] {
        assert_eq!(calls(&format!("src/http/{file}")), 0, "{file}");
    }
}

const ROUTES: [&str; 10] = [
    "/docs",
    "/openapi.json",
    "/v1/explain",
    "/v1/oss-sdk/token",
    "/v1/oss/callback",
    "/v1/tickets",
    "/v1/token",
    "/v1/uploads",
    "/v1/urls",
    "/v1/whoami",
];

#[tokio::test]
async fn every_route_is_in_the_document_and_every_path_of_it_is_served_with_its_methods() {
    let stage = Stage::demo().await;
    let document = Document::of(&stage).await;
    let documented = document.routes();
    assert_eq!(
        documented.keys().cloned().collect::<BTreeSet<_>>(),
        ROUTES.map(str::to_owned).into()
    );
    for (path, methods) in documented {
        let refused = stage.send(stage.request("OPTIONS", &path)).await;
        assert_eq!(refused.outcome(), "405 MethodNotAllowed", "{path}");
        document.check_answer(&path, document.common("MethodNotAllowed"), &refused);
        let allowed = refused.headers["allow"].to_str().unwrap().split(',').map(str::trim);
        // The document has no HEAD: it is GET without its body, or refused.
        let allowed: BTreeSet<_> =
            allowed.filter(|method| *method != "HEAD").map(str::to_owned).collect();
        assert_eq!(allowed, methods, "{path}");
    }
    stage.close().await;
}

/// Each sample runs as printed, with the three variables set.
#[tokio::test(flavor = "multi_thread")]
async fn every_sample_of_the_document_runs_as_printed() {
    let stage = Stage::demo().await;
    let answer = stage.send(stage.request("GET", "/openapi.json")).await;
    let mut count = 0;
    for (path, operations) in answer.body["paths"].as_object().unwrap() {
        for sample in operations
            .as_object()
            .unwrap()
            .values()
            .filter_map(|operation| operation["x-codeSamples"][0]["source"].as_str())
        {
            count += 1;
            let mut command = std::process::Command::new("bash");
            command
                .args([
                    "-c",
                    &format!("{sample} -sS --noproxy '*' -o /dev/null -w '%{{http_code}}'"),
                ])
                .env("APPSERVER", format!("http://{}", stage.public))
                .env("CLIENT", "client-003")
                .env("SECRET", "client-003-demo-secret");
            let output =
                tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
            let status = String::from_utf8(output.stdout).unwrap();
            // The demo has no key for tickets here, and the client a grant with a parameter and none that signs.
            assert!(
                ["200", "400", "403", "404"].contains(&status.as_str()),
                "{path} {status}: {sample}"
            );
        }
    }
    assert!(count >= 6, "{count} samples were found");
    stage.close().await;
}

/// A request, and its answer.
struct Exchange(&'static str, &'static str, Answer);

async fn checked(stage: &Stage, exchanges: Vec<Exchange>) -> BTreeSet<String> {
    let document = Document::of(stage).await;
    let mut outcomes = BTreeSet::new();
    for Exchange(method, path, answer) in exchanges {
        let what = format!("{method} {path}: {}", answer.outcome());
        document.check_answer(&what, document.response(method, path, answer.status), &answer);
        outcomes.insert(answer.outcome());
    }
    outcomes
}

async fn post(stage: &Stage, client: &str, path: &str, body: &str) -> Answer {
    let request = stage.request("POST", path).basic_auth(client, Some(secret(client)));
    let request = request.header("Content-Type", "application/json").body(body.to_owned());
    stage.send(request).await
}

const EXPLAINED: &str =
    r#"{"Action":"oss:HeadObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg"}"#;

#[tokio::test]
async fn every_success_matches_the_document_exactly() {
    let stage = stage_with("[clients.client-002.limit]\nrequests_per_second = 50\n").await;
    let jwt = demo_jwt("alice", stage.clock.now());
    let user = async |path: &str| stage.send(stage.request("GET", path).bearer_auth(&jwt)).await;
    let denied = EXPLAINED.replace("oss:HeadObject", "oss:PutObject");
    let exchanges = vec![
        Exchange("GET", "/v1/token", stage.get("client-002", "/v1/token").await),
        Exchange("GET", "/v1/token", user("/v1/token").await),
        Exchange(
            "POST",
            "/v1/token",
            stage.post("client-003", r#"{"Parameters":{"album":"2015"}}"#).await,
        ),
        Exchange("GET", "/v1/oss-sdk/token", stage.get("client-002", "/v1/oss-sdk/token").await),
        Exchange(
            "GET",
            "/v1/oss-sdk/token",
            stage.get("client-002", "/v1/oss-sdk/token?Grant=nothing").await,
        ),
        Exchange("GET", "/v1/whoami", stage.get("client-002", "/v1/whoami").await),
        Exchange("GET", "/v1/whoami", stage.get("client-003", "/v1/whoami").await),
        Exchange("GET", "/v1/whoami", user("/v1/whoami").await),
        Exchange("POST", "/v1/explain", post(&stage, "client-002", "/v1/explain", EXPLAINED).await),
        Exchange("POST", "/v1/explain", post(&stage, "client-002", "/v1/explain", &denied).await),
        Exchange(
            "POST",
            "/v1/uploads",
            ask(
                &stage,
                "alice",
                "/v1/uploads",
                &json!({"Grant": "form-upload", "Name": "cat.jpg", "ContentType": "image/jpeg"}),
            )
            .await,
        ),
        Exchange(
            "POST",
            "/v1/urls",
            ask(
                &stage,
                "alice",
                "/v1/urls",
                &json!({"Grant": "form-upload", "Method": "PUT", "Key": "users/alice/a", "ContentType": "image/jpeg"}),
            )
            .await,
        ),
    ];
    let outcomes = checked(&stage, exchanges).await;
    assert_eq!(outcomes, ["200 Forbidden.Grant", "200 Success"].map(str::to_owned).into());
    stage.close().await;
}

#[tokio::test]
async fn every_failure_matches_the_document_exactly() {
    let differences = "[clients.client-001]\nenabled = false\n\
                       [clients.client-004.limit]\nrequests_per_second = 1\nburst = 1\n\
                       [sts]\nmax_attempts = 1\n[vend]\nnegative_cache_secs = 0\n\
                       [server]\nrequest_timeout_ms = 2000\n";
    let stage = Stage::set(Setting { config: differences, ..Setting::default() }).await;
    let too_large = format!(r#"{{"Grant":"{}"}}"#, "x".repeat(16 * 1024));
    let wide = r#"{"Policy":{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}}"#;
    let mut exchanges =
        vec![Exchange("GET", "/v1/token", stage.send(stage.request("GET", "/v1/token")).await)];
    stage.get("client-004", "/v1/whoami").await;
    for (client, path) in [
        ("client-002", "/v1/token?Colour=red"),
        ("client-002", "/v1/token?Grant=a&Grant=b"),
        ("client-003", "/v1/token?Parameters.album=*"),
        ("client-002", "/v1/token?Grant=nothing"),
        ("client-001", "/v1/token"),
        ("client-004", "/v1/token"),
    ] {
        exchanges.push(Exchange("GET", "/v1/token", stage.get(client, path).await));
    }
    exchanges.push(Exchange("GET", "/v1/whoami", stage.get("client-002", "/v1/whoami?x=y").await));
    exchanges.push(Exchange("GET", "/docs", stage.get("client-002", "/docs?x=y").await));
    for path in ["/v1/token", "/v1/explain", "/v1/uploads", "/v1/urls"] {
        for body in ["{", &too_large, wide] {
            exchanges.push(Exchange("POST", path, post(&stage, "client-002", path, body).await));
        }
        let request =
            stage.request("POST", path).basic_auth("client-002", Some(secret("client-002")));
        exchanges.push(Exchange("POST", path, stage.send(request.body("a=b")).await));
        exchanges.push(Exchange("POST", path, stalled(&stage, path).await));
    }
    let refused = Fault::Error {
        status: ErrorStatus::try_from(403).unwrap(),
        code: "NoPermission".into(),
        message: String::new(),
    };
    for fault in [
        refused,
        Fault::Throttle { time_left_ms: 30_000 },
        Fault::Html { status: ErrorStatus::try_from(502).unwrap() },
    ] {
        stage.sts.script(fault.times(1).only("AssumeRole"));
        exchanges.push(Exchange("GET", "/v1/token", stage.get("client-002", "/v1/token").await));
    }
    let outcomes = checked(&stage, exchanges).await;
    insta::assert_snapshot!(outcomes.into_iter().collect::<Vec<_>>().join("\n"), @r#"
400 InvalidParameter.Action
400 InvalidParameter.Colour
400 InvalidParameter.Parameters.album
400 InvalidParameter.Policy
400 MalformedRequest
401 Unauthenticated
403 Forbidden.ClientDisabled
403 Forbidden.Grant
403 Forbidden.Policy
408 RequestTimeout
413 PayloadTooLarge
415 UnsupportedMediaType
429 Throttled.Client
502 Upstream.Refused
503 Upstream.Throttled
503 Upstream.Unavailable
"#);

    let document = Document::of(&stage).await;
    let nothing = stage.get("client-002", "/v1/nothing").await;
    document.check_answer("no such route", document.common("NotFound"), &nothing);
    stage.close().await;
}

#[tokio::test]
async fn answers_of_a_server_that_is_not_ready_match_the_document() {
    let unproven = Setting {
        before: Some(|sts| sts.script(Fault::Cut { mid_body: false }.always())),
        ..Setting::default()
    };
    let stage = Stage::set_unready(unproven).await;
    let exchanges = vec![Exchange("GET", "/v1/token", stage.get("client-002", "/v1/token").await)];
    assert_eq!(checked(&stage, exchanges).await, ["503 NotReady".to_owned()].into());
    stage.close().await;
}

/// A body that never arrives.
async fn stalled(stage: &Stage, path: &str) -> Answer {
    let mut stream = TcpStream::connect(stage.public).await.unwrap();
    // Of client-002.
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\
         Authorization: Basic Y2xpZW50LTAwMjpjbGllbnQtMDAyLWRlbW8tc2VjcmV0\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        // Of this connection, not of the answer.
        (!name.eq_ignore_ascii_case("connection"))
            .then(|| (name.parse().unwrap(), value.parse().unwrap()))
    });
    Answer { status, headers: headers.collect(), body: serde_json::from_str(body).unwrap() }
}

/// A request is refused for its shape exactly if the document does not allow it.
#[tokio::test]
async fn requests_match_the_document() {
    let stage = Stage::demo().await;
    let document = Document::of(&stage).await;
    let policy = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": "oss:GetObject",
        "Resource": "acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg"}]});
    let tokens = [
        (json!({}), true),
        (
            json!({"Grant": "daily-photos", "DurationSeconds": 900, "Parameters": {}, "Policy": policy}),
            true,
        ),
        (json!({"Grant": null}), false),
        (json!({"DurationSeconds": null}), false),
        (json!({"Parameters": null}), false),
        (json!({"Parameters": {"album": null}}), false),
        (json!({"Policy": null}), false),
        (json!({"Colour": null}), false),
        (json!({"Policy": policy.to_string()}), true),
        (json!({"Grant": 7}), false),
        (json!({"DurationSeconds": "900"}), false),
        (json!({"DurationSeconds": 900.5}), false),
        (json!({"DurationSeconds": 899}), false),
        (json!({"Parameters": {"album": 2015}}), false),
        (json!({"Parameters": []}), false),
        (json!({"Policy": []}), false),
        (json!({"Colour": "red"}), false),
        (json!([]), false),
    ];
    let explained: Value = serde_json::from_str(EXPLAINED).unwrap();
    let with = |name: &str, value: Value| {
        let mut body = explained.clone();
        body[name] = value;
        body
    };
    let explanations = [
        (explained.clone(), true),
        (with("Conditions", json!({"oss:Prefix": "a"})), true),
        (with("Conditions", json!({"oss:Prefix": 1})), false),
        (with("Policy", policy), true),
        (with("Action", json!(null)), false),
        (with("Resource", json!(null)), false),
        (with("Conditions", json!(null)), false),
        (with("Conditions", json!({"oss:Prefix": null})), false),
        (with("Grant", json!(null)), false),
        (with("Parameters", json!(null)), false),
        (with("Policy", json!(null)), false),
        (with("DurationSeconds", json!(900)), false),
        (json!({"Action": "oss:GetObject"}), false),
    ];
    let tickets = [
        (json!({"Grant": "daily-photos", "ExpiresInSeconds": 60}), true),
        (json!({"ExpiresInSeconds": null}), false),
        (json!({"Grant": null}), false),
        (json!({"DurationSeconds": null}), false),
        (json!({"Parameters": null}), false),
        (json!({"Policy": null}), false),
    ];
    let tokens = tokens.map(|(body, fits)| ("/v1/token", "TokenRequest", body, fits));
    let explanations =
        explanations.map(|(body, fits)| ("/v1/explain", "ExplainRequest", body, fits));
    let tickets = tickets.map(|(body, fits)| ("/v1/tickets", "TicketRequest", body, fits));
    for (path, shape, body, fits) in tokens.into_iter().chain(explanations).chain(tickets) {
        let problems = document.problems(shape, &body);
        assert_eq!(problems.is_empty(), fits, "{body}: {problems}");
        let answer = post(&stage, "client-002", path, &body.to_string()).await;
        let expected = if fits { 200 } else { 400 };
        assert_eq!(answer.status, expected, "{path} {body}: {}", answer.body);
    }
    stage.close().await;
}

#[tokio::test]
async fn the_page_shows_every_operation_and_code_and_loads_no_other_resources() {
    let stage = Stage::demo().await;
    let document = Document::of(&stage).await;
    let response = stage.request("GET", "/docs").send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let page = response.text().await.unwrap();
    assert_eq!(
        (status.as_u16(), &headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = headers["content-security-policy"].to_str().unwrap();
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    let hash = STANDARD.encode(Sha256::digest(style));
    let expected = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(policy, expected, "only the page's own style, and nothing else, is let in");

    for (path, methods) in document.routes() {
        for method in methods {
            assert!(page.contains(&format!("<b>{method}</b> {path}</code>")), "{method} {path}");
        }
    }
    let failures = document.tree["components"]["responses"].as_object().unwrap().values();
    let codes = failures
        .flat_map(|failure| failure["description"].as_str().unwrap().split('`').skip(1).step_by(2));
    for code in codes {
        assert!(
            page.contains(&format!(
                "<code>{}</code>",
                code.replace('<', "&lt;").replace('>', "&gt;")
            )),
            "{code}"
        );
    }
    for loading in ["<script", "<link", "<img", "src=", "@import", "url(", "http://", "https://"] {
        assert!(!page.contains(loading), "{loading}");
    }
    let anchors: BTreeSet<_> =
        page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let lost: Vec<_> =
        anchors.iter().filter(|id| !page.contains(&format!("id=\"{id}\""))).collect();
    assert_eq!(lost, Vec::<&&str>::new(), "links that lead nowhere");

    let (_, metrics) = stage.admin("/metrics").await;
    for route in ["/docs", "/openapi.json"] {
        let counted = format!(
            "appserver_http_request_duration_seconds_count{{route=\"{route}\",status=\"200\",code=\"Success\"}} 1"
        );
        assert!(metrics.contains(&counted), "{metrics}");
    }
    stage.close().await;
}
