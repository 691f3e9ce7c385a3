//! Reports of uploads, from a signed form through an OSS that signs like the real one to the app's backend.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appserver_emulator::demo_jwt;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::redis_server::RedisServer;
use crate::stage::{Answer, Setting, Stage, until};
use crate::uploads::{CONFIG, POLICY, ask};

/// The secret of `appserver dev`.
const SECRET: &str = "appserver-demo-callback-secret-0001";
const PATH: &str = "/v1/oss/callback";
/// The answer of the backend.
const SAVED: &str = r#"{"Saved":true}"#;

/// A request as OSS sent it.
#[derive(Clone, Debug)]
struct Recorded {
    headers: HeaderMap,
    body: String,
}

/// The app's backend, and the proxy in front of the service, which keeps what OSS sends.
#[derive(Debug, Default)]
struct Servers {
    /// The backend's: the header that signs, and the body.
    forwarded: Mutex<Vec<(String, String)>>,
    /// The statuses of the backend's next answers; then 200.
    statuses: Mutex<Vec<u16>>,
    delay_ms: AtomicU64,
    recorded: Mutex<Vec<Recorded>>,
    /// The service behind the proxy; without it OSS gets 500.
    service: Mutex<Option<String>>,
}

async fn backend(
    State(servers): State<Arc<Servers>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    tokio::time::sleep(Duration::from_millis(servers.delay_ms.load(Ordering::Relaxed))).await;
    let signature = headers["x-appserver-signature"].to_str().unwrap().to_owned();
    servers.forwarded.lock().unwrap().push((signature, body));
    let status = servers.statuses.lock().unwrap().pop().unwrap_or(200);
    (StatusCode::from_u16(status).unwrap(), SAVED).into_response()
}

async fn proxy(
    State(servers): State<Arc<Servers>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert_eq!(uri.path(), PATH);
    let recorded = Recorded { headers, body: String::from_utf8(body.to_vec()).unwrap() };
    servers.recorded.lock().unwrap().push(recorded.clone());
    let service = servers.service.lock().unwrap().clone();
    let Some(service) = service else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let (status, text) = recorded.send(&service).await;
    (StatusCode::from_u16(status).unwrap(), text).into_response()
}

impl Recorded {
    async fn send(&self, service: &str) -> (u16, String) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut headers = self.headers.clone();
        for own in ["host", "content-length", "connection"] {
            headers.remove(own);
        }
        let request = http.post(format!("{service}{PATH}")).headers(headers);
        let response = request.body(self.body.clone()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

async fn serve(servers: &Arc<Servers>, routes: Router<Arc<Servers>>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = routes.with_state(Arc::clone(servers));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

struct World {
    stage: Stage,
    servers: Arc<Servers>,
    config: String,
}

impl World {
    async fn new(more: &str) -> Self {
        Self::with_deadline(3, more).await
    }

    async fn with_deadline(secs: u64, more: &str) -> Self {
        let servers = Arc::new(Servers::default());
        let backend = serve(&servers, Router::new().fallback(backend)).await;
        let proxy = serve(&servers, Router::new().fallback(proxy)).await;
        let config = format!(
            "{CONFIG}\n[grants.form-upload.upload.callback]\nforward = \"{backend}/uploads\"\n\
             body = [\"operation\"]\ndeadline_secs = {secs}\n[grants.form-upload.upload.callback.vars]\nuser = \"${{subject}}\"\n\
             [server]\npublic_url = \"{proxy}\"\n\
             [uploads]\ncallback_key_url = \"http://{{oss}}/callback_pub_key_v1.pem\"\n\
             [audit]\nsink = \"file\"\nfile = \"{{folder}}/audit.jsonl\"\n{more}"
        );
        let stage = start(&config).await;
        *servers.service.lock().unwrap() = Some(stage.url(""));
        Self { stage, servers, config }
    }

    /// Alice's form, sent with a picture: OSS's status and body.
    async fn upload(&self) -> (u16, String) {
        self.send(&self.form().await).await
    }

    async fn send(&self, form: &Answer) -> (u16, String) {
        let fields = form.body["Fields"].as_object().unwrap();
        let mut body = String::new();
        for (name, value) in fields {
            let value = value.as_str().unwrap();
            body += &format!(
                "--limit\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        body += "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.jpg\"\r\n\r\na picture\r\n--limit--\r\n";
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(form.body["Url"].as_str().unwrap());
        let request = request.header("Content-Type", "multipart/form-data; boundary=limit");
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn form(&self) -> Answer {
        self.form_for(&format!("cat-{}.jpg", self.servers.recorded.lock().unwrap().len())).await
    }

    async fn form_for(&self, name: &str) -> Answer {
        let cat = json!({"Grant": "form-upload", "Name": name, "ContentType": "image/jpeg"});
        let answer = ask(&self.stage, "alice", "/v1/uploads", &cat).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    /// Has OSS sign a report of Bob's own object that names the upload of this form, and nothing the service refuses
    /// without a look at the form's object. Returns OSS's status.
    async fn forge(&self, form: &Answer, etag: &str) -> u16 {
        let token = self.stage.request("GET", "/v1/token");
        let token = token.bearer_auth(demo_jwt("bob", self.stage.clock.now()));
        let token = self.stage.send(token).await;
        let key = form.body["Key"].as_str().unwrap().replace('/', "%2F");
        let sealed = form.body["Fields"]["x:upload"].as_str().unwrap();
        let body = format!(
            "bucket=sample-bucket&object={key}&etag={etag}&size=9&mimeType=image%2Fjpeg&x:upload={sealed}&x:user=alice"
        );
        put_with_callback(self, &token, &body).await
    }

    fn recorded(&self) -> Recorded {
        self.servers.recorded.lock().unwrap().last().unwrap().clone()
    }

    fn forwarded(&self) -> usize {
        self.servers.forwarded.lock().unwrap().len()
    }

    /// The status and code of the answer to a report.
    async fn answer(&self, report: &Recorded) -> String {
        let (status, text) = report.send(&self.stage.url("")).await;
        let body: Value = serde_json::from_str(&text).unwrap();
        format!("{status} {}", body["Code"].as_str().unwrap_or(&text))
    }

    async fn reload(&self, config: &str) {
        let folder = self.stage.folder().to_str().unwrap();
        let config = config.replace("{folder}", folder);
        let config = config.replace("{oss}", &self.stage.oss.to_string());
        self.stage.write("over.toml", &config);
        self.stage.reload().await.unwrap();
    }

    fn audit(&self, file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.stage.folder().join(file)).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["Event"] == "Uploaded").collect()
    }
}

/// Moves the stage's clock with the machine's until it is dropped. The ages of objects are compared with the times of sessions,
/// which end by the machine's clock, too; on a busy machine a test takes more seconds than the two may differ.
struct RunningClock(tokio::task::AbortHandle);

impl RunningClock {
    fn of(stage: &Stage) -> Self {
        let clock = stage.clock.clone();
        let running = tokio::spawn(async move {
            let mut shown = tokio::time::Instant::now();
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let now = tokio::time::Instant::now();
                clock.advance(chrono::TimeDelta::from_std(now - shown).unwrap());
                shown = now;
            }
        });
        Self(running.abort_handle())
    }
}

impl Drop for RunningClock {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn start(config: &str) -> Stage {
    let files = &[("form-upload.json", POLICY)];
    Stage::set(Setting { config, files, ..Setting::default() }).await
}

/// The configuration of a store that replicas share.
fn shared_in(redis: &RedisServer) -> String {
    let url = redis.url();
    format!("[store]\nkind = \"redis\"\n[store.redis]\nurl = \"{url}\"\ntimeout_ms = 5000\n")
}

const REFUSED: &str = "403 Forbidden.Callback";

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_by_a_form_is_confirmed_recorded_and_forwarded_once() {
    let world = World::new("").await;
    assert_eq!(world.upload().await, (200, SAVED.to_owned()));
    // A replay gets the same answer; several at once, too.
    let report = world.recorded();
    let replays = (0..5).map(|_| world.answer(&report));
    for replay in futures_util::future::join_all(replays).await {
        assert_eq!(replay, format!("200 {SAVED}"));
    }
    let forwarded = world.servers.forwarded.lock().unwrap().clone();
    let [(signature, body)] = &forwarded[..] else { panic!("{forwarded:?}") };
    let time = world.stage.clock.now().timestamp();
    let mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    let mac = mac.chain_update(format!("{time}.{body}")).finalize().into_bytes();
    assert_eq!(*signature, format!("t={time},v1={}", hex::encode(mac)));
    let mut body: Value = serde_json::from_str(body).unwrap();
    let upload = body["UploadId"].as_str().unwrap().to_owned();
    body["UploadId"] = "<UploadId>".into();
    insta::assert_snapshot!(body, @r#"{"Bucket":"sample-bucket","Bytes":9,"Client":"photo-app","Confirmed":true,"ContentType":"image/jpeg","Details":{"operation":"PostObject"},"ETag":"101A0E3E2F58188B3E2FFC1057316C13","Event":"Uploaded","Grant":"form-upload","Issuer":"demo","Key":"users/alice/cat-0.jpg","ReportedAt":"2016-01-13T14:02:37Z","Subject":"alice","UploadId":"<UploadId>","Vars":{"user":"alice"}}"#);
    let lines = world.audit("audit.jsonl");
    let [line, ..] = &lines[..] else { panic!("{lines:?}") };
    let shown = ["Decision", "Client", "Subject", "Grant", "Bucket", "Key", "Bytes", "ContentType"];
    let shown: Vec<_> = shown.iter().map(|name| line[*name].to_string()).collect();
    assert_eq!(
        shown.join(" "),
        r#""Confirmed" "photo-app" "alice" "form-upload" "sample-bucket" "users/alice/cat-0.jpg" 9 "image/jpeg""#
    );
    assert_eq!(line["UploadId"], upload);
    until("the delivery is recorded", async || world.audit("audit.jsonl").len() == 2).await;
    let delivered = &world.audit("audit.jsonl")[1];
    assert_eq!(
        (&delivered["Decision"], &delivered["UploadId"]),
        (&"Delivered".into(), &line["UploadId"])
    );
    // One session signs the forms, and another one reads.
    assert_eq!(world.stage.assume_role_calls().len(), 2);
    let (_, metrics) = world.stage.admin("/metrics").await;
    for line in [
        r#"appserver_upload_callback_received_total{outcome="forwarded"} 1"#,
        r#"appserver_upload_callback_received_total{outcome="replayed"} 5"#,
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} not in\n{metrics}");
    }
    world.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_is_changed_anywhere_is_refused_in_one_way() {
    let world = World::new("").await;
    // OSS's report is kept by the proxy and not passed on.
    *world.servers.service.lock().unwrap() = None;
    assert_eq!(world.upload().await.0, 203);
    let report = world.recorded();
    let with = |name: &'static str, value: &str| {
        let mut changed = report.clone();
        changed.headers.insert(name, value.parse().unwrap());
        changed
    };
    let without = |name: &str| {
        let mut changed = report.clone();
        changed.headers.remove(name).unwrap();
        changed
    };
    let key_url = |url: &str| with("x-oss-pub-key-url", &STANDARD.encode(url));
    let own = format!("http://{}/callback_pub_key_v1.pem", world.stage.oss);
    let port = world.stage.oss.port();
    let mut twice = report.clone();
    twice.headers.append("x-oss-pub-key-url", STANDARD.encode(&own).parse().unwrap());
    let mut body = report.clone();
    body.body += "&size=9";
    let mut wrong = vec![
        without("authorization"),
        without("x-oss-pub-key-url"),
        with("authorization", "AAAA"),
        with("authorization", "not base64"),
        with("x-oss-pub-key-url", &own),
        key_url("http://gosspublic.alicdn.com/callback_pub_key_v1.pem"),
        key_url(&format!("http://127.0.0.1:{port}@127.0.0.1:1/callback_pub_key_v1.pem")),
        key_url(&format!("http://127.0.0.1:{port}/other/../callback_pub_key_v1.pem")),
        key_url(&format!("http://localhost:{port}/callback_pub_key_v1.pem")),
        key_url(&format!("{own}?")),
        twice,
        body,
    ];
    for at in [0, report.body.len() / 2, report.body.len() - 1] {
        let mut changed = report.clone();
        let other = if &changed.body[at..=at] == "a" { "b" } else { "a" };
        changed.body.replace_range(at..=at, other);
        wrong.push(changed);
    }
    for wrong in &wrong {
        assert_eq!(world.answer(wrong).await, REFUSED, "{wrong:?}");
    }
    let too_large = Recorded { body: "a".repeat(16 * 1024 + 1), ..report.clone() };
    assert_eq!(world.answer(&too_large).await, "413 PayloadTooLarge");
    // The signature covers the query, too.
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request =
        http.post(world.stage.url(&format!("{PATH}?a=b"))).headers(report.headers.clone());
    assert_eq!(request.body(report.body.clone()).send().await.unwrap().status(), 403);
    assert_eq!(world.forwarded(), 0);
    let refused = world.audit("audit.jsonl.refused");
    assert!(!refused.is_empty() && refused.iter().all(|line| line["Decision"] == "Refused"));
    // Nothing has used the report up.
    assert_eq!(world.answer(&report).await, format!("200 {SAVED}"));
    assert_eq!(world.forwarded(), 1);
    world.stage.close().await;
}

/// Anyone with a bucket can have OSS sign a callback to any URL, with any body.
#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_oss_signs_for_somebody_else_reports_no_upload() {
    let world = World::new("").await;
    let form = world.form().await;
    let sealed = form.body["Fields"]["x:upload"].as_str().unwrap();
    let stolen = format!("x:upload={sealed}&x:user=alice");
    let token = world.stage.request("GET", "/v1/token");
    let token = token.bearer_auth(demo_jwt("bob", world.stage.clock.now()));
    let token = world.stage.send(token).await;
    let facts = "bucket=sample-bucket&etag=A&size=9&mimeType=image%2Fjpeg";
    for body in [
        facts.to_owned(),
        format!("{facts}&object=users%2Fbob%2Fdog.jpg&x:upload=AAAA&x:user=bob"),
        // Another user's claims for one's own object.
        format!("{facts}&object=users%2Fbob%2Fdog.jpg&{stolen}"),
        format!("{facts}&object=users%2Falice%2Fcat-0.jpg&x:upload={sealed}&x:user=bob"),
        // All of it agrees with the claims, and there is no such object.
        format!("{facts}&object=users%2Falice%2Fcat-0.jpg&{stolen}"),
    ] {
        let status = put_with_callback(&world, &token, &body).await;
        assert_eq!(status, 203, "{body}");
        let report = world.recorded();
        assert_eq!(report.body, body);
        assert_eq!(world.answer(&report).await, REFUSED, "{body}");
    }
    assert_eq!(world.forwarded(), 0);
    world.stage.close().await;
}

/// The picture's.
const ETAG: &str = "101A0E3E2F58188B3E2FFC1057316C13";

/// Whoever has a form can have OSS sign a report of it, before and after the true one.
#[tokio::test(flavor = "multi_thread")]
async fn a_false_report_does_not_take_the_place_of_the_true_one() {
    let redis = RedisServer::start().await;
    let store = shared_in(&redis);
    for store in ["", &store] {
        let world = World::new(store).await;
        let _running = RunningClock::of(&world.stage);
        let form = world.form_for("new.jpg").await;
        // There is no such object yet.
        assert_eq!(world.forge(&form, ETAG).await, 203);
        assert_eq!(world.send(&form).await, (200, SAVED.to_owned()));
        // The object is another one.
        *world.servers.service.lock().unwrap() = None;
        let form = world.form_for("other.jpg").await;
        assert_eq!(world.send(&form).await.0, 203);
        let report = world.recorded();
        assert_eq!(world.forge(&form, "A").await, 203);
        let forged = world.recorded();
        let both = [&forged, &forged, &report, &forged, &report];
        let answers = futures_util::future::join_all(both.map(|one| world.answer(one))).await;
        assert_eq!(answers[2], format!("200 {SAVED}"), "{answers:?}");
        assert_eq!(answers[4], format!("200 {SAVED}"), "{answers:?}");
        assert_eq!(world.forwarded(), 2);
        world.stage.close().await;
    }
}

/// While objects cannot be looked at, anyone with a form can have any number of reports kept.
#[tokio::test(flavor = "multi_thread")]
async fn of_reports_that_cannot_be_confirmed_an_upload_has_one_and_its_object_is_what_counts() {
    let redis = RedisServer::start().await;
    let store = shared_in(&redis);
    for store in ["", &store] {
        let world = World::new(store).await;
        let _running = RunningClock::of(&world.stage);
        *world.servers.service.lock().unwrap() = None;
        let form = world.form_for("cat.jpg").await;
        let mut reports = Vec::new();
        for etag in ["A", "B", "C"] {
            assert_eq!(world.forge(&form, etag).await, 203);
            reports.push(world.recorded());
        }
        let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let away = world.config.replace(
            "endpoint = \"http://{oss}\"",
            &format!("endpoint = \"http://{}\"", closed.local_addr().unwrap()),
        );
        assert_ne!(away, world.config);
        drop(closed);
        world.reload(&away).await;
        for report in &reports {
            assert_eq!(world.answer(report).await, "502 Upstream.Callback");
        }
        // There is no such object yet, and the form can still make it.
        world.reload(&world.config).await;
        let failed = r#"appserver_upload_callback_redeliveries_total{outcome="failed"} 1"#;
        until("the kept report is tried again", async || {
            world.stage.admin("/metrics").await.1.lines().any(|line| line == failed)
        })
        .await;
        world.reload(&away).await;
        assert_eq!(world.send(&form).await.0, 203);
        assert_eq!(world.answer(&world.recorded()).await, "502 Upstream.Callback");
        world.reload(&world.config).await;
        until("the upload is forwarded", async || world.forwarded() == 1).await;
        until("the delivery is recorded", async || world.audit("audit.jsonl").len() == 3).await;
        let decisions = world.audit("audit.jsonl");
        let decisions: Vec<_> = decisions.iter().map(|line| line["Decision"].as_str()).collect();
        assert_eq!(decisions, ["Kept", "Confirmed", "Delivered"].map(Some));
        let (_, body) = world.servers.forwarded.lock().unwrap()[0].clone();
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((&body["ETag"], &body["Bytes"]), (&ETAG.into(), &9.into()));
        world.stage.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_confirms_one_upload_whose_form_was_signed_before() {
    let redis = RedisServer::start().await;
    let store = shared_in(&redis);
    for store in ["", &store] {
        let world = World::new(store).await;
        let _running = RunningClock::of(&world.stage);
        let mut unsent = Vec::new();
        for _ in 0..2 {
            unsent.push(world.form_for("cat.jpg").await);
        }
        let form = world.form_for("cat.jpg").await;
        assert_eq!(world.send(&form).await, (200, SAVED.to_owned()));
        for form in &unsent {
            assert_eq!(world.forge(form, ETAG).await, 203);
            assert_eq!(world.answer(&world.recorded()).await, REFUSED);
        }
        assert_eq!(world.forwarded(), 1);
        // An object that nobody reported yet, and a later form.
        *world.servers.service.lock().unwrap() = None;
        assert_eq!(world.send(&world.form_for("dog.jpg").await).await.0, 203);
        let report = world.recorded();
        world.stage.clock.advance(chrono::TimeDelta::seconds(10));
        let later = world.form_for("dog.jpg").await;
        assert_eq!(world.forge(&later, ETAG).await, 203);
        assert_eq!(world.answer(&world.recorded()).await, REFUSED);
        assert_eq!(world.answer(&report).await, format!("200 {SAVED}"));
        assert_eq!(world.forwarded(), 2);
        world.stage.close().await;
    }
}

/// `PutObject` of Bob's own object, signed with V1, with a callback to the service.
async fn put_with_callback(world: &World, token: &Answer, body: &str) -> u16 {
    let field = |name: &str| token.body[name].as_str().unwrap();
    let date = world.stage.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let proxy = world.config.split("public_url = \"").nth(1).unwrap().split('"').next().unwrap();
    let callback = json!({"callbackUrl": format!("{proxy}{PATH}"), "callbackBody": body});
    let callback = STANDARD.encode(callback.to_string());
    let key = "users/bob/dog.jpg";
    let signed = format!(
        "PUT\n\nimage/jpeg\n{date}\nx-oss-callback:{callback}\nx-oss-date:{date}\nx-oss-security-token:{}\n/sample-bucket/{key}",
        field("SecurityToken")
    );
    let mac = Hmac::<Sha1>::new_from_slice(field("AccessKeySecret").as_bytes()).unwrap();
    let signature = STANDARD.encode(mac.chain_update(signed).finalize().into_bytes());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http
        .put(format!("http://{}/sample-bucket/{key}", world.stage.oss))
        .header("content-type", "image/jpeg")
        .header("x-oss-callback", callback)
        .header("x-oss-date", date)
        .header("x-oss-security-token", field("SecurityToken"))
        .header("authorization", format!("OSS {}:{signature}", field("AccessKeyId")));
    request.body("a picture").send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_or_slow_backend_is_answered_203_by_oss_and_gets_the_report_later() {
    let world = World::with_deadline(1, "").await;
    *world.servers.statuses.lock().unwrap() = vec![500];
    let (status, body) = world.upload().await;
    assert!(status == 203 && body.contains("Error status : 502."), "{status} {body}");
    assert_eq!(world.answer(&world.recorded()).await, "502 Upstream.Callback");
    until("the report is delivered again", async || world.forwarded() == 2).await;
    world.servers.delay_ms.store(1500, Ordering::Relaxed);
    let (status, body) = world.upload().await;
    assert!(status == 203 && body.contains("Error status : 504."), "{status} {body}");
    assert_eq!(world.answer(&world.recorded()).await, "504 Upstream.CallbackTimedOut");
    world.servers.delay_ms.store(0, Ordering::Relaxed);
    // The backend gave its first attempt up when the service hung up.
    until("the report is delivered again", async || world.forwarded() == 3).await;
    let forwarded = world.servers.forwarded.lock().unwrap().clone();
    assert!(forwarded[0].1 == forwarded[1].1 && forwarded[1].1 != forwarded[2].1);
    until("both deliveries are recorded", async || world.audit("audit.jsonl").len() == 6).await;
    let lines = world.audit("audit.jsonl");
    let (first, second): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line["Key"] == "users/alice/cat-0.jpg");
    for steps in [first, second] {
        let decisions: Vec<_> = steps.iter().map(|line| line["Decision"].as_str()).collect();
        assert_eq!(decisions, ["Confirmed", "Kept", "Delivered"].map(Some), "{steps:?}");
        assert!(steps.iter().all(|line| line["UploadId"] == steps[0]["UploadId"]), "{steps:?}");
    }
    // The answer that OSS got names the upload, too.
    let failed = &world.audit("audit.jsonl.refused")[0];
    for name in ["Client", "Grant", "Issuer", "Subject", "Bucket", "Key", "UploadId"] {
        assert_eq!(failed[name], lines[0][name], "{name} {failed}");
    }
    assert_eq!(
        (&failed["Decision"], &failed["Code"]),
        (&"Failed".into(), &"Upstream.Callback".into())
    );
    world.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_a_stop_loses_is_in_the_audit() {
    let world = World::new("").await;
    *world.servers.statuses.lock().unwrap() = vec![500; 100];
    assert_eq!(world.upload().await.0, 203);
    until("the report is kept", async || world.audit("audit.jsonl").len() == 2).await;
    let file = world.stage.folder().join("audit.jsonl");
    let kept = std::fs::File::open(file).unwrap();
    world.stage.close().await;
    let text = std::io::read_to_string(kept).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["Decision"], &last["Code"], &last["Reason"]),
        (
            &"Dropped".into(),
            &"NotForwarded".into(),
            &"the process stops, and nothing outside of it keeps the report".into()
        )
    );
    assert_eq!(last["Key"], "users/alice/cat-0.jpg");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_an_expired_form_or_of_a_grant_without_a_callback_is_refused() {
    let world = World::new("").await;
    *world.servers.service.lock().unwrap() = None;
    assert_eq!(world.upload().await.0, 203);
    let report = world.recorded();
    let without = world.config.split("[grants.form-upload.upload.callback]").next().unwrap();
    world.reload(without).await;
    assert_eq!(world.answer(&report).await, REFUSED);
    world.reload(&world.config).await;
    world.stage.clock.advance(chrono::TimeDelta::minutes(15) + chrono::TimeDelta::seconds(61));
    assert_eq!(world.answer(&report).await, REFUSED);
    assert_eq!(world.forwarded(), 0);
    world.stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_forward_a_report_once_and_deliver_each_others_kept_reports() {
    let redis = RedisServer::start().await;
    let store = shared_in(&redis);
    let world = World::new(&store).await;
    // The other one trusts the OSS of the first.
    let config = world.config.replace("{oss}", &world.stage.oss.to_string());
    let other = start(&config).await;
    let _running = [&world.stage, &other].map(RunningClock::of);
    assert_eq!(world.upload().await, (200, SAVED.to_owned()));
    let report = world.recorded();
    assert_eq!(report.send(&other.url("")).await, (200, SAVED.to_owned()));
    assert_eq!(world.forwarded(), 1);
    // A false report of the object at the other replica does not make that one forget whose it is.
    let (unsent, form) = (world.form_for("two.jpg").await, world.form_for("two.jpg").await);
    assert_eq!(world.send(&form).await, (200, SAVED.to_owned()));
    let report = world.recorded();
    assert_eq!(world.forge(&unsent, ETAG).await, 203);
    assert_eq!(world.recorded().send(&other.url("")).await.0, 403);
    assert_eq!(report.send(&other.url("")).await, (200, SAVED.to_owned()));
    assert_eq!(world.forwarded(), 2);
    // Not taken by the backend, and kept in Redis.
    *world.servers.statuses.lock().unwrap() = vec![500];
    assert_eq!(world.upload().await.0, 203);
    let (status, _) = world.recorded().send(&other.url("")).await;
    assert_eq!(status, 502);
    until("a replica delivers the report", async || world.forwarded() == 4).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.forwarded(), 4);
    world.stage.close().await;
    other.close().await;
}
