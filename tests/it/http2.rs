//! HTTP/2: concurrent requests on one connection, its limits, and clients that abuse it.

use std::time::Duration;

use appserver_emulator::Fault;
use axum::body::Bytes;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use h2::Reason;
use h2::client::{Connection, SendRequest};
use reqwest::Version;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::client::TlsStream;

use crate::certificates::Pki;
use crate::stage::{Setting, Stage, TIME_LIMIT, secret};

async fn set(pki: &Pki, server: &str) -> Stage {
    let config = format!("[server]\n{server}\n{}", pki.config("off"));
    Stage::set(Setting { config: &config, ..Setting::default() }).await
}

async fn connected(pki: &Pki, stage: &Stage) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(stage.public).await.unwrap();
    let host = ServerName::try_from("localhost").unwrap();
    pki.connector(b"h2").connect(host, tcp).await.unwrap()
}

type Driven = JoinHandle<Result<(), h2::Error>>;

async fn client(pki: &Pki, stage: &Stage) -> (SendRequest<Bytes>, Driven, h2::PingPong) {
    let made = h2::client::handshake(connected(pki, stage).await).await.unwrap();
    let (sender, mut connection): (_, Connection<_, Bytes>) = made;
    let pings = connection.ping_pong().unwrap();
    (sender, tokio::spawn(connection), pings)
}

fn request(stage: &Stage, path: &str) -> Request<()> {
    let credential = STANDARD.encode(format!("client-002:{}", secret("client-002")));
    Request::get(format!("https://{}{path}", stage.public))
        .header("authorization", format!("Basic {credential}"))
        .body(())
        .unwrap()
}

/// Asserts that other connections are served meanwhile.
async fn others_are_served(pki: &Pki, stage: &Stage) {
    let request = pki.client().build().unwrap().get(format!("https://{}/v1/token", stage.public));
    let request = request.basic_auth("client-002", Some(secret("client-002")));
    assert_eq!(stage.send(request).await.outcome(), "200 Success");
}

async fn malformed(stage: &Stage, times: u32) {
    let line = format!("\nappserver_connections_malformed_total {times}\n");
    let counted = async {
        while !stage.admin("/metrics").await.1.contains(&line) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIME_LIMIT, counted).await.expect("it is counted");
}

/// HTTP/2 does not announce a body; one with parameters must not be ignored.
#[tokio::test]
async fn a_get_with_a_body_is_refused_and_one_without_is_served() {
    let pki = Pki::new();
    let stage = set(&pki, "").await;
    let (mut sender, driven, _) = client(&pki, &stage).await;
    let mut status_of = async |path: &str, data: &'static [u8]| {
        sender = sender.clone().ready().await.unwrap();
        let (answer, mut stream) = sender.send_request(request(&stage, path), false).unwrap();
        stream.send_data(Bytes::from_static(data), true).unwrap();
        timeout(TIME_LIMIT, answer).await.unwrap().unwrap().status().as_u16()
    };
    let asks_for_less = br#"{"Policy":{"Version":"1","Statement":[]}}"#;
    assert_eq!(status_of("/v1/token", asks_for_less).await, 400);
    assert_eq!(status_of("/v1/token", b"").await, 200);
    driven.abort();
    let calls = stage.assume_role_calls().len();
    assert_eq!(calls, 1, "the refused one caused an STS call");
    stage.close().await;
}

#[tokio::test]
async fn requests_beyond_the_stream_limit_wait_and_are_answered() {
    let pki = Pki::new();
    let stage = set(&pki, "max_streams = 3").await;
    let client = pki.client().build().unwrap();
    let requests = (0..30).map(|_| {
        let request = client.get(format!("https://{}/v1/token", stage.public));
        request.basic_auth("client-002", Some(secret("client-002"))).send()
    });
    for answer in join_all(requests).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    }
    let (sender, _driven, _) = self::client(&pki, &stage).await;
    let mut sender = sender.ready().await.unwrap();
    sender.send_request(request(&stage, "/v1/token"), true).unwrap().0.await.unwrap();
    assert_eq!(sender.current_max_send_streams(), 3);
    stage.close().await;
}

/// Streams that a client opens before it has the server's SETTINGS are refused, so that it sends them again.
#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_answered() {
    let pki = Pki::new();
    let stage = set(&pki, "max_streams = 4").await;
    stage.sts.script(Fault::Slow { delay_ms: 300 }.always());
    let stream = connected(&pki, &stage).await;
    let mut builder = h2::client::Builder::new();
    let made = builder.initial_max_send_streams(40).handshake::<_, Bytes>(stream).await.unwrap();
    let (mut sender, connection) = made;
    let answers: Vec<_> = (0..20)
        .map(|_| sender.send_request(request(&stage, "/v1/token"), true).unwrap().0)
        .collect();
    let driven = tokio::spawn(connection);
    let mut outcomes = join_all(answers).await.into_iter().map(|answer| match answer {
        Ok(answer) => answer.status().as_u16().to_string(),
        Err(error) => format!("{:?}", error.reason().unwrap()),
    });
    let mut counted = std::collections::BTreeMap::new();
    outcomes.by_ref().for_each(|outcome| *counted.entry(outcome).or_insert(0) += 1);
    assert_eq!(counted, [("200".to_owned(), 4), ("REFUSED_STREAM".to_owned(), 16)].into());
    drop(sender);
    driven.await.unwrap().unwrap();
    stage.close().await;
}

/// CVE-2023-44487: opening and resetting a stream costs its sender nothing.
#[tokio::test]
async fn streams_reset_at_once_end_their_connection_and_no_other() {
    let pki = Pki::new();
    let stage = set(&pki, "").await;
    let (mut sender, driven, _) = client(&pki, &stage).await;
    let mut opened = 0;
    let flood = async {
        while let Ok(ready) = sender.clone().ready().await {
            sender = ready;
            let Ok((_, mut stream)) = sender.send_request(request(&stage, "/v1/token"), false)
            else {
                break;
            };
            stream.send_reset(Reason::CANCEL);
            opened += 1;
            // One write at a time.
            if opened % 50 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    timeout(TIME_LIMIT, flood).await.expect("the flood is ended");
    assert!(opened < 10_000, "{opened} streams were accepted");
    assert!(driven.await.unwrap().is_err());
    malformed(&stage, 1).await;
    others_are_served(&pki, &stage).await;
    stage.close().await;
}

/// The same, slowly enough that each request begins.
#[tokio::test]
async fn requests_cancelled_after_they_begin_end_their_connection_too() {
    let pki = Pki::new();
    let stage = set(&pki, "").await;
    stage.sts.script(Fault::Slow { delay_ms: 20_000 }.always());
    let (mut sender, driven, mut pings) = client(&pki, &stage).await;
    let mut opened = 0;
    let flood = async {
        while let Ok(ready) = sender.clone().ready().await {
            sender = ready;
            let Ok((_, mut stream)) = sender.send_request(request(&stage, "/v1/token"), true)
            else {
                break;
            };
            // When this is answered, the request has been read.
            if pings.ping(h2::Ping::opaque()).await.is_err() {
                break;
            }
            stream.send_reset(Reason::CANCEL);
            opened += 1;
        }
    };
    timeout(TIME_LIMIT, flood).await.expect("the flood is ended");
    assert!((100..200).contains(&opened), "{opened} requests were accepted");
    let _ = driven.await.unwrap();
    malformed(&stage, 1).await;
    stage.sts.clear_faults();
    stage.close().await;
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// CVE-2024-27316 and similar: an endless head in CONTINUATION frames.
#[tokio::test]
async fn a_head_of_endless_continuations_ends_its_connection() {
    let pki = Pki::new();
    let stage = set(&pki, "").await;
    let stream = connected(&pki, &stage).await;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reading = tokio::spawn(async move {
        let mut read = Vec::new();
        let _ = reader.read_to_end(&mut read).await;
        read
    });
    // A header of 100 bytes, by its literal name and value.
    let field = [&[0, 1, b'a', 100][..], &[b'x'; 100]].concat();
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    writer.write_all(&preface).await.unwrap();
    writer.write_all(&frame(1, 1, 1, &field)).await.unwrap();
    let mut written = 0;
    let flood = async {
        while writer.write_all(&frame(9, 0, 1, &field)).await.is_ok() {
            let _ = writer.flush().await;
            written += field.len();
        }
    };
    timeout(TIME_LIMIT, flood).await.expect("the flood is ended");
    assert!(written < 8 << 20, "{written} bytes were accepted");
    let _ = reading.await;
    malformed(&stage, 1).await;
    others_are_served(&pki, &stage).await;
    stage.close().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let pki = Pki::new();
    let stage = set(&pki, "").await;
    let (sender, _driven, _) = client(&pki, &stage).await;
    let mut sender = sender.ready().await.unwrap();
    let mut long = request(&stage, "/v1/token");
    long.headers_mut().insert("x-long", "x".repeat(20_000).parse().unwrap());
    let (answer, _) = sender.send_request(long, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 431);
    stage.close().await;
}

#[tokio::test]
async fn http2_connections_time_out_before_the_first_request_and_after_the_last() {
    let pki = Pki::new();
    let stage = set(&pki, "header_timeout_ms = 300\nidle_timeout_ms = 900").await;
    let started = Instant::now();
    let (_silent, silently, _) = client(&pki, &stage).await;
    let (used, driven, _) = client(&pki, &stage).await;
    let mut used = used.ready().await.unwrap();
    let (answer, _) = used.send_request(request(&stage, "/v1/nothing"), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 404);
    let _ = timeout(TIME_LIMIT, silently).await.expect("it is ended").unwrap();
    let silent_for = started.elapsed();
    assert!((290..850).contains(&silent_for.as_millis()), "silent for {silent_for:?}");
    // With GOAWAY, which is no error.
    timeout(TIME_LIMIT, driven).await.expect("it is ended").unwrap().unwrap();
    let idle_for = started.elapsed();
    assert!((890..2_500).contains(&idle_for.as_millis()), "idle for {idle_for:?}");
    stage.close().await;
}

#[tokio::test]
async fn the_drain_finishes_open_streams() {
    let pki = Pki::new();
    let stage = set(&pki, "drain_timeout_ms = 5000").await;
    stage.sts.script(Fault::Slow { delay_ms: 400 }.always());
    let (sender, driven, _) = client(&pki, &stage).await;
    let mut sender = sender.ready().await.unwrap();
    let answers = ["/v1/token", "/v1/token?DurationSeconds=1800"]
        .map(|path| sender.send_request(request(&stage, path), true).unwrap().0);
    let asked = async {
        while stage.assume_role_calls().len() < 2 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIME_LIMIT, asked).await.expect("STS is asked");
    let begun = Instant::now();
    stage.close().await;
    for answer in answers {
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    driven.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "it took {:?}", begun.elapsed());
}

/// The checks of [`crate::framing`], as far as they apply to HTTP/2.
#[tokio::test]
async fn an_http2_request_without_one_host_is_refused() {
    let pki = Pki::new();
    let stage = set(&pki, "").await;
    let (mut sender, _driven, _) = client(&pki, &stage).await;
    let absolute = format!("https://{}/v1/nothing", stage.public);
    let own = stage.public.to_string();
    for (uri, headers, expected) in [
        (absolute.as_str(), &[][..], 404),
        (&absolute, &[("host", own.as_str())], 404),
        ("/v1/nothing", &[("host", "a")], 404),
        ("/v1/nothing", &[], 400),
        (&absolute, &[("host", "a")], 400),
        (&absolute, &[("host", &own), ("host", &own)], 400),
        (&absolute, &[("content-length", "0"), ("content-length", "0")], 400),
    ] {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        sender = sender.ready().await.unwrap();
        let (answer, _) = sender.send_request(request.body(()).unwrap(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), expected, "{uri} {headers:?}");
    }
    // Connection-specific fields of HTTP/1.1 are a protocol error.
    let mut stream = connected(&pki, &stage).await;
    let field = |name: &str, value: &str| {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
    };
    let head = [
        field(":method", "POST"),
        field(":scheme", "https"),
        field(":authority", "a"),
        field(":path", "/v1/nothing"),
        field("transfer-encoding", "chunked"),
    ];
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    stream.write_all(&preface).await.unwrap();
    stream.write_all(&frame(1, 5, 1, &head.concat())).await.unwrap();
    // RST_STREAM of it with PROTOCOL_ERROR.
    let reset = frame(3, 0, 1, &1_u32.to_be_bytes());
    let mut read = Vec::new();
    let came = async {
        while !read.windows(reset.len()).any(|window| window == reset) {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0, "{read:?}");
        }
    };
    timeout(TIME_LIMIT, came).await.expect("the stream is reset");
    stage.close().await;
}
