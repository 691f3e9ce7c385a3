//! TLS of the public listener: versions, protocols, client certificates and failed handshakes.

use std::time::Duration;

use chrono::TimeDelta;
use rcgen::CertificateParams;
use reqwest::Version;
use reqwest::tls::Version as TlsVersion;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::certificates::{Authority, Pki, REVOKED, Signed};
use crate::stage::{Answer, Setting, Stage, TIME_LIMIT, secret, until};

const CLIENTS: &str = r#"
[clients.client-002]
certificates = ["dns:two.example.com", "uri:spiffe://example/two"]
[clients.client-003]
certificates = ["subject:CN=three,O=Example"]
[clients.client-004]
certificates = ["dns:four.example.com"]
enabled = false
"#;

async fn secured(pki: &Pki, client_certificates: &str, server: &str) -> Stage {
    let config = format!("[server]\n{server}\n{}{CLIENTS}", pki.config(client_certificates));
    Stage::set(Setting { config: &config, ..Setting::default() }).await
}

fn url(stage: &Stage, path: &str) -> String {
    format!("https://{}{path}", stage.public)
}

/// Waits until the counter of failed handshakes has this value for the reason.
async fn failed(stage: &Stage, reason: &str, times: u32) {
    let line = format!("appserver_tls_handshakes_failed_total{{reason=\"{reason}\"}} {times}\n");
    let counted = async {
        while !stage.admin("/metrics").await.1.contains(&line) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(TIME_LIMIT, counted).await.is_err() {
        let (_, metrics) = stage.admin("/metrics").await;
        let counters: Vec<_> = metrics.lines().filter(|line| line.contains("handshakes")).collect();
        panic!("{line} is not among {counters:#?}");
    }
}

#[tokio::test]
async fn tls_1_2_and_1_3_and_both_http_versions_are_supported() {
    let pki = Pki::new();
    let stage = secured(&pki, "off", "").await;
    for tls in [TlsVersion::TLS_1_2, TlsVersion::TLS_1_3] {
        for (http, client) in
            [(Version::HTTP_11, pki.client().http1_only()), (Version::HTTP_2, pki.client())]
        {
            let client = client.tls_version_min(tls).tls_version_max(tls).build().unwrap();
            let request = client.get(url(&stage, "/v1/token"));
            let request = request.basic_auth("client-002", Some(secret("client-002")));
            let answer = request.send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (200, http));
            let body = answer.text().await.unwrap();
            assert!(body.contains(r#""Code":"Success""#), "{body}");
        }
    }
    let (_, metrics) = stage.admin("/metrics").await;
    // The end of what `rcgen` makes, in the year 4096.
    let expiry = "appserver_tls_certificate_expiry_timestamp_seconds 67090118400\n";
    assert!(metrics.contains(expiry), "{metrics}");
    stage.close().await;
}

#[tokio::test]
async fn without_tls_there_is_no_certificate_expiry_metric() {
    let stage = Stage::demo().await;
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(!metrics.contains("certificate_expiry"), "{metrics}");
    stage.close().await;
}

/// Clients that never finish their handshake do not delay others.
#[tokio::test]
async fn a_stalled_handshake_ends_at_the_header_time_out_and_delays_no_other_client() {
    let pki = Pki::new();
    let stage = secured(&pki, "off", "header_timeout_ms = 400").await;
    let started = Instant::now();
    let mut silent = TcpStream::connect(stage.public).await.unwrap();
    let mut begun = TcpStream::connect(stage.public).await.unwrap();
    // The header of a record whose body never arrives.
    begun.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    let client = pki.client().build().unwrap();
    let other = client.get(url(&stage, "/v1/whoami"));
    let other = other.basic_auth("client-002", Some(secret("client-002")));
    assert_eq!(other.send().await.unwrap().status(), 200);
    for stalled in [&mut silent, &mut begun] {
        let ended = timeout(TIME_LIMIT, stalled.read_to_end(&mut Vec::new())).await;
        let _ = ended.expect("it is ended");
        let took = started.elapsed();
        assert!((390..3_000).contains(&took.as_millis()), "it took {took:?}");
    }
    failed(&stage, "timed_out", 2).await;
    stage.close().await;
}

#[tokio::test]
async fn failed_handshakes_are_counted_by_reason() {
    let pki = Pki::new();
    let stage = secured(&pki, "required", "").await;
    drop(TcpStream::connect(stage.public).await.unwrap());
    failed(&stage, "closed", 1).await;

    let mut plain = TcpStream::connect(stage.public).await.unwrap();
    plain.write_all(b"GET /v1/token HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(TIME_LIMIT, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.starts_with(b"HTTP"), "plain HTTP was answered");
    failed(&stage, "malformed", 1).await;

    let tcp = TcpStream::connect(stage.public).await.unwrap();
    let host = ServerName::try_from("localhost").unwrap();
    assert!(pki.connector(b"spdy/3").connect(host, tcp).await.is_err());
    failed(&stage, "incompatible", 1).await;

    let stranger = Pki::new();
    assert!(stranger.client().build().unwrap().get(url(&stage, "/")).send().await.is_err());
    failed(&stage, "refused", 1).await;

    assert!(pki.client().build().unwrap().get(url(&stage, "/")).send().await.is_err());
    failed(&stage, "no_certificate", 1).await;

    let mut revoked = CertificateParams::new(vec!["two.example.com".to_owned()]).unwrap();
    revoked.serial_number = Some(REVOKED.into());
    let mut expired = CertificateParams::new(vec!["two.example.com".to_owned()]).unwrap();
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let bad = [
        Authority::new("clients").naming(&["two.example.com"]),
        pki.clients.signed(&revoked),
        pki.clients.signed(&expired),
    ];
    for (times, bad) in (1..).zip(bad) {
        let client = pki.client().identity(bad.identity()).build().unwrap();
        assert!(client.get(url(&stage, "/v1/whoami")).send().await.is_err());
        failed(&stage, "bad_certificate", times).await;
    }
    stage.close().await;
}

/// The caller by a certificate, by a header, or by both.
async fn whoami(
    pki: &Pki,
    stage: &Stage,
    certificate: Option<&Signed>,
    header: Option<(&str, &str)>,
) -> Answer {
    let client = match certificate {
        Some(signed) => pki.client().identity(signed.identity()),
        None => pki.client(),
    };
    let request = client.build().unwrap().get(url(stage, "/v1/whoami"));
    stage
        .send(match header {
            Some((client, secret)) => request.basic_auth(client, Some(secret)),
            None => request,
        })
        .await
}

fn proven(answer: &Answer) -> String {
    let field = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
    format!("{} {} {}", answer.outcome(), field("Client"), field("AuthenticatedBy"))
        .trim_end()
        .to_owned()
}

#[tokio::test]
async fn a_certificate_is_a_credential_and_a_header_takes_precedence() {
    let pki = Pki::new();
    let stage = secured(&pki, "optional", "").await;
    let [two, uri, four, unregistered, both] = [
        &["two.example.com"][..],
        &["any.example.com", "spiffe://example/two"],
        &["four.example.com"],
        &["five.example.com"],
        &["two.example.com", "four.example.com"],
    ]
    .map(|names| pki.clients.naming(names));
    let mut subject = CertificateParams::new(vec![]).unwrap();
    subject.distinguished_name = rcgen::DistinguishedName::new();
    subject.distinguished_name.push(rcgen::DnType::OrganizationName, "Example");
    subject.distinguished_name.push(rcgen::DnType::CommonName, "three");
    let subject = pki.clients.signed(&subject);
    let [good, wrong] =
        [("client-003", "client-003-demo-secret"), ("client-003", "client-002-demo-secret")];
    for (certificate, header, expected) in [
        (Some(&two), None, "200 Success client-002 ClientCertificate"),
        (Some(&uri), None, "200 Success client-002 ClientCertificate"),
        (Some(&subject), None, "200 Success client-003 ClientCertificate"),
        (Some(&two), Some(good), "200 Success client-003 ClientSecret"),
        (None, Some(good), "200 Success client-003 ClientSecret"),
        (Some(&four), None, "403 Forbidden.ClientDisabled"),
        (Some(&two), Some(wrong), "401 Unauthenticated"),
        (Some(&unregistered), None, "401 Unauthenticated"),
        (Some(&both), None, "401 Unauthenticated"),
        (None, None, "401 Unauthenticated"),
    ] {
        let answer = whoami(&pki, &stage, certificate, header).await;
        assert_eq!(proven(&answer), expected);
    }
    // The same answer for every cause.
    let unnamed = whoami(&pki, &stage, Some(&unregistered), None).await;
    assert_eq!(unnamed.steady(), whoami(&pki, &stage, None, Some(wrong)).await.steady());

    let client = pki.client().identity(two.identity()).http1_only().build().unwrap();
    let token = stage.send(client.get(url(&stage, "/v1/token"))).await;
    assert_eq!(
        (token.outcome().as_str(), token.body["Grant"].as_str()),
        ("200 Success", Some("daily-photos"))
    );
    stage.close().await;
}

#[tokio::test]
async fn client_certificates_are_requested_as_configured() {
    let pki = Pki::new();
    let two = pki.clients.naming(&["two.example.com"]);
    let stage = secured(&pki, "required", "").await;
    let answer = whoami(&pki, &stage, Some(&two), None).await;
    assert_eq!(proven(&answer), "200 Success client-002 ClientCertificate");
    stage.close().await;
    let stage = secured(&pki, "off", "").await;
    assert_eq!(proven(&whoami(&pki, &stage, Some(&two), None).await), "401 Unauthenticated");
    stage.close().await;
}

/// Open connections continue, new ones get the new certificate, and an invalid one changes nothing.
#[tokio::test]
async fn a_certificate_is_renewed_without_a_restart() {
    let (old, new) = (Pki::new(), Pki::new());
    let stage = secured(&old, "off", "").await;
    let whoami = async |client: &reqwest::Client| {
        let request = client.get(url(&stage, "/v1/whoami"));
        let request = request.basic_auth("client-002", Some(secret("client-002")));
        request.send().await.map(|answer| answer.status().as_u16()).map_err(|_| "refused")
    };
    let open = old.client().build().unwrap();
    assert_eq!(whoami(&open).await, Ok(200));
    let config = |pki: &Pki| format!("[server]\n{}{CLIENTS}", pki.config("off"));

    // The key of another certificate.
    let mixed = config(&new).replace("tls.key", "missing.key");
    stage.write("over.toml", &mixed);
    assert!(stage.reload().await.unwrap_err().contains("server.tls"), "it is named");
    assert_eq!(whoami(&old.client().build().unwrap()).await, Ok(200));

    stage.write("over.toml", &config(&new));
    stage.reload().await.unwrap();
    assert_eq!(whoami(&new.client().build().unwrap()).await, Ok(200));
    assert_eq!(whoami(&old.client().build().unwrap()).await, Err("refused"));
    assert_eq!(whoami(&open).await, Ok(200), "the open connection has ended");
    stage.close().await;
}

/// One open connection with a client certificate.
struct OpenConnection<'a> {
    stage: &'a Stage,
    client: reqwest::Client,
}

impl<'a> OpenConnection<'a> {
    fn new(pki: &Pki, stage: &'a Stage, certificate: &Signed, speaks_http2: bool) -> Self {
        let client = pki.client().identity(certificate.identity()).pool_max_idle_per_host(1);
        let client = if speaks_http2 { client } else { client.http1_only() };
        Self { stage, client: client.build().unwrap() }
    }

    async fn whoami(&self, header: Option<(&str, &str)>) -> String {
        let request = self.client.get(url(self.stage, "/v1/whoami"));
        let request = match header {
            Some((client, secret)) => request.basic_auth(client, Some(secret)),
            None => request,
        };
        proven(&self.stage.send(request).await)
    }

    async fn is_closed(&self) {
        until("its connection is closed", async || {
            self.stage.admin("/metrics").await.1.contains("\nappserver_connections 0\n")
        })
        .await;
    }
}

/// A certificate authenticates until it expires, and not until the connection ends.
#[tokio::test]
async fn an_expired_certificate_authenticates_no_request_of_an_open_connection() {
    let pki = Pki::new();
    let mut params = CertificateParams::new(vec!["two.example.com".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    let two = pki.clients.signed(&params);
    let good = ("client-003", "client-003-demo-secret");
    for speaks_http2 in [false, true] {
        for header in [None, Some(good)] {
            let stage = secured(&pki, "optional", "").await;
            let connection = OpenConnection::new(&pki, &stage, &two, speaks_http2);
            assert_eq!(connection.whoami(None).await, "200 Success client-002 ClientCertificate");
            let last = "3000-01-01T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap();
            stage.clock.advance(last - stage.clock.now());
            assert_eq!(connection.whoami(None).await, "200 Success client-002 ClientCertificate");
            stage.clock.advance(TimeDelta::seconds(1));
            assert_eq!(connection.whoami(header).await, "401 Unauthenticated");
            connection.is_closed().await;
            stage.close().await;
        }
    }
}

#[tokio::test]
async fn after_a_reload_an_open_connection_is_authenticated_by_the_new_configuration() {
    const CERTIFICATE: &str = "200 Success client-002 ClientCertificate";
    const REFUSED: &str = "401 Unauthenticated";
    let without_name = CLIENTS.replace("dns:two.example.com", "dns:other.example.com");
    let moved = CLIENTS.replace("dns:two.example.com", "dns:other.example.com").replace(
        "\"subject:CN=three,O=Example\"",
        "\"subject:CN=three,O=Example\", \"dns:two.example.com\"",
    );
    for speaks_http2 in [false, true] {
        for (what, mode, clients, expected, is_closed) in [
            ("nothing", "optional", CLIENTS, CERTIFICATE, false),
            ("the CA", "optional", CLIENTS, REFUSED, true),
            ("the revocations", "optional", CLIENTS, REFUSED, true),
            ("required", "required", CLIENTS, CERTIFICATE, false),
            ("off", "off", CLIENTS, REFUSED, false),
            ("its name", "optional", &*without_name, REFUSED, false),
            ("its client", "optional", &*moved, "200 Success client-003 ClientCertificate", false),
        ] {
            let pki = Pki::new();
            let mut params = CertificateParams::new(vec!["two.example.com".to_owned()]).unwrap();
            params.serial_number = Some(815.into());
            let two = pki.clients.signed(&params);
            let stage = secured(&pki, "optional", "").await;
            let connection = OpenConnection::new(&pki, &stage, &two, speaks_http2);
            assert_eq!(connection.whoami(None).await, CERTIFICATE);
            match what {
                "the CA" => pki.trust(&Authority::new("others"), &[]),
                "the revocations" => pki.trust(&pki.clients, &[815]),
                _ => {}
            }
            stage.write("over.toml", &format!("[server]\n{}{clients}", pki.config(mode)));
            stage.reload().await.unwrap();
            assert_eq!(connection.whoami(None).await, expected, "{what}, HTTP/2: {speaks_http2}");
            if is_closed {
                connection.is_closed().await;
            }
            stage.close().await;
        }
    }
}

/// A connection without a certificate authenticates no caller once one is required.
#[tokio::test]
async fn after_a_reload_that_requires_certificates_a_connection_without_one_is_closed() {
    let pki = Pki::new();
    let stage = secured(&pki, "optional", "").await;
    let client = pki.client().http1_only().build().unwrap();
    let connection = OpenConnection { stage: &stage, client };
    let good = Some(("client-003", "client-003-demo-secret"));
    assert_eq!(connection.whoami(good).await, "200 Success client-003 ClientSecret");
    stage.write("over.toml", &format!("[server]\n{}{CLIENTS}", pki.config("required")));
    stage.reload().await.unwrap();
    assert_eq!(connection.whoami(good).await, "401 Unauthenticated");
    connection.is_closed().await;
    stage.close().await;
}
