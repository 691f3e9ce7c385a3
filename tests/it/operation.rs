//! Metrics and logs as operators see them.

use std::io::Write;

use appserver_emulator::Fault;

use crate::logs;
use crate::stage::{Setting, Stage, until};

#[tokio::test]
async fn metrics_count_requests_tokens_and_sts_calls() {
    let stage = Stage::demo().await;
    stage.get("client-002", "/v1/token").await;
    stage.get("client-002", "/v1/token").await;
    stage.get("client-002", "/v1/token?Grant=nothing").await;
    stage.post("client-003", r#"{"Parameters":{"album":"*"}}"#).await;
    stage.get("client-002", "/v1/no-such-route").await;
    stage.sts.script(Fault::Throttle { time_left_ms: 60_000 }.times(1));
    stage.post("client-003", r#"{"Parameters":{"album":"2015"}}"#).await;

    let (status, text) = stage.admin("/metrics").await;
    assert_eq!(status, 200);
    let counts: Vec<_> = text
        .lines()
        .filter(|line| {
            let is_count = line.contains("_count{")
                || line.contains("_total") && line.starts_with("appserver_")
                || line.starts_with("appserver_ready");
            // Another test covers the series that exist with zero from the start.
            is_count && !line.ends_with(" 0")
        })
        .collect();
    let mut counts = counts;
    counts.sort_unstable();
    insta::assert_snapshot!(counts.join("\n"), @r#"
appserver_http_request_duration_seconds_count{route="/v1/token",status="200",code="Success"} 2
appserver_http_request_duration_seconds_count{route="/v1/token",status="400",code="InvalidParameter"} 1
appserver_http_request_duration_seconds_count{route="/v1/token",status="403",code="Forbidden.Grant"} 1
appserver_http_request_duration_seconds_count{route="/v1/token",status="503",code="Upstream.Throttled"} 1
appserver_http_request_duration_seconds_count{route="unmatched",status="404",code="NotFound"} 1
appserver_ready 1
appserver_requests_failed_total{reason="sts_throttled"} 1
appserver_sts_call_duration_seconds_count{action="AssumeRole",outcome="success"} 1
appserver_sts_call_duration_seconds_count{action="AssumeRole",outcome="throttled"} 1
appserver_sts_call_duration_seconds_count{action="GetCallerIdentity",outcome="success"} 1
appserver_tokens_vended_total{client="client-002",grant="daily-photos"} 2
appserver_vend_lookups_total{outcome="failed"} 1
appserver_vend_lookups_total{outcome="hit"} 1
appserver_vend_lookups_total{outcome="miss"} 1
"#);
    // The budget was reduced after STS throttled; one token is cached.
    let gauge = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<f64>().unwrap()
    };
    assert!((45.0..60.0).contains(&gauge("appserver_vend_budget_rate ")));
    let gauges = ["cached_tokens", "waiting", "queue_length", "breaker_open"]
        .map(|name| gauge(&format!("appserver_vend_{name} ")));
    assert_eq!(gauges, [1.0, 0.0, 0.0, 0.0]);
    stage.close().await;
}

/// Prometheus's own linter reads the text format; it reports problems on standard error.
#[tokio::test]
async fn promtool_accepts_the_metrics() {
    let stage = Stage::demo().await;
    // Every metric that is absent before its first event.
    stage.get("client-002", "/v1/token").await;
    stage.get("client-003", "/v1/token").await;
    let (_, text) = stage.admin("/metrics").await;
    let mut promtool = std::process::Command::new("promtool");
    promtool.args(["check", "metrics"]);
    promtool.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool is there (Debian's package `prometheus`)");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{text}");
    stage.close().await;
}

#[tokio::test]
async fn the_format_of_metrics_follows_the_accept_header() {
    let stage = Stage::demo().await;
    let scrape = async |accept: Option<&str>| {
        let mut request = reqwest::Client::new().get(format!("http://{}/metrics", stage.admin));
        if let Some(accept) = accept {
            request = request.header("Accept", accept);
        }
        let answer = request.send().await.unwrap();
        let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let text = answer.text().await.unwrap();
        (media_type, text.ends_with("# EOF\n"), text.contains("# TYPE appserver_panics counter"))
    };
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8".to_owned();
    let plain = "text/plain; version=0.0.4; charset=utf-8".to_owned();
    let prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    assert_eq!(scrape(Some(prometheus)).await, (open, true, true));
    assert_eq!(scrape(None).await, (plain, false, false));
    stage.close().await;
}

#[tokio::test]
async fn version_names_the_build_and_the_configuration() {
    let stage = Stage::demo().await;
    let (status, text) = stage.admin("/version").await;
    let version: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, version["Version"].as_str()), (200, Some(env!("CARGO_PKG_VERSION"))));
    assert_eq!(version["ConfigHash"].as_str().unwrap().len(), 64);
    stage.close().await;
}

/// One line per failure. Tokens are in the audit; the line of one that STS issues is for those who ask for more.
#[tokio::test]
async fn failures_are_logged_once_and_tokens_at_debug_once_when_sts_issues_them() {
    let stage = Stage::demo().await;
    let start = logs::since(0).len();
    let [issued, kept, refused] = [
        stage.get("client-002", "/v1/token").await,
        stage.get("client-002", "/v1/token").await,
        stage.get("client-002", "/v1/token?Grant=nothing").await,
    ];
    let log = logs::since(start);
    let lines_with = |answer: &crate::stage::Answer, field: &str| {
        let name = answer.body[field].as_str().unwrap();
        log.lines().filter(|line| line.contains(name)).collect::<Vec<_>>()
    };
    let at_info = |lines: Vec<&str>| {
        let is_shown = |line: &&str| !line.contains("DEBUG") && !line.contains("TRACE");
        lines.into_iter().filter(is_shown).map(str::to_owned).collect::<Vec<_>>()
    };
    let of_requests = [&issued, &kept].map(|answer| at_info(lines_with(answer, "RequestId")));
    assert_eq!(of_requests, [[""; 0]; 2]);
    let of_token = lines_with(&issued, "AccessKeyId");
    assert_eq!(at_info(of_token.clone()), [""; 0]);
    let of_call = of_token.into_iter().filter(|line| line.contains("issued a token"));
    for (lines, words) in [
        (of_call.map(str::to_owned).collect(), ["DEBUG", "client-002", "oss-readonly"]),
        (
            at_info(lines_with(&refused, "RequestId")),
            ["Forbidden.Grant", "client-002", "127.0.0.1:"],
        ),
    ] {
        assert_eq!(lines.len(), 1, "{lines:#?}");
        for word in words {
            assert!(lines[0].contains(word), "{word} is not in {}", lines[0]);
        }
    }
    assert_eq!(issued.body["AccessKeyId"], kept.body["AccessKeyId"]);
    stage.close().await;
}

/// When STS is slow, apps time out first; operators must see that.
#[tokio::test]
async fn a_caller_that_hangs_up_is_logged_and_counted() {
    let stage = Stage::demo().await;
    let start = logs::since(0).len();
    stage.sts.script(Fault::Slow { delay_ms: 3_000 }.always());
    let secret = crate::stage::secret("client-002");
    let request = stage.request("GET", "/v1/token").basic_auth("client-002", Some(secret));
    let gone = request.timeout(std::time::Duration::from_millis(200)).send().await;
    assert!(gone.unwrap_err().is_timeout());
    let expected = r#"http_request_duration_seconds_count{route="/v1/token",status="499",code="ClientGone"} 1"#;
    until("it is counted", async || stage.admin("/metrics").await.1.contains(expected)).await;
    let log = logs::since(start);
    assert!(
        log.lines().any(|line| line.contains("the caller hung up") && line.contains("client-002")),
        "{log}"
    );
    stage.sts.clear_faults();
    stage.close().await;
}

/// A wrong secret is logged with the client that it was tried for, and the caller's address.
#[tokio::test]
async fn a_wrong_secret_is_logged_with_the_client_and_the_peer() {
    let stage = Stage::demo().await;
    let start = logs::since(0).len();
    let request = stage.request("GET", "/v1/token").basic_auth("client-002", Some("wrong"));
    let id = stage.send(request).await.body["RequestId"].as_str().unwrap().to_owned();
    let log = logs::since(start);
    let line = log.lines().find(|line| line.contains(&id) && line.contains("refused")).unwrap();
    assert!(line.contains("client-002") && line.contains("127.0.0.1:"), "{line}");
    stage.close().await;
}

/// Every path handles secrets, and none is logged at TRACE.
#[tokio::test]
async fn no_path_logs_a_secret() {
    let stage =
        Stage::set(Setting { config: "[sts]\nmax_attempts = 2\n", ..Setting::default() }).await;
    let start = logs::since(0).len();
    let canary = "canary-8fd1c0ffee";
    let basic =
        |id: &str, secret: &str| stage.request("GET", "/v1/token").basic_auth(id, Some(secret));
    stage.send(basic("client-002", canary)).await;
    stage.send(basic(canary, canary)).await;
    stage
        .send(stage.request("GET", "/v1/token").header("Authorization", format!("Basic {canary}")))
        .await;
    stage
        .send(stage.request("GET", "/v1/token").header("Authorization", format!("Bearer {canary}")))
        .await;
    stage.post("client-003", &format!(r#"{{"Parameters":{{"album":"{canary}*"}}}}"#)).await;
    stage.post("client-003", &format!(r#"{{"Secret":"{canary}"}}"#)).await;
    stage.post("client-003", &format!(r#"{{"DurationSeconds":"{canary}"}}"#)).await;
    stage.post("client-003", &format!(r#"{{"Grant":"{canary}"}}"#)).await;
    stage.post("client-003", &format!(r"{{{canary}")).await;
    for (album, fault) in [
        Fault::Error {
            status: 403.try_into().unwrap(),
            code: "NoPermission".into(),
            message: canary.into(),
        },
        Fault::Error {
            status: 400.try_into().unwrap(),
            code: canary.into(),
            message: canary.into(),
        },
        Fault::Malformed,
        Fault::EmptyCredentials,
        Fault::Cut { mid_body: true },
    ]
    .into_iter()
    .enumerate()
    {
        stage.sts.clear_faults();
        stage.sts.script(fault.always());
        // Each has a session of its own, because refusals are cached.
        stage.get("client-003", &format!("/v1/token?Parameters.album={album}")).await;
    }
    stage.sts.clear_faults();
    stage.get("client-002", "/v1/token").await;
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(!metrics.contains(canary));
    // At TRACE the client and server libraries log what they read, also for the emulator and for the test's own
    // client; only lines that AppServer's process would write count here.
    let encoded = "Y2FuYXJ5LThmZDFjMGZmZWU";
    logs::assert_free_of(start, [canary, encoded].into_iter());
    stage.close().await;
}
