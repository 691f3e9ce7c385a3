//! Clients that trickle, idle or open many connections do not affect others.

use std::time::Duration;

use appserver_emulator::Fault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use crate::stage::{Setting, Stage, TIME_LIMIT};

/// The Authorization of `client-002`.
const AUTHENTICATED: &str = "Authorization: Basic Y2xpZW50LTAwMjpjbGllbnQtMDAyLWRlbW8tc2VjcmV0\r\n";

/// Low limits, so that they are reached quickly.
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

/// Waits for a call to STS, answered or not.
async fn sts_call_begins(stage: &Stage) {
    let asked = async {
        while stage.assume_role_calls().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), asked).await.expect("STS is asked for a token");
}

/// Reads until the server closes the connection; returns the bytes and the time it took.
async fn until_closed(mut stream: TcpStream) -> (String, Duration) {
    let started = Instant::now();
    let mut read = Vec::new();
    let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut read)).await;
    ended.expect("the server ends the connection").ok();
    (String::from_utf8_lossy(&read).into_owned(), started.elapsed())
}

#[tokio::test]
async fn an_incomplete_head_times_out_and_delays_no_other_client() {
    // The idle time-out is too long to end these.
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
async fn an_idle_connection_times_out_later_than_an_incomplete_head() {
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

/// It is the caller's fault, and no failure of STS.
#[tokio::test]
async fn a_get_whose_body_does_not_arrive_is_answered_400() {
    let stage = bounded().await;
    for body in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let mut slow = TcpStream::connect(stage.public).await.unwrap();
        let head = format!(
            "GET /v1/token HTTP/1.1\r\nHost: a\r\n{body}\r\n\
             Authorization: Basic Y2xpZW50LTAwMjpjbGllbnQtMDAyLWRlbW8tc2VjcmV0\r\n\r\n"
        );
        slow.write_all(head.as_bytes()).await.unwrap();
        let (answer, _) = until_closed(slow).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(
            answer.contains("a `GET` takes its parameters in the query and no body"),
            "{answer}"
        );
    }
    assert_eq!(stage.sts.calls(), []);
    stage.close().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_where_all_others_are_authenticated() {
    let config = "[server]\nmax_connections = 8\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(stage.public).await.unwrap();
        let request = format!("GET /v1/whoami HTTP/1.1\r\nHost: a\r\n{AUTHENTICATED}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).await.unwrap();
        held.push(stream);
    }
    let (answer, open_for) = until_closed(TcpStream::connect(stage.public).await.unwrap()).await;
    assert_eq!(answer, "");
    assert!(open_for < Duration::from_millis(250), "closed after {open_for:?}");
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(metrics.contains("\nappserver_connections 8\n"), "{metrics}");
    assert!(
        metrics.contains("\nappserver_connections_refused_total{bound=\"server\"} 1\n"),
        "{metrics}"
    );
    drop(held);
    stage.close().await;
}

/// A connection from another loopback address.
async fn from(host: u8, to: std::net::SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, host], 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Which of them the server has closed; the others have nothing to read.
async fn ended(streams: &mut [TcpStream]) -> Vec<bool> {
    let mut ended = Vec::new();
    for stream in streams {
        let read = timeout(Duration::from_millis(30), stream.read(&mut [0; 1])).await;
        ended.push(read.is_ok_and(|read| read.unwrap_or(0) == 0));
    }
    ended
}

/// Waits until the metrics have this line.
async fn counted(stage: &Stage, line: &str) {
    let counted = async {
        while !stage.admin("/metrics").await.1.contains(line) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIME_LIMIT, counted).await.unwrap_or_else(|_| panic!("{line} is not counted"));
}

/// An address with many connections affects only its own, and probes are answered.
#[tokio::test]
async fn an_address_at_its_limit_loses_its_own_idle_connections_only() {
    let config = "[server]\nmax_connections = 30\nmax_connections_per_address = 10\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let mut neighbour = [from(3, stage.public).await];
    let mut hoarded = Vec::new();
    for _ in 0..40 {
        hoarded.push(from(2, stage.public).await);
    }
    counted(&stage, "\nappserver_connections_evicted_total{bound=\"address\"} 30\n").await;
    let ended = ended(&mut hoarded).await;
    assert_eq!(ended, [vec![true; 30], vec![false; 10]].concat(), "the oldest were ended");
    assert_eq!(self::ended(&mut neighbour).await, [false]);
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    // Incomplete heads count as idle, and further bytes do not change that.
    for stream in &mut hoarded[30..] {
        stream.write_all(b"GET /v1/token HTTP/1.1\r\nX").await.unwrap();
    }
    let mut probes = Vec::new();
    for _ in 0..200 {
        probes.push(from(2, stage.admin).await);
    }
    assert_eq!(stage.admin("/healthz").await.0, 200);
    assert_eq!(stage.admin("/readyz").await.0, 200);
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(metrics.contains("\nappserver_connections_refused_total{bound=\"server\"} 0\n"));
    drop((hoarded, probes));
    stage.close().await;
}

#[tokio::test]
async fn at_the_total_limit_unauthenticated_connections_are_evicted_for_new_ones() {
    let config = "[server]\nmax_connections = 8\nmax_connections_per_address = 0\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let mut hoarded = Vec::new();
    for _ in 0..8 {
        hoarded.push(TcpStream::connect(stage.public).await.unwrap());
    }
    counted(&stage, "\nappserver_connections 8\n").await;
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    assert_eq!(ended(&mut hoarded).await, [vec![true], vec![false; 7]].concat());
    counted(&stage, "\nappserver_connections_evicted_total{bound=\"server\"} 1\n").await;
    stage.close().await;
}

/// Their connections have the load balancer's address, or the header names the client of a request, not of a connection.
#[tokio::test]
async fn connections_of_proxies_have_no_address_limit_and_the_full_idle_time_out() {
    let bounds = "max_connections_per_address = 2\nunauthenticated_idle_timeout_ms = 100\n";
    for proxied in [
        "behind_proxy = true",
        "behind_proxy = true\ntrusted_proxies = [\"127.0.0.0/8\"]\nforwarded_header = \"forwarded\"",
        "trusted_proxies = [\"127.0.0.0/8\"]\nforwarded_header = \"x-forwarded-for\"",
    ] {
        let config = format!("[server]\n{bounds}{proxied}\n");
        let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
        let mut pooled = Vec::new();
        for _ in 0..5 {
            let mut stream = TcpStream::connect(stage.public).await.unwrap();
            let request = b"HEAD /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(stream.read_u8().await.unwrap());
            }
            pooled.push(stream);
        }
        sleep(Duration::from_millis(200)).await;
        assert_eq!(ended(&mut pooled).await, [false; 5], "{proxied}");
        stage.close().await;
    }
}

#[tokio::test]
async fn behind_the_proxy_protocol_the_named_client_addresses_are_counted() {
    let config = "[server]\nmax_connections_per_address = 2\nbehind_proxy = true\n\
                  trusted_proxies = [\"127.0.0.1\", \"203.0.113.0/24\"]\nproxy_protocol = true\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let mut streams = Vec::new();
    for source in
        ["192.0.2.1", "192.0.2.1", "192.0.2.2", "203.0.113.1", "203.0.113.1", "203.0.113.1"]
    {
        let mut stream = TcpStream::connect(stage.public).await.unwrap();
        let header = format!("PROXY TCP4 {source} 198.51.100.1 4711 443\r\n");
        stream.write_all(header.as_bytes()).await.unwrap();
        streams.push(stream);
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ended(&mut streams).await, [false; 6]);
    let mut third = TcpStream::connect(stage.public).await.unwrap();
    third.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 443\r\n").await.unwrap();
    counted(&stage, "\nappserver_connections_evicted_total{bound=\"address\"} 1\n").await;
    let ended = ended(&mut streams).await;
    assert_eq!(ended.iter().filter(|ended| **ended).count(), 1, "{ended:?}");
    assert!(ended[0] || ended[1], "{ended:?}");
    stage.close().await;
}

#[tokio::test]
async fn the_idle_time_out_is_shorter_after_an_unauthenticated_request() {
    let config = "[server]\nunauthenticated_idle_timeout_ms = 300\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let mut proven = TcpStream::connect(stage.public).await.unwrap();
    let request = format!("HEAD /v1/whoami HTTP/1.1\r\nHost: a\r\n{AUTHENTICATED}\r\n");
    proven.write_all(request.as_bytes()).await.unwrap();
    let mut stranger = TcpStream::connect(stage.public).await.unwrap();
    stranger.write_all(b"GET /v1/token HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (answer, open_for) = until_closed(stranger).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!((250..2_000).contains(&open_for.as_millis()), "ended after {open_for:?}");
    let mut answer = vec![0; 1024];
    let read = proven.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));
    assert_eq!(ended(&mut [proven]).await, [false]);
    stage.close().await;
}

/// At the memory limit others are served, and the memory is released afterwards.
#[tokio::test]
async fn incomplete_heads_beyond_the_memory_limit_end_their_connections() {
    let config =
        "[server]\nmax_connection_memory_bytes = 1048576\nmax_connections_per_address = 0\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let mut long = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(stage.public).await.unwrap();
        let head = format!("GET /v1/token HTTP/1.1\r\nX-Long: {}", "x".repeat(12_000));
        stream.write_all(head.as_bytes()).await.unwrap();
        long.push(stream);
    }
    // Each is estimated at 48 KiB, so 21 fit.
    assert_eq!(stage.get("client-002", "/v1/token").await.outcome(), "200 Success");
    let served = ended(&mut long).await.iter().filter(|ended| !**ended).count();
    assert!((15..=21).contains(&served), "{served} are still open");
    assert!(!ended(&mut long[39..]).await[0], "the newest was ended");
    drop(long);
    counted(&stage, "\nappserver_connections 1\n").await;
    stage.close().await;
}

/// An endless head holds 16 KiB of memory, not hyper's 400.
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

/// An open request is answered during shutdown; new connections are not accepted.
#[tokio::test]
async fn the_drain_finishes_open_requests() {
    let stage = bounded().await;
    stage.sts.script(Fault::Slow { delay_ms: 400 }.always());
    let public = stage.public;
    let request =
        stage.request("GET", "/v1/token").basic_auth("client-002", Some("client-002-demo-secret"));
    let under_way = tokio::spawn(request.send());
    sts_call_begins(&stage).await;
    assert_eq!(stage.assume_role_calls()[0].outcome, "", "STS has not answered yet");
    stage.close().await;
    assert_eq!(under_way.await.unwrap().unwrap().status(), 200);
    assert!(TcpStream::connect(public).await.is_err());
}

/// STS takes longer than the drain may: the connection is closed, and the process ends.
#[tokio::test]
async fn the_drain_ends_at_its_deadline() {
    let config = "[server]\ndrain_timeout_ms = 200\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    stage.sts.script(Fault::Slow { delay_ms: 4_000 }.always());
    let request =
        stage.request("GET", "/v1/token").basic_auth("client-002", Some("client-002-demo-secret"));
    let under_way = tokio::spawn(request.send());
    sts_call_begins(&stage).await;
    let begun = Instant::now();
    stage.close().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "the drain took {:?}", begun.elapsed());
    assert!(under_way.await.unwrap().is_err());
}

/// Their clients cannot know of the shutdown yet.
#[tokio::test]
async fn a_first_request_sent_during_shutdown_is_answered_and_silence_ends_soon() {
    let stage = Stage::demo().await;
    let silent = TcpStream::connect(stage.public).await.unwrap();
    let mut late = TcpStream::connect(stage.public).await.unwrap();
    counted(&stage, "\nappserver_connections 2\n").await;
    let begun = Instant::now();
    let public = stage.public;
    let closing = tokio::spawn(stage.close());
    let refused = async {
        while TcpStream::connect(public).await.is_ok() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(TIME_LIMIT, refused).await.expect("no more connections are taken");
    late.write_all(b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (answer, _) = until_closed(late).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    closing.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
    drop(silent);
}
