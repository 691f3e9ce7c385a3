//! Outgoing connections: a proxy between the service and STS, an issuer and a collector, and targets of a private authority.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::binary::{Running, Service, emulated_sts, run, text};
use crate::certificates::Authority;
use crate::stage::{TIME_LIMIT, repository, until};

const STS: &str = "https://sts.cn-hangzhou.aliyuncs.com";
const KEY: (&str, &str) = ("testid", "testsecret");
const USER: &str = "egress-user:canary-proxy-password";

/// What the proxy does when it is asked for a connection.
#[derive(Clone, Copy)]
enum Answer {
    /// It connects, if the credentials are those of [`USER`].
    Connects,
    /// It says nothing.
    Hangs,
    /// It closes the connection.
    Closes,
    /// It refuses with this status line.
    Refuses(&'static str),
}

/// A proxy in this process. It connects all names to one target.
struct Proxy {
    address: SocketAddr,
    /// The targets that it was asked for.
    asked: Arc<Mutex<Vec<String>>>,
    /// The bytes that callers sent to targets.
    passed: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    async fn start(answer: Answer, target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, passed) = (Arc::<Mutex<Vec<String>>>::default(), Arc::default());
        let (noted, seen) = (Arc::clone(&asked), Arc::clone(&passed));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, target, Arc::clone(&noted), Arc::clone(&seen)));
            }
        });
        Self { address, asked, passed }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Answer,
    target: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    passed: Arc<Mutex<Vec<u8>>>,
) -> Option<()> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(stream.read_u8().await.ok()?));
    }
    asked.lock().unwrap().push(head.strip_prefix("CONNECT ")?.split(' ').next()?.to_owned());
    let status = match answer {
        Answer::Connects => {
            let credentials = format!("proxy-authorization: basic {}\r\n", STANDARD.encode(USER));
            let is_known = head.to_ascii_lowercase().contains(&credentials.to_ascii_lowercase());
            if is_known {
                "200 Connection established"
            } else {
                "407 Proxy Authentication Required"
            }
        }
        Answer::Hangs => std::future::pending().await,
        Answer::Closes => return None,
        Answer::Refuses(status) => status,
    };
    stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.ok()?;
    if !status.starts_with("200") {
        return None;
    }
    let mut target = TcpStream::connect(target).await.ok()?;
    let ((mut from, mut to), (mut back, mut on)) = (stream.split(), target.split());
    let mut bytes = [0; 4096];
    let there = async {
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            passed.lock().unwrap().extend(&bytes[..count]);
            on.write_all(&bytes[..count]).await?;
        }
        on.shutdown().await
    };
    tokio::join!(there, tokio::io::copy(&mut back, &mut to)).0.ok()
}

/// A server that ends TLS as all of these names and passes everything on to `target`.
async fn tls_front(authority: &Authority, names: &[&str], target: SocketAddr) -> SocketAddr {
    let signed = authority.naming(names);
    let chain = CertificateDer::pem_slice_iter(signed.chain.as_bytes()).map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.ok()?;
                let mut target = TcpStream::connect(target).await.ok()?;
                copy_bidirectional(&mut stream, &mut target).await.ok()
            });
        }
    });
    address
}

/// Serves the demo's keys and takes exports, on any path.
async fn issuer_and_collector() -> SocketAddr {
    let keys = std::fs::read_to_string(repository("config/demo.jwks.json")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(async move || keys.clone());
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

/// A service whose STS, issuer and collector are all beyond the proxy.
struct Setup {
    service: Service,
    environment: Vec<(String, String)>,
}

impl Setup {
    fn new(proxy: &Proxy, authority: &Authority) -> Self {
        // Its own endpoint is overridden.
        let service = Service::new(proxy.address, "11223344");
        let mut setup = Self { service, environment: Vec::new() };
        let user = setup.file("proxy-user", &format!("{USER}\n"));
        let authorities = setup.file("private-ca.pem", authority.pem());
        for (key, value) in [
            ("STS__ENDPOINTS", STS),
            ("STS__CONNECT_TIMEOUT_MS", "2000"),
            ("LOG__FILTER", "trace"),
            ("EGRESS__PROXY", &proxy.url()),
            ("EGRESS__PROXY_USER_FILE", &user),
            ("EGRESS__CA_FILE", &authorities),
            ("ISSUERS__COMPANY__ISSUER", "https://login.example.com/"),
            ("ISSUERS__COMPANY__JWKS_URL", "https://login.example.com/jwks"),
            ("ISSUERS__COMPANY__ALGORITHMS", "ES256"),
            ("ISSUERS__COMPANY__AUDIENCES__PHOTOS", "client-002"),
            ("TRACING__OTLP_ENDPOINT", "https://otlp.example.com"),
            ("TRACING__SAMPLE_RATIO", "1"),
            ("TRACING__TIMEOUT_MS", "2000"),
        ] {
            setup.set(key, value);
        }
        setup
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.service.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn set(&mut self, key: &str, value: &str) {
        self.environment.push((format!("APPSERVER__{key}"), value.to_owned()));
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn start(&self) -> Running {
        self.service.start_with(KEY, &self.environment())
    }

    fn doctor(&self) -> String {
        let key =
            [("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY.0), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", KEY.1)];
        let environment = [&key[..], &self.environment()].concat();
        let output = run(&["doctor", "--config", &self.service.config()], &environment);
        let printed = text(&output.stdout) + &text(&output.stderr);
        assert_free_of_credentials(&printed);
        printed
    }

    async fn ask_for_a_token(&self) -> u16 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{}/v1/token", self.service.public());
        let request = client.get(url).basic_auth("client-002", Some("abc"));
        request.send().await.map_or(0, |answer| answer.status().as_u16())
    }

    async fn metrics(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.service.admin());
        match reqwest::get(url).await {
            Ok(answer) => answer.text().await.unwrap(),
            Err(_) => String::new(),
        }
    }

    /// Waits until this series is at least 1.
    async fn until_counted(&self, series: &str) {
        let is_counted = async || {
            let metrics = self.metrics().await;
            let count = metrics.lines().find_map(|line| line.strip_prefix(series));
            count.is_some_and(|count| count.trim().parse::<u64>().unwrap() > 0)
        };
        until(series, is_counted).await;
    }

    /// Waits until a failure of each kind of target is counted with this reason.
    async fn until_all_failed(&self, reason: &str) {
        until("the service listens", async || self.ask_for_a_token().await == 503).await;
        for series in [
            format!(
                "appserver_sts_call_duration_seconds_count{{action=\"GetCallerIdentity\",outcome=\"{reason}\"}}"
            ),
            format!("appserver_jwks_fetches_total{{issuer=\"company\",outcome=\"{reason}\"}}"),
            format!("appserver_trace_failed_exports_total{{reason=\"{reason}\"}}"),
        ] {
            self.until_counted(&series).await;
        }
    }
}

fn assert_free_of_credentials(printed: &str) {
    for secret in ["canary-proxy-password".to_owned(), STANDARD.encode(USER)] {
        assert!(!printed.contains(&secret), "{secret} in:\n{printed}");
    }
}

/// Ends the service and returns its log.
fn log_of(mut running: Running) -> String {
    running.terminate();
    let log = text(&running.ended().stderr);
    assert_free_of_credentials(&log);
    log
}

const NAMES: [&str; 3] = ["sts.cn-hangzhou.aliyuncs.com", "login.example.com", "otlp.example.com"];

#[tokio::test(flavor = "multi_thread")]
async fn sts_issuers_and_collectors_are_reached_through_the_proxy_by_tls_of_their_own() {
    let (sts, _) = emulated_sts().await;
    let authority = Authority::new("private");
    let front = tls_front(&authority, &NAMES, sts).await;
    let others = tls_front(&authority, &NAMES, issuer_and_collector().await).await;
    let (to_sts, to_others) =
        (Proxy::start(Answer::Connects, front).await, Proxy::start(Answer::Connects, others).await);
    let mut setup = Setup::new(&to_others, &authority);
    // A target with a proxy of its own needs a user of its own.
    let user = setup.file("proxy-user-of-sts", USER);
    setup.set("EGRESS__STS__PROXY", &to_sts.url());
    // The shared one speaks TLS itself.
    let by_tls = tls_front(&authority, &["localhost"], to_others.address).await;
    setup.set("EGRESS__PROXY", &format!("https://localhost:{}", by_tls.port()));
    setup.set("EGRESS__STS__PROXY_USER_FILE", &user);
    setup.environment.push(("HTTPS_PROXY".into(), format!("http://{USER}@127.0.0.1:1")));

    let doctor = setup.doctor();
    let answers = format!("it answers by TLS through the proxy {}", to_sts.url());
    assert!(doctor.contains(&answers) && doctor.contains(": 1 keys were fetched"), "{doctor}");

    let running = setup.start();
    setup.service.ready().await;
    assert_eq!(setup.ask_for_a_token().await, 200);
    setup
        .until_counted("appserver_jwks_fetches_total{issuer=\"company\",outcome=\"success\"}")
        .await;
    setup.until_counted("appserver_trace_spans_total{outcome=\"exported\"}").await;
    assert_eq!(to_sts.asked(), ["sts.cn-hangzhou.aliyuncs.com:443"]);
    assert_eq!(to_others.asked(), ["login.example.com:443", "otlp.example.com:443"]);
    let passed = to_sts.passed.lock().unwrap().clone();
    let is_readable = String::from_utf8_lossy(&passed).contains("AssumeRole");
    assert!(!passed.is_empty() && !is_readable, "the proxy reads requests");
    let log = log_of(running);
    let ignored: Vec<_> = log.lines().filter(|line| line.contains("\"HTTPS_PROXY\"")).collect();
    assert_eq!(ignored.len(), 1, "{ignored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_of_the_proxy_has_its_reason_in_log_metrics_and_doctor() {
    let authority = Authority::new("private");
    let nowhere = "127.0.0.1:9".parse().unwrap();
    for (answer, user, reason, said) in [
        (Answer::Connects, "egress-user:wrong", "proxy_auth", "asks for another user or password"),
        (
            Answer::Refuses("403 Forbidden"),
            USER,
            "proxy_refused",
            "refuses to connect to this host",
        ),
        (
            Answer::Closes,
            USER,
            "proxy_unreachable",
            "cannot be reached, or makes no connection in time",
        ),
        (
            Answer::Hangs,
            USER,
            "proxy_unreachable",
            "cannot be reached, or makes no connection in time",
        ),
    ] {
        let proxy = Proxy::start(answer, nowhere).await;
        let mut setup = Setup::new(&proxy, &authority);
        setup.file("proxy-user", user);
        setup.set("STS__CONNECT_TIMEOUT_MS", "500");
        setup.set("TRACING__TIMEOUT_MS", "800");
        let running = setup.start();
        setup.until_all_failed(reason).await;
        let log = log_of(running);
        for what in ["an attempt at STS failed", "fetching the keys", "spans cannot be exported"] {
            let line = log.lines().find(|line| line.contains(what)).unwrap();
            assert!(line.contains(reason), "{line}");
        }
        let doctor = setup.doctor();
        let lines: Vec<_> = doctor.lines().filter(|line| line.contains(said)).collect();
        assert_eq!(lines.len(), 2, "{reason}: {doctor}");
        assert!(doctor.contains("`egress."), "{reason}: {doctor}");
    }
}

/// Otherwise the operator of the proxy could read the AccessKey's calls and hand out tokens of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_ends_tls_itself_is_refused() {
    let (sts, control) = emulated_sts().await;
    let front = tls_front(&Authority::new("of the proxy"), &NAMES, sts).await;
    let proxy = Proxy::start(Answer::Connects, front).await;
    let setup = Setup::new(&proxy, &Authority::new("private"));
    let doctor = setup.doctor();
    assert!(doctor.contains("TLS fails"), "{doctor}");
    assert_eq!(doctor.matches("`egress.ca_file`").count(), 2, "{doctor}");
    assert!(doctor.contains(": TLS with the issuer failed"), "{doctor}");
    assert_eq!(control.totals().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_of_no_proxy_and_this_machine_are_reached_directly() {
    let (sts, _) = emulated_sts().await;
    let authority = Authority::new("private");
    let front = tls_front(&authority, &["localhost"], sts).await;
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let proxy = Proxy::start(Answer::Connects, nowhere).await;
    let mut setup = Setup::new(&proxy, &authority);
    setup.set("STS__ENDPOINTS", &format!("https://localhost:{}", front.port()));
    // No such host exists (RFC 6761), so that nothing leaves this machine.
    setup.set("ISSUERS__COMPANY__JWKS_URL", "https://login.invalid/jwks");
    setup.set("EGRESS__ISSUERS__NO_PROXY", ".invalid,10.0.0.0/8");
    setup.set("EGRESS__TRACING__PROXY", "");
    setup.set("TRACING__OTLP_ENDPOINT", "https://otlp.invalid");
    let running = setup.start();
    tokio::time::timeout(TIME_LIMIT, setup.service.ready()).await.unwrap();
    assert_eq!(setup.ask_for_a_token().await, 200);
    setup
        .until_counted("appserver_jwks_fetches_total{issuer=\"company\",outcome=\"unreachable\"}")
        .await;
    setup.until_counted("appserver_trace_failed_exports_total{reason=\"unreachable\"}").await;
    assert_eq!(proxy.asked(), Vec::<String>::new());
    drop(log_of(running));
}
