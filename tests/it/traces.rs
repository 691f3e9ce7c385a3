//! Traces, as a collector receives them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use appserver_emulator::{Fault, demo_jwt};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::binary::{Service, emulated_sts};
use crate::collector::{Behaviour, Collector, attribute_lines, span_text};
use crate::logs;
use crate::stage::{Answer, Setting, Stage, secret, until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// A demo that exports to this collector.
async fn stage(collector: SocketAddr, more: &str) -> Stage {
    let config =
        format!("[tracing]\notlp_endpoint = \"http://{collector}\"\nsample_ratio = 0.0\n{more}");
    Stage::set(Setting { config: &config, ..Setting::default() }).await
}

async fn get(stage: &Stage, client: &str, path: &str, traceparent: &str) -> Answer {
    let request = stage.request("GET", path).basic_auth(client, Some(secret(client)));
    stage.send(request.header("traceparent", traceparent)).await
}

/// All spans from the outermost on, with request ids replaced.
fn snapshot(spans: &[Span], answer: &Answer) -> String {
    let span_text: Vec<_> =
        outermost_first(spans).iter().map(|span| span_text(span, spans)).collect();
    span_text.join("\n").replace(answer.body["RequestId"].as_str().unwrap(), "<id>")
}

/// Inner spans end first, so they are exported first.
fn outermost_first(spans: &[Span]) -> Vec<&Span> {
    let above = |span: &Span| spans.iter().find(|other| other.span_id == span.parent_span_id);
    let depth = |span: &&Span| std::iter::successors(above(span), |span| above(span)).count();
    let mut sorted: Vec<_> = spans.iter().collect();
    sorted.sort_by_key(depth);
    sorted
}

/// The counts of `appserver_trace_spans_total`, by outcome.
async fn counts(stage: &Stage) -> Vec<String> {
    let (_, metrics) = stage.admin("/metrics").await;
    let counts = metrics.lines().filter_map(|line| {
        let (outcome, count) =
            line.strip_prefix("appserver_trace_spans_total{outcome=\"")?.split_once("\"} ")?;
        (count != "0").then(|| format!("{outcome} {count}"))
    });
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable();
    counts
}

async fn until_counts(stage: &Stage, expected: &[&str]) {
    let counted = async {
        while counts(stage).await != expected {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let counted = tokio::time::timeout(crate::stage::TIME_LIMIT, counted).await;
    assert!(counted.is_ok(), "not {expected:?}: {:?}", counts(stage).await);
}

#[tokio::test]
async fn a_request_and_its_calls_are_part_of_the_callers_trace() {
    let collector = Collector::start(Behaviour::Accepts).await;
    let stage = stage(collector.address, "").await;
    let start = logs::since(0).len();
    let request = stage.request("GET", "/v1/token?Grant=daily-photos");
    let request = request.basic_auth("client-002", Some(secret("client-002")));
    let request = request.header("traceparent", PARENT).header("tracestate", "rojo=1");
    let answer = stage.send(request).await;
    assert_eq!(answer.outcome(), "200 Success");
    let spans = collector.until(3).await;
    insta::assert_snapshot!(snapshot(&spans, &answer), @r"
GET /v1/token Server
  below 00f067aa0ba902b7
  http.request.method = GET
  http.route = /v1/token
  http.response.status_code = 200
  appserver.request_id = <id>
  appserver.code = Success
  appserver.client = client-002
  appserver.grant = daily-photos
shared call Internal
  below GET /v1/token
Sts/AssumeRole Client
  below shared call
  rpc.service = Sts
  rpc.method = AssumeRole
  http.request.method = POST
  server.address = 127.0.0.1
");
    for span in &spans {
        assert_eq!(
            (hex::encode(&span.trace_id).as_str(), span.trace_state.as_str()),
            (TRACE, "rojo=1")
        );
        // The time of the stage's clock.
        assert_eq!(span.start_time_unix_nano, 1_452_693_757_000_000_000);
        assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    }
    let flags: Vec<_> = outermost_first(&spans).iter().map(|span| span.flags).collect();
    assert_eq!(flags, [0x301, 0x101, 0x101], "the caller's span is elsewhere, the others are here");

    let export = &collector.seen()[0];
    assert_eq!(export.path, "/v1/traces");
    assert_eq!(export.headers["content-type"], "application/x-protobuf");
    let resource = export.decoded().resource_spans[0].resource.clone().unwrap();
    let resource = attribute_lines(&resource.attributes);
    assert_eq!(resource[0], "service.name = appserver");
    assert!(
        resource[1].starts_with("service.version = ")
            && resource[2].starts_with("service.instance.id = ")
    );
    // The token's line in the log names the trace.
    let log = logs::since(start);
    let issued = log.lines().find(|line| line.contains("issued a token")).unwrap();
    assert!(issued.contains(&format!("trace.id=\"{TRACE}\"")), "{issued}");
    stage.close().await;
}

#[tokio::test]
async fn failures_have_the_labels_of_the_metrics_and_are_logged_with_their_trace() {
    let collector = Collector::start(Behaviour::Accepts).await;
    let impatient = "[sts]\nmax_attempts = 2\nattempt_timeout_ms = 2000\n";
    let stage = stage(collector.address, impatient).await;
    let start = logs::since(0).len();
    stage.sts.script(Fault::Html { status: 502.try_into().unwrap() }.always());
    let failed = get(&stage, "client-002", "/v1/token", PARENT).await;
    assert_eq!(failed.outcome(), "503 Upstream.Unavailable");
    let spans = collector.until(4).await;
    insta::assert_snapshot!(snapshot(&spans, &failed), @r"
GET /v1/token Server
  below 00f067aa0ba902b7
  http.request.method = GET
  http.route = /v1/token
  http.response.status_code = 503
  appserver.request_id = <id>
  appserver.code = Upstream.Unavailable
  appserver.client = client-002
  appserver.grant = daily-photos
  error.type = Upstream.Unavailable
  status 2
shared call Internal
  below GET /v1/token
Sts/AssumeRole Client
  below shared call
  rpc.service = Sts
  rpc.method = AssumeRole
  http.request.method = POST
  server.address = 127.0.0.1
  error.type = unavailable
  status 2
Sts/AssumeRole Client
  below shared call
  rpc.service = Sts
  rpc.method = AssumeRole
  http.request.method = POST
  server.address = 127.0.0.1
  http.request.resend_count = 1
  error.type = unavailable
  status 2
");
    let log = logs::since(start);
    let line =
        log.lines().find(|line| line.contains("failed: ") && line.contains("Upstream")).unwrap();
    assert!(line.contains(&format!("trace.id=\"{TRACE}\"")), "{line}");

    // A caller's error is no failure of the service; an unsampled one is still logged with its trace.
    let refused = get(&stage, "client-002", "/v1/token?Grant=nothing", UNSAMPLED).await;
    assert_eq!(refused.outcome(), "403 Forbidden.Grant");
    let refused = get(&stage, "client-002", "/canary-path?canary=query", PARENT).await;
    let spans = collector.until(5).await;
    assert_eq!(spans.len(), 5);
    insta::assert_snapshot!(snapshot(&spans[4..], &refused), @r"
GET Server
  below 00f067aa0ba902b7
  http.request.method = GET
  http.response.status_code = 404
  appserver.request_id = <id>
  appserver.code = NotFound
");
    let log = logs::since(start);
    let line = log.lines().find(|line| line.contains("Forbidden.Grant")).unwrap();
    assert!(line.contains(&format!("trace.id=\"{TRACE}\"")), "{line}");
    stage.close().await;
}

#[tokio::test]
async fn a_waiting_request_is_linked_to_the_request_that_started_the_call() {
    let collector = Collector::start(Behaviour::Accepts).await;
    let stage = stage(collector.address, "").await;
    stage.sts.script(Fault::Slow { delay_ms: 300 }.always());
    let other = PARENT.replace(TRACE, &"ab".repeat(16));
    let joins = async {
        until("STS is asked", async || !stage.assume_role_calls().is_empty()).await;
        get(&stage, "client-002", "/v1/token", &other).await
    };
    let (started, joined) = tokio::join!(get(&stage, "client-002", "/v1/token", PARENT), joins);
    assert_eq!([started.outcome(), joined.outcome()], ["200 Success", "200 Success"]);
    let spans = collector.until(4).await;
    let of = |answer: &Answer| {
        let id = format!("appserver.request_id = {}", answer.body["RequestId"].as_str().unwrap());
        spans.iter().find(|span| attribute_lines(&span.attributes).contains(&id)).unwrap()
    };
    let (started, joined) = (of(&started), of(&joined));
    assert_eq!(hex::encode(&joined.trace_id), "ab".repeat(16));
    let [link] = joined.links.as_slice() else { panic!("not one link: {:?}", joined.links) };
    assert_eq!((&link.trace_id, &link.span_id), (&started.trace_id, &started.span_id));
    assert_eq!(started.links, []);
    stage.sts.clear_faults();
    stage.close().await;
}

/// With a ratio of 0, as this stage has it, only callers' own traces are recorded; and none if remote parents are not trusted.
#[tokio::test]
async fn unsampled_requests_are_not_exported() {
    let collector = Collector::start(Behaviour::Accepts).await;
    let following = stage(collector.address, "").await;
    following.get("client-002", "/v1/token").await;
    get(&following, "client-002", "/v1/token", UNSAMPLED).await;
    get(&following, "client-002", "/v1/token", "not-a-traceparent").await;
    following.close().await;
    let deaf = stage(collector.address, "trust_remote_parent = false\n").await;
    get(&deaf, "client-002", "/v1/token", PARENT).await;
    deaf.close().await;
    assert_eq!(collector.seen().len(), 0);
    // With a ratio of 1 every request is recorded. A stopping server exports the rest first.
    let config = format!(
        "[tracing]\notlp_endpoint = \"http://{}\"\nsample_ratio = 1.0\n",
        collector.address
    );
    let all = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    all.get("client-002", "/v1/token").await;
    all.close().await;
    assert_eq!(collector.spans().len(), 3);
}

#[tokio::test]
async fn a_missing_or_refusing_collector_loses_spans_and_no_request() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let refusing = Collector::start(Behaviour::Refuses).await;
    for address in [gone, refusing.address] {
        let stage = stage(address, "").await;
        let start = logs::since(0).len();
        for _ in 0..10 {
            let answer = get(&stage, "client-002", "/v1/whoami", PARENT).await;
            assert_eq!(answer.status, 200);
        }
        until_counts(&stage, &["export_failed 10"]).await;
        let log = logs::since(start);
        assert!(log.contains("spans cannot be exported"), "{log}");
        stage.close().await;
    }
    let choosy = Collector::start(Behaviour::RejectsFirst(3)).await;
    let stage = stage(choosy.address, "").await;
    for _ in 0..10 {
        get(&stage, "client-002", "/v1/whoami", PARENT).await;
    }
    until_counts(&stage, &["exported 7", "rejected 3"]).await;
    stage.close().await;
}

/// Four spans are in the unanswered export, four wait, and the queue is full.
#[tokio::test]
async fn a_silent_collector_uses_bounded_memory_and_delays_no_request() {
    let silent = Collector::start(Behaviour::NeverAnswers).await;
    let stage = stage(silent.address, "max_queued_spans = 4\ntimeout_ms = 60000\n").await;
    for _ in 0..50 {
        let answer = get(&stage, "client-002", "/v1/whoami", PARENT).await;
        assert_eq!(answer.status, 200);
    }
    until_counts(&stage, &["queue_full 42"]).await;
    assert_eq!(silent.seen().len(), 1);
    let stopping = std::time::Duration::from_secs(15);
    tokio::time::timeout(stopping, stage.close()).await.expect("it stops without the collector");
}

/// Exports contain nothing that callers send or get.
#[tokio::test]
async fn nothing_secret_is_exported() {
    let collector = Collector::start(Behaviour::Accepts).await;
    let headers = "x-api-key = canary-collector-key\n\nx-tenant=one=1\n";
    let config = format!(
        "[tracing]\notlp_endpoint = \"http://{}\"\nsample_ratio = 1.0\nheaders_file = \"otlp-headers\"\n",
        collector.address
    );
    let files = [("otlp-headers", headers)];
    let stage = Stage::set(Setting { config: &config, files: &files, ..Setting::default() }).await;
    let jwt = demo_jwt("canary-subject", stage.clock.now());
    let answers = [
        stage.get("client-003", "/v1/token?Parameters.album=canary-album").await,
        stage
            .get("client-003", "/v1/oss-sdk/token?Parameters.album=canary-album&canary=query")
            .await,
        stage
            .post("client-003", r#"{"Parameters":{"album":"canary-body","canary-name":"*"}}"#)
            .await,
        stage.send(stage.request("GET", "/v1/token").bearer_auth(&jwt)).await,
        stage
            .send(stage.request("GET", "/v1/token").basic_auth("client-002", Some("canary-wrong")))
            .await,
        stage.send(stage.request("GET", "/canary-path").header("x-canary", "canary-header")).await,
    ];
    // Two tokens were issued; each has a shared call and an attempt.
    collector.until(6 + 4).await;
    let exported: Vec<u8> = collector.seen().iter().flat_map(|seen| seen.body.to_vec()).collect();
    let exported = String::from_utf8_lossy(&exported);
    let handed_out = answers.iter().flat_map(|answer| {
        ["AccessKeySecret", "SecurityToken"].map(|field| answer.body[field].as_str())
    });
    let secrets = handed_out.flatten().chain([
        jwt.as_str(),
        "canary",
        "testsecret",
        "-demo-secret",
        "Basic",
        "Bearer",
    ]);
    for secret in secrets {
        assert!(!exported.contains(secret), "{secret} is in {exported}");
    }
    let export = &collector.seen()[0];
    assert_eq!(export.headers["x-api-key"], "canary-collector-key");
    assert_eq!(export.headers["x-tenant"], "one=1");
    assert!(!logs::since(0).contains("canary-collector-key"));
    stage.close().await;
}

/// A proxy to `target` that records requests.
async fn relay(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = Arc::<Mutex<Vec<u8>>>::default();
    let ours = Arc::clone(&sent);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(target).await.unwrap();
            let ((mut asks, mut answered), (mut answers, mut asked)) =
                (near.into_split(), far.into_split());
            let ours = Arc::clone(&ours);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = asks.read(&mut buffer).await {
                    ours.lock().unwrap().extend_from_slice(&buffer[..length]);
                    asked.write_all(&buffer[..length]).await?;
                }
                io::Result::Ok(())
            });
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut answered).await });
        }
    });
    (address, sent)
}

/// STS is not part of the service, so it gets no trace context. Tested with the command as well.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_trace_is_sent_upstream() {
    let collector = Collector::start(Behaviour::Accepts).await;
    let (sts, _) = emulated_sts().await;
    let (sts, sent) = relay(sts).await;
    let service = Service::new(sts, "11223344");
    let endpoint = format!("http://{}", collector.address);
    let environment = [
        ("APPSERVER__TRACING__OTLP_ENDPOINT", endpoint.as_str()),
        ("APPSERVER__LOG__FILTER", "info,appserver=debug"),
    ];
    let mut running = service.start_with(("testid", "testsecret"), &environment);
    service.ready().await;
    let url = format!("http://127.0.0.1:{}/v1/token", service.public);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(url).basic_auth("client-002", Some("abc"));
    let request = request.header("traceparent", PARENT).header("tracestate", "rojo=canary");
    assert_eq!(request.send().await.unwrap().status(), 200);
    running.terminate();
    let log = String::from_utf8(running.ended().stderr).unwrap();
    assert!(log.contains(&format!(r#""trace.id":"{TRACE}""#)), "{log}");
    // It was exported before the process ended.
    assert_eq!(collector.spans().len(), 3);
    let sent = String::from_utf8_lossy(&sent.lock().unwrap()).to_lowercase();
    assert!(sent.contains("action=assumerole"), "{sent}");
    for trace in ["traceparent", "tracestate", TRACE, "00f067aa0ba902b7", "rojo"] {
        assert!(!sent.contains(trace), "{trace} is in {sent}");
    }
}
