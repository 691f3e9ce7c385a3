//! The client's address: from the PROXY protocol, and from headers of trusted proxies.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::logs;
use crate::stage::{Setting, Stage, TIME_LIMIT};

const GET: &str = "GET /v1/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n";

/// The answer to these bytes.
async fn answered(stage: &Stage, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(stage.public).await.unwrap();
    for part in parts {
        // The server may close the connection before all is sent.
        if stream.write_all(part).await.is_err() {
            break;
        }
        // So that parts arrive separately.
        sleep(Duration::from_millis(20)).await;
    }
    let mut read = Vec::new();
    let _ = timeout(TIME_LIMIT, stream.read_to_end(&mut read)).await.expect("it is ended");
    String::from_utf8_lossy(&read).into_owned()
}

/// The log line of an answer.
fn line_of(log_start: usize, answer: &str) -> String {
    let id = answer.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap();
    let log = logs::since(log_start);
    let line = log.lines().find(|line| line.contains(id) && line.contains("refused"));
    line.unwrap_or_else(|| panic!("{id} is not in the log")).to_owned()
}

async fn set(server: &str) -> Stage {
    let config = format!("[server]\n{server}\n");
    Stage::set(Setting { config: &config, ..Setting::default() }).await
}

#[tokio::test]
async fn the_log_has_the_client_address_from_a_trusted_proxy() {
    let trusting = r#"trusted_proxies = ["127.0.0.0/8"]"#;
    for (server, header, expected) in [
        ("x-forwarded-for", "X-Forwarded-For: 1.1.1.1, 203.0.113.9", Some("203.0.113.9")),
        ("forwarded", r#"Forwarded: for="[2001:db8::9]:4711""#, Some("2001:db8::9")),
        ("x-forwarded-for", "Forwarded: for=203.0.113.9", None),
        ("none", "X-Forwarded-For: 203.0.113.9", None),
    ] {
        let stage = set(&format!("{trusting}\nforwarded_header = {server:?}")).await;
        let start = logs::since(0).len();
        let request = format!("{GET}{header}\r\n\r\n");
        let line = line_of(start, &answered(&stage, &[request.as_bytes()]).await);
        assert!(line.contains("peer.address=\"127.0.0.1:"), "{line}");
        let address = expected.map(|address| format!(" caller.address={address} "));
        match address {
            Some(address) => assert!(line.contains(&address), "{line}"),
            None => assert!(!line.contains("caller.address="), "{line}"),
        }
        stage.close().await;
    }
}

/// Any client can send the header.
#[tokio::test]
async fn forwarded_headers_of_untrusted_peers_are_ignored() {
    let stage =
        set("trusted_proxies = [\"10.0.0.0/8\"]\nforwarded_header = \"x-forwarded-for\"").await;
    let start = logs::since(0).len();
    let request = format!("{GET}X-Forwarded-For: 203.0.113.9\r\n\r\n");
    let line = line_of(start, &answered(&stage, &[request.as_bytes()]).await);
    assert!(line.contains("peer.address=\"127.0.0.1:") && !line.contains("203.0.113.9"), "{line}");
    stage.close().await;
}

const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\xc6\x33\x64\x01\x12\x67\x01\xbb";

#[tokio::test]
async fn the_proxy_protocol_names_the_client_of_a_connection() {
    let stage =
        set("trusted_proxies = [\"127.0.0.1\", \"203.0.113.0/24\"]\nproxy_protocol = true\n\
         forwarded_header = \"x-forwarded-for\"")
        .await;
    let request = format!("{GET}\r\n");
    let forwarded = format!("{GET}X-Forwarded-For: 198.51.100.7\r\n\r\n");
    let v1 = b"PROXY TCP4 203.0.113.9 198.51.100.1 4711 443\r\n";
    let v6 = b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 443\r\n";
    let both = [&v1[..], request.as_bytes()].concat();
    for (parts, expected) in [
        (&[&both[..]][..], r#"peer.address="203.0.113.9:4711" "#),
        (&[&v1[..10], &v1[10..], request.as_bytes()], r#"peer.address="203.0.113.9:4711" "#),
        (&[v6, request.as_bytes()], r#"peer.address="[2001:db8::9]:4711" "#),
        (&[V2, request.as_bytes()], r#"peer.address="203.0.113.9:4711" "#),
        (
            &[&V2[..3], &V2[3..20], &V2[20..], request.as_bytes()],
            r#"peer.address="203.0.113.9:4711" "#,
        ),
        // A proxy behind a load balancer names its client in the header.
        (
            &[V2, forwarded.as_bytes()],
            r#"peer.address="203.0.113.9:4711" caller.address=198.51.100.7 "#,
        ),
        // A health check of the proxy itself.
        (&[b"PROXY UNKNOWN\r\n", request.as_bytes()], r#"peer.address="127.0.0.1:"#),
    ] {
        let start = logs::since(0).len();
        let line = line_of(start, &answered(&stage, parts).await);
        assert!(line.contains(expected), "{expected} is not in {line}");
    }
    stage.close().await;
}

#[tokio::test]
async fn connections_without_a_valid_proxy_header_are_closed_and_counted() {
    let count = async |stage: &Stage, reason: &str| {
        let line = format!("appserver_proxy_protocol_errors_total{{reason=\"{reason}\"}} 1\n");
        let counted = async {
            while !stage.admin("/metrics").await.1.contains(&line) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(TIME_LIMIT, counted).await.unwrap_or_else(|_| panic!("{reason} is not counted"));
    };
    let stage =
        set("trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\nheader_timeout_ms = 300")
            .await;
    let request = format!("{GET}\r\n");
    assert_eq!(answered(&stage, &[request.as_bytes()]).await, "");
    count(&stage, "malformed").await;
    assert_eq!(answered(&stage, &[b"PROXY TCP4 203"]).await, "");
    count(&stage, "timed_out").await;
    drop(TcpStream::connect(stage.public).await.unwrap());
    count(&stage, "closed").await;
    stage.close().await;

    let stage = set("trusted_proxies = [\"10.0.0.1\"]\nproxy_protocol = true").await;
    assert_eq!(answered(&stage, &[V2, request.as_bytes()]).await, "");
    count(&stage, "untrusted").await;
    stage.close().await;
}
