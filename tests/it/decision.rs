//! The decision hook: a server of the operator refuses or shortens what grants allow.

use std::sync::{Arc, Mutex};

use appserver_emulator::demo_jwt;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::collector::{Behaviour, Collector, span_text};
use crate::stage::{Answer, Setting, Stage, until};
use crate::uploads::{CONFIG, POLICY};

/// The operator's server.
#[derive(Debug, Default)]
struct Hook {
    received: Mutex<Vec<(String, Value)>>,
    /// The status and the body of the answers; a body `by-phone` allows only what `phone-1` requests.
    answer: Mutex<(u16, String)>,
}

impl Hook {
    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    /// What it got since the last look.
    fn take(&self) -> Vec<Value> {
        self.received.lock().unwrap().drain(..).map(|(_, body)| body).collect()
    }
}

async fn decide(State(hook): State<Arc<Hook>>, uri: Uri, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let is_phone_1 = body["Headers"]["x-app-attest"] == "phone-1";
    hook.received.lock().unwrap().push((uri.path().to_owned(), body));
    let (status, mut answer) = hook.answer.lock().unwrap().clone();
    if answer == "by-phone" {
        answer = format!(r#"{{"Allow":{is_phone_1}}}"#);
    }
    let location = [(header::LOCATION, "/elsewhere")];
    (StatusCode::from_u16(status).unwrap(), location, answer).into_response()
}

struct World {
    stage: Stage,
    hook: Arc<Hook>,
    config: String,
}

impl World {
    async fn new(more: &str) -> Self {
        let hook = Arc::new(Hook::default());
        hook.answers(200, r#"{"Allow":true}"#);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/decide", listener.local_addr().unwrap());
        let routes = Router::new().fallback(decide).with_state(Arc::clone(&hook));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        // Far more than a busy machine needs.
        let config = format!(
            "{CONFIG}\n[server]\ncors_origins = [\"https://app.example.com\"]\n\
             [audit]\nsink = \"file\"\nfile = \"{{folder}}/audit.jsonl\"\n\
             [decision]\nurl = \"{url}\"\ntimeout_ms = 10000\nheaders = [\"X-App-Attest\"]\n{more}"
        );
        let files = &[("form-upload.json", POLICY)];
        let stage = Stage::set(Setting { config: &config, files, ..Setting::default() }).await;
        Self { stage, hook, config }
    }

    /// Alice's token, requested by this phone.
    async fn token(&self, phone: &str) -> Answer {
        let jwt = demo_jwt("alice", self.stage.clock.now());
        let request = self.stage.request("GET", "/v1/token?DurationSeconds=1800").bearer_auth(jwt);
        self.stage.send(request.header("X-App-Attest", phone)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let jwt = demo_jwt("alice", self.stage.clock.now());
        let request = self.stage.request("POST", path).bearer_auth(jwt);
        let request = request.header("X-App-Attest", "phone-1").header("Cookie", "canary-cookie");
        let request = request.header("Content-Type", "application/json").body(body.to_string());
        self.stage.send(request).await
    }

    async fn upload(&self) -> Answer {
        let cat = json!({"Grant": "form-upload", "Name": "cat.jpg", "ContentType": "image/jpeg", "Bytes": 12});
        self.post("/v1/uploads", &cat).await
    }

    async fn url(&self) -> Answer {
        let cat = json!({"Grant": "form-upload", "Method": "GET", "Key": "users/alice/cat.jpg"});
        self.post("/v1/urls", &cat).await
    }

    /// A new ticket of Alice, as its two routes.
    async fn ticket(&self) -> [String; 2] {
        let made = self.post("/v1/tickets", &json!({})).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let path =
            |field: &str| made.body[field].as_str().unwrap().replace(&self.stage.url(""), "");
        [path("Url"), path("OssSdkUrl")]
    }

    async fn use_ticket(&self, path: &str) -> Answer {
        let request = self.stage.request("GET", path).header("X-App-Attest", "phone-1");
        self.stage.send(request).await
    }

    async fn metric(&self, line: &str) -> bool {
        self.stage.admin("/metrics").await.1.lines().any(|found| found == line)
    }
}

#[tokio::test]
async fn tokens_forms_urls_and_used_tickets_are_decided_about_and_nothing_else() {
    let world = World::new("").await;
    assert_eq!(world.token("phone-1").await.status, 200);
    assert_eq!(world.upload().await.status, 200);
    assert_eq!(world.url().await.status, 200);
    let mut asked = world.hook.take();
    for body in &mut asked {
        assert_eq!(body["RequestId"].as_str().unwrap().len(), 36);
        body["RequestId"] = "<id>".into();
    }
    insta::assert_snapshot!(asked.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"), @r#"
    {"Address":"127.0.0.1","AuthenticatedBy":"Jwt","Client":"photo-app","DurationSeconds":1800,"Grant":"my-photos","Headers":{"x-app-attest":"phone-1"},"Issuer":"demo","Kind":"token","Parameters":{},"RequestId":"<id>","Subject":"alice"}
    {"Address":"127.0.0.1","AuthenticatedBy":"Jwt","Bytes":12,"Client":"photo-app","ContentType":"image/jpeg","DurationSeconds":900,"Grant":"form-upload","Headers":{"x-app-attest":"phone-1"},"Issuer":"demo","Key":"users/alice/cat.jpg","Kind":"upload","Parameters":{},"RequestId":"<id>","Subject":"alice"}
    {"Address":"127.0.0.1","AuthenticatedBy":"Jwt","Client":"photo-app","DurationSeconds":900,"Grant":"form-upload","Headers":{"x-app-attest":"phone-1"},"Issuer":"demo","Key":"users/alice/cat.jpg","Kind":"url","Method":"GET","Parameters":{},"RequestId":"<id>","Subject":"alice"}
    "#);
    let [ticket, oss_sdk] = world.ticket().await;
    let jwt = demo_jwt("alice", world.stage.clock.now());
    world.stage.send(world.stage.request("GET", "/v1/whoami").bearer_auth(jwt)).await;
    assert_eq!(world.hook.take(), Vec::<Value>::new(), "a ticket and whoami hand nothing out");
    for path in [ticket, oss_sdk] {
        assert_eq!(world.use_ticket(&path).await.status, 200);
        let asked = world.hook.take();
        let of_interest = ["Kind", "AuthenticatedBy", "Subject", "Headers"];
        let found = of_interest.map(|member| asked[0][member].to_string()).join(" ");
        assert_eq!(found, r#""token" "Ticket" "alice" {"x-app-attest":"phone-1"}"#);
    }
    world.stage.close().await;
}

#[tokio::test]
async fn a_refusal_is_403_and_its_reason_is_in_the_audit_alone() {
    let world = World::new("").await;
    let [ticket, oss_sdk] = world.ticket().await;
    world.hook.answers(200, r#"{"Allow":false,"Reason":"banned for spam"}"#);
    let refused = world.token("phone-1").await;
    insta::assert_snapshot!(refused.steady(), @r#"{"Code":"Forbidden.Decision","ErrorCode":"Forbidden.Decision","ErrorMessage":"The operator of the service refuses this request by a decision of its own; quote the RequestId to the operator.","Message":"The operator of the service refuses this request by a decision of its own; quote the RequestId to the operator.","RequestId":"<RequestId>","StatusCode":403}"#);
    for answer in
        [refused, world.upload().await, world.url().await, world.use_ticket(&ticket).await]
    {
        assert_eq!(answer.outcome(), "403 Forbidden.Decision");
    }
    let of_android = world.use_ticket(&oss_sdk).await;
    assert_eq!((of_android.status, &of_android.body["StatusCode"]), (200, &json!(403)));
    assert_eq!(world.stage.assume_role_calls(), [], "STS is not called for what is refused");
    let file = world.stage.folder().join("audit.jsonl");
    let refusals = file.with_file_name("audit.jsonl.refused");
    let lines = async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        text + &std::fs::read_to_string(&refusals).unwrap_or_default()
    };
    let reason = r#""Reason":"the decision hook refused: banned for spam""#;
    until("the audit has the five refusals", async || lines().await.matches(reason).count() == 5)
        .await;
    assert!(
        world
            .metric(r#"appserver_decision_requests_total{mode="enforce",outcome="refused"} 5"#)
            .await
    );
    world.stage.close().await;
}

#[tokio::test]
async fn tokens_and_signatures_are_shortened_and_never_lengthened() {
    let world = World::new("").await;
    world.hook.answers(200, r#"{"Allow":true,"DurationSeconds":1799}"#);
    let token = world.token("phone-1").await;
    assert_eq!(token.status, 200, "{}", token.body);
    // In steps, so that each of them is a token that others get from the cache.
    let calls = world.stage.assume_role_calls();
    assert_eq!(calls[0].parameters["DurationSeconds"], "1500");
    world.hook.answers(200, r#"{"Allow":true,"DurationSeconds":7}"#);
    for answer in [world.upload().await, world.url().await] {
        let left = answer.time("ExpiresAt") - world.stage.clock.now();
        assert_eq!(left.num_seconds(), 7, "{}", answer.body);
    }
    world.hook.answers(200, r#"{"Allow":true,"DurationSeconds":1801}"#);
    for answer in [world.token("phone-1").await, world.url().await] {
        assert_eq!(answer.outcome(), "503 DecisionUnavailable");
    }
    world.stage.close().await;
}

#[tokio::test]
async fn without_a_decision_nothing_is_handed_out() {
    let world = World::new("").await;
    for (status, body, reason) in [
        (500, "", "decision_failed"),
        (200, "<html>", "decision_wrong_answer"),
        (302, r#"{"Allow":true}"#, "decision_wrong_answer"),
        (307, r#"{"Allow":true}"#, "decision_wrong_answer"),
    ] {
        world.hook.answers(status, body);
        for answer in [world.token("phone-1").await, world.upload().await, world.url().await] {
            assert_eq!(answer.outcome(), "503 DecisionUnavailable", "{status}");
            assert!(answer.headers.contains_key("retry-after"));
        }
        let failed = format!(r#"appserver_requests_failed_total{{reason="{reason}"}} 0"#);
        assert!(!world.metric(&failed).await, "{failed}");
    }
    let paths: Vec<_> =
        world.hook.received.lock().unwrap().iter().map(|(path, _)| path.clone()).collect();
    assert!(paths.iter().all(|path| path == "/decide"), "a redirect is followed: {paths:?}");
    assert_eq!(world.stage.assume_role_calls(), []);
    world.stage.close().await;
}

#[tokio::test]
async fn one_phones_attestation_never_serves_another() {
    let world = World::new("cache_secs = 300\n").await;
    world.hook.answers(200, "by-phone");
    for (phone, status, calls) in
        [("phone-1", 200, 1), ("phone-1", 200, 0), ("phone-2", 403, 1), ("phone-2", 403, 0)]
    {
        // The same user, whose token is cached.
        assert_eq!(world.token(phone).await.status, status, "{phone}");
        assert_eq!(world.hook.take().len(), calls, "{phone}");
    }
    world.stage.close().await;
}

#[tokio::test]
async fn on_error_allow_serves_without_a_silent_hook_and_not_against_a_wrong_answer() {
    let world = World::new("on_error = \"allow\"\n").await;
    world.hook.answers(503, "");
    assert_eq!(world.token("phone-1").await.status, 200);
    let allowed =
        r#"appserver_decision_requests_total{mode="enforce",outcome="allowed_on_error"} 1"#;
    assert!(world.metric(allowed).await);
    world.hook.answers(200, "{}");
    assert_eq!(world.token("phone-1").await.outcome(), "503 DecisionUnavailable");
    world.stage.close().await;
}

#[tokio::test]
async fn a_shadow_counts_what_it_would_have_done() {
    let world = World::new("mode = \"shadow\"\n").await;
    world.hook.answers(200, r#"{"Allow":false}"#);
    for answer in [world.token("phone-1").await, world.upload().await, world.url().await] {
        assert_eq!(answer.status, 200);
    }
    let refused = r#"appserver_decision_requests_total{mode="shadow",outcome="refused"} 3"#;
    until("three refusals are counted", async || world.metric(refused).await).await;
    world.stage.close().await;
}

#[tokio::test]
async fn a_reload_changes_the_hook_and_the_grants_that_it_decides_about() {
    let world = World::new("").await;
    world.hook.answers(200, r#"{"Allow":false}"#);
    assert_eq!(world.token("phone-1").await.status, 403);
    let folder = world.stage.folder().to_str().unwrap();
    let config = world.config.replace("{folder}", folder);
    let config = config.replace("{oss}", &world.stage.oss.to_string());
    world.stage.write("over.toml", &format!("{config}grants = [\"form-upload\"]\n"));
    world.stage.reload().await.unwrap();
    assert_eq!(world.token("phone-1").await.status, 200);
    assert_eq!(world.url().await.status, 403);
    world.stage.write("over.toml", &format!("{config}grants = [\"no-such\"]\n"));
    let problem = world.stage.reload().await.unwrap_err();
    assert_eq!(problem, "decision.grants: there is no grant `no-such`; each is a key of `grants`");
    world.stage.close().await;
}

#[tokio::test]
async fn listed_headers_are_text_and_pages_may_send_them() {
    let world = World::new("").await;
    let jwt = demo_jwt("alice", world.stage.clock.now());
    let request = || world.stage.request("GET", "/v1/token").bearer_auth(&jwt);
    let binary = world.stage.send(request().header("X-App-Attest", &b"\xff"[..])).await;
    assert_eq!(binary.outcome(), "400 MalformedRequest");
    let several = request().header("X-App-Attest", "a").header("X-App-Attest", "b");
    assert_eq!(world.stage.send(several).await.status, 200);
    assert_eq!(world.hook.take()[0]["Headers"], json!({"x-app-attest": "a, b"}));
    let preflight = world.stage.request("OPTIONS", "/v1/token");
    let preflight = preflight.header("Origin", "https://app.example.com");
    let answer = preflight.header("Access-Control-Request-Method", "GET").send().await.unwrap();
    assert_eq!(
        answer.headers()["access-control-allow-headers"],
        "Authorization, Content-Type, Traceparent, Tracestate, x-app-attest"
    );
    world.stage.close().await;
}

/// As the calls of STS: a span of its own below the request, without what the hook is asked.
#[tokio::test]
async fn the_call_of_the_hook_is_a_span_of_the_request() {
    let collector = Collector::start(Behaviour::Accepts).await;
    let tracing = format!(
        "[tracing]\notlp_endpoint = \"http://{}\"\nsample_ratio = 1.0\n",
        collector.address
    );
    let world = World::new(&tracing).await;
    assert_eq!(world.token("phone-1").await.outcome(), "200 Success");
    let of_hook = |spans: &[Span]| {
        let calls: Vec<_> = spans.iter().filter(|span| span.name == "decision hook").collect();
        calls.iter().map(|call| span_text(call, spans)).collect::<Vec<_>>()
    };
    // The request, the hook's call, the shared call and STS's.
    let spans = collector.until(4).await;
    insta::assert_snapshot!(of_hook(&spans).join("\n"), @"
    decision hook Client
      below GET /v1/token
      http.request.method = POST
      server.address = 127.0.0.1
    ");
    world.hook.answers(500, "");
    assert_eq!(world.token("phone-2").await.outcome(), "503 DecisionUnavailable");
    let spans = collector.until(6).await;
    let calls = of_hook(&spans);
    insta::assert_snapshot!(calls[1], @"
    decision hook Client
      below GET /v1/token
      http.request.method = POST
      server.address = 127.0.0.1
      error.type = decision_failed
      status 2
    ");
    world.stage.close().await;
}
