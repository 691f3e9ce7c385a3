//! T36: callers that trickle, idle or hoard, beside others who must not notice.

use std::time::Duration;

use appserver::emulator::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::stage::{Setting, Stage};

/// Small bounds, so that reaching them takes no time to speak of.
const BOUNDS: &str = "
[server]
header_timeout_ms = 300
idle_timeout_ms = 600
request_timeout_ms = 900
max_connections = 8
drain_timeout_ms = 2000
";

async fn bounded() -> Stage {
    Stage::set(Setting { config: BOUNDS, ..Setting::default() }).await
}

/// Waits until STS has been asked for a token. It may not have answered.
async fn asked_for_a_token(stage: &Stage) {
    let asked = async {
        while stage.assume_role_calls().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), asked).await.expect("STS is asked for a token");
}

/// Reads until the server ends the connection; answers what came and how long it took.
async fn until_closed(mut stream: TcpStream) -> (String, Duration) {
    let started = Instant::now();
    let mut read = Vec::new();
    let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut read)).await;
    ended.expect("the server ends the connection").ok();
    (String::from_utf8_lossy(&read).into_owned(), started.elapsed())
}

#[tokio::test]
async fn a_head_that_is_never_finished_ends_its_connection_and_harms_nobody() {
    // So long a time-out for idle connections that it is not what ends these.
    let config = "[server]\nheader_timeout_ms = 300\nidle_timeout_ms = 30000\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let mut silent = TcpStream::connect(stage.public).await.unwrap();
    let (reader, mut writer) = TcpStream::connect(stage.public).await.unwrap().into_split();
    let trickle = tokio::spawn(async move {
        let _ = writer.write_all(b"GET /v1/token HTTP/1.1\r\n").await;
        for _ in 0..100 {
            if writer.write_all(b"X-Trickle: 1\r\n").await.is_err() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        drop(reader);
        Instant::now()
    });
    let started = Instant::now();
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    let mut nothing = [0; 1];
    let read =
        timeout(Duration::from_secs(10), silent.read(&mut nothing)).await.expect("it is ended");
    assert_eq!(read.unwrap_or(0), 0);
    let (silent_for, trickled_for) = (started.elapsed(), trickle.await.unwrap() - started);
    let most = Duration::from_millis(1_500);
    assert!(silent_for < most, "the silence went on for {silent_for:?}");
    assert!(trickled_for < most, "the trickle went on for {trickled_for:?}");
    stage.close().await;
}

#[tokio::test]
async fn an_idle_connection_is_ended_later_than_an_unfinished_head() {
    let stage = bounded().await;
    let mut idle = TcpStream::connect(stage.public).await.unwrap();
    idle.write_all(b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (answer, open_for) = until_closed(idle).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    assert!(open_for >= Duration::from_millis(550), "ended after {open_for:?}");
    stage.close().await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_408() {
    let stage = bounded().await;
    let mut slow = TcpStream::connect(stage.public).await.unwrap();
    let head = "POST /v1/token HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\
                Authorization: Basic Y2xpZW50LTAwMjpjbGllbnQtMDAyLWRlbW8tc2VjcmV0\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    let (answer, _) = until_closed(slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains(r#""Code":"RequestTimeout""#), "{answer}");
    assert_eq!(stage.sts.calls(), []);
    stage.close().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_are_closed_at_once_and_counted() {
    let stage = bounded().await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(stage.public).await.unwrap();
        stream.write_all(b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).await.unwrap();
        held.push(stream);
    }
    let (answer, open_for) = until_closed(TcpStream::connect(stage.public).await.unwrap()).await;
    assert_eq!(answer, "");
    assert!(open_for < Duration::from_millis(250), "closed after {open_for:?}");
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(metrics.contains("\nappserver_connections 8\n"), "{metrics}");
    assert!(metrics.contains("\nappserver_connections_refused_total 1\n"), "{metrics}");
    drop(held);
    stage.close().await;
}

/// A head that does not end holds 16 KiB of memory, not hyper's 400.
#[tokio::test]
async fn a_head_that_is_too_long_is_refused_and_counted() {
    let stage = Stage::demo().await;
    let mut long = TcpStream::connect(stage.public).await.unwrap();
    let head = format!("GET /v1/token HTTP/1.1\r\nHost: a\r\nX-Long: {}", "x".repeat(20_000));
    long.write_all(head.as_bytes()).await.unwrap();
    let (answer, _) = until_closed(long).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(metrics.contains("\nappserver_connections_malformed_total 1\n"), "{metrics}");
    stage.close().await;
}

/// A request under way when the server is told to stop is answered; new ones find nobody.
#[tokio::test]
async fn the_drain_finishes_what_is_under_way() {
    let stage = bounded().await;
    stage.sts.script(Fault::Slow { delay_ms: 400 }.always());
    let public = stage.public;
    let request =
        stage.request("GET", "/v1/token").basic_auth("client-002", Some("client-002-demo-secret"));
    let under_way = tokio::spawn(request.send());
    asked_for_a_token(&stage).await;
    assert_eq!(stage.assume_role_calls()[0].outcome, "", "STS has not answered yet");
    stage.close().await;
    assert_eq!(under_way.await.unwrap().unwrap().status(), 200);
    assert!(TcpStream::connect(public).await.is_err());
}

/// STS takes longer than the drain may: the connection is cut, and the process does not hang on it.
#[tokio::test]
async fn the_drain_ends_at_its_deadline() {
    let config = "[server]\ndrain_timeout_ms = 200\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    stage.sts.script(Fault::Slow { delay_ms: 4_000 }.always());
    let request =
        stage.request("GET", "/v1/token").basic_auth("client-002", Some("client-002-demo-secret"));
    let under_way = tokio::spawn(request.send());
    asked_for_a_token(&stage).await;
    let told = Instant::now();
    stage.close().await;
    assert!(told.elapsed() < Duration::from_secs(2), "the drain took {:?}", told.elapsed());
    assert!(under_way.await.unwrap().is_err());
}
