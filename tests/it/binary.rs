//! The command as operators start it: exit codes, signals and output.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorControl, EmulatorSettings};
use tokio_util::sync::CancellationToken;

use crate::ports::free_port;
use crate::redis_server::RedisServer;
use crate::stage::{TIME_LIMIT, repository};

/// The command in the repository, with only the given variables.
pub(crate) fn appserver(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appserver"));
    command
        .args(arguments)
        .current_dir(repository(""))
        .env_clear()
        .envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Running::start(&mut appserver(arguments, environment)).ended()
}

/// Runs blocking work with a time limit; `None` if it takes too long.
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(TIME_LIMIT).ok()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A process, killed on drop.
pub(crate) struct Running(Option<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is there until it has ended")
    }

    pub(crate) fn terminate(&mut self) {
        self.signal("TERM");
    }

    pub(crate) fn signal(&mut self, name: &str) {
        let id = self.child().id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, and reads the remaining output.
    pub(crate) fn ended(mut self) -> Output {
        let child = self.0.take().expect("it is there until it has ended");
        let id = child.id().to_string();
        in_time(|| child.wait_with_output().unwrap()).unwrap_or_else(|| {
            let _ = Command::new("kill").args(["-KILL", &id]).status();
            panic!("the process has not ended after {TIME_LIMIT:?}")
        })
    }
}

/// A configuration for `serve`, on free ports, against the given STS.
pub(crate) struct Service {
    folder: tempfile::TempDir,
    pub(crate) public: u16,
    pub(crate) admin: u16,
}

impl Service {
    pub(crate) fn new(sts: SocketAddr, role_account: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (public, admin) = (free_port(), free_port());
        // SHA-256 of "abc" (FIPS 180-4).
        let config = format!(
            r#"
            [server]
            listen = "127.0.0.1:{public}"
            lame_duck_ms = 0
            [admin]
            listen = "127.0.0.1:{admin}"
            [sts]
            endpoints = ["http://{sts}"]
            [roles.oss-readonly]
            arn = "acs:ram::{role_account}:role/oss-readonly"
            [grants.daily-photos]
            role = "oss-readonly"
            policy = "{policy}"
            [clients.client-002]
            grants = ["daily-photos"]
            secret_sha256 = ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
            "#,
            policy = repository("config/policies/daily-photos.json").display(),
        );
        std::fs::write(folder.path().join("app.toml"), config).unwrap();
        Self { folder, public, admin }
    }

    pub(crate) fn public(&self) -> u16 {
        self.public
    }

    pub(crate) fn admin(&self) -> u16 {
        self.admin
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn config(&self) -> String {
        self.folder.path().join("app.toml").display().to_string()
    }

    pub(crate) fn start(&self, key: (&str, &str)) -> Running {
        self.start_with(key, &[])
    }

    pub(crate) fn start_with(&self, key: (&str, &str), more: &[(&str, &str)]) -> Running {
        let key =
            [("ALIBABA_CLOUD_ACCESS_KEY_ID", key.0), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.1)];
        let environment = [&key, more].concat();
        Running::start(&mut appserver(&["serve", "--config", &self.config()], &environment))
    }

    /// Waits until the service vends.
    pub(crate) async fn ready(&self) {
        let url = format!("http://127.0.0.1:{}/readyz", self.admin);
        let ready = async {
            while !reqwest::get(&url).await.is_ok_and(|response| response.status() == 200) {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        let ready = tokio::time::timeout(TIME_LIMIT, ready).await;
        assert!(ready.is_ok(), "the service is not ready after {TIME_LIMIT:?}");
    }
}

pub(crate) async fn emulated_sts() -> (SocketAddr, EmulatorControl) {
    let file = std::fs::read_to_string(repository("config/emulator.toml")).unwrap();
    let settings = EmulatorSettings::from_toml(&file).unwrap();
    let emulator =
        Emulator::bind(settings, (Ipv4Addr::LOCALHOST, 0).into(), Clock::system()).await.unwrap();
    let (address, control) = (emulator.sts_addr(), emulator.control());
    tokio::spawn(emulator.serve(CancellationToken::new()));
    (address, control)
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_vends_and_ends_cleanly_on_sigterm() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let mut running = service.start(("testid", "testsecret"));
    service.ready().await;
    let health = run(&["healthcheck", "--ready", "--config", &service.config()], &[]);
    assert!(health.status.success(), "{}", text(&health.stderr));
    let url = format!("http://127.0.0.1:{}/v1/token", service.public);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).basic_auth("client-002", Some("abc")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    // Only `dev` has the page.
    for page in ["dev", "dev/", "dev/setup.json"] {
        let url = format!("http://127.0.0.1:{}/{page}", service.public);
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 404, "{page}");
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(body["Code"], "NotFound", "{page}");
    }
    // Without a key there are no tickets, and none is valid.
    let url = format!("http://127.0.0.1:{}/v1", service.public);
    let request = client.post(format!("{url}/tickets")).basic_auth("client-002", Some("abc"));
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 404);
    let body = refused.text().await.unwrap();
    assert!(body.contains("This service is not set up to make tickets."), "{body}");
    let refused = client.get(format!("{url}/token?Ticket=AAAA")).send().await.unwrap();
    assert_eq!(refused.status(), 401);

    running.terminate();
    let output = running.ended();
    let log = text(&output.stderr);
    assert!(output.status.success(), "{log}");
    // The log goes to standard error; this is the audit, which goes to standard output by default.
    let audit = text(&output.stdout);
    let decisions: Vec<_> = audit
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            ["Event", "Decision", "Code"]
                .map(|member| line[member].as_str().unwrap().to_owned())
                .join(" ")
        })
        .collect();
    let expected =
        ["Token Vended Success", "Ticket Refused NotFound", "Token Refused Unauthenticated"];
    assert_eq!(decisions, expected, "{audit}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line)
            .unwrap_or_else(|_| panic!("not JSON: {line}"));
    }
    assert!(
        log.contains(r#""request.took_ms":"#) && !log.contains(r#""request.took_ms":""#),
        "{log}"
    );
    assert!(!log.contains("testsecret"));
    assert!(log.contains("testid"), "the key in use is logged by its id");
    let health = run(&["healthcheck", "--config", &service.config()], &[]);
    assert_eq!(health.status.code(), Some(69));
}

/// As with a managed Redis: TLS, a user with only the needed permissions, a password.
/// The whole process at TRACE, its libraries included.
#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_points_to_the_public_url_and_is_logged_by_its_id_alone() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let key_file = service.folder.path().join("ticket-key").display().to_string();
    // 32 bytes of 0, in base64.
    std::fs::write(&key_file, format!("{}=\n", "A".repeat(43))).unwrap();
    let more = [
        ("APPSERVER__TICKETS__KEY_FILE", key_file.as_str()),
        ("APPSERVER__SERVER__PUBLIC_URL", "https://vend.example.com/photos/"),
        ("APPSERVER__LOG__FILTER", "trace"),
    ];
    let mut running = service.start_with(("testid", "testsecret"), &more);
    service.ready().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/tickets", service.public);
    let made = client.post(url).basic_auth("client-002", Some("abc")).send().await.unwrap();
    let made: serde_json::Value = serde_json::from_str(&made.text().await.unwrap()).unwrap();
    let base = "https://vend.example.com/photos";
    let ticket = made["Url"].as_str().unwrap().strip_prefix(&format!("{base}/v1/token?Ticket="));
    let ticket = ticket.unwrap().to_owned();
    assert_eq!(made["OssSdkUrl"], format!("{base}/v1/oss-sdk/token?Ticket={ticket}"));
    let changed = format!("{}A", &ticket[1..]);
    for (query, status) in [
        (format!("Ticket={ticket}"), 200),
        (format!("Ticket={changed}"), 401),
        (format!("Ticket={ticket}&Grant=daily-photos"), 400),
        (format!("Ticket={ticket}&Ticket={ticket}"), 401),
        (format!("Parameters.album={ticket}"), 401),
    ] {
        let url = format!("http://127.0.0.1:{}/v1/token?{query}", service.public);
        assert_eq!(client.get(url).send().await.unwrap().status(), status);
    }
    let wrong_route = format!("http://127.0.0.1:{}/v1/whoami?Ticket={ticket}", service.public);
    assert_eq!(client.get(wrong_route).send().await.unwrap().status(), 401);

    running.terminate();
    let log = text(&running.ended().stderr);
    assert!(log.contains("TRACE"), "{log}");
    assert!(!log.contains(&ticket[1..]), "{log}");
    let id = made["TicketId"].as_str().unwrap();
    let line = |what: &str| log.lines().find(|line| line.contains(what) && line.contains(id));
    for what in [
        "made a ticket",
        "opened a ticket",
        "answered",
        "a query with a ticket has no other parameter",
    ] {
        assert!(line(what).is_some(), "{what}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_reached_by_tls_with_a_user_and_a_password() {
    let redis = RedisServer::start_with_tls("appserver", "canary-password").await;
    let (sts, control) = emulated_sts().await;
    let services = [Service::new(sts, "11223344"), Service::new(sts, "11223344")];
    let mut running = Vec::new();
    for service in &services {
        let file = |name: &str, text: &str| {
            let path = service.folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let password = file("password", "canary-password\n");
        let seal_key = file("seal-key", "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=\n");
        let (url, authority) = (redis.tls_url(), redis.authority());
        let store = [
            ("APPSERVER__STORE__KIND", "redis"),
            ("APPSERVER__STORE__REDIS__URL", &url),
            ("APPSERVER__STORE__REDIS__USERNAME", "appserver"),
            ("APPSERVER__STORE__REDIS__PASSWORD_FILE", &password),
            ("APPSERVER__STORE__REDIS__ENCRYPTION_KEY_FILE", &seal_key),
            ("APPSERVER__STORE__REDIS__TIMEOUT_MS", "5000"),
            ("SSL_CERT_FILE", &authority),
        ];
        running.push(service.start_with(("testid", "testsecret"), &store));
        service.ready().await;
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut tokens = Vec::new();
    for service in &services {
        let url = format!("http://127.0.0.1:{}/v1/token", service.public);
        let answer = client.get(url).basic_auth("client-002", Some("abc")).send().await.unwrap();
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        tokens.push(body["AccessKeyId"].as_str().unwrap().to_owned());
        // The token is shared right after it is handed out.
        redis.until_there_is(":token").await;
    }
    assert_eq!(tokens[0], tokens[1]);
    assert_eq!(control.totals()["AssumeRole"]["Success"], 1);
    for mut service in running {
        service.terminate();
        let log = text(&service.ended().stderr);
        assert!(log.contains("sharing tokens and the budget"), "{log}");
        assert!(!log.contains("store_degraded") && !log.contains("canary-password"), "{log}");
    }
}

/// The AccessKey of the account itself is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_accounts_key_ends_the_server_before_anything_is_vended() {
    let (sts, control) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let output = service.start(("rootid", "rootsecret")).ended();
    let log = text(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{log}");
    assert!(log.contains("belongs to the Alibaba Cloud account `11223344` itself"), "{log}");
    assert!(control.calls().iter().all(|call| call.action == "GetCallerIdentity"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_another_account_ends_the_server_unless_configured() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "55667788");
    let running = service.start(("testid", "testsecret"));
    assert_eq!(running.ended().status.code(), Some(77));
}

/// Signals of a supervisor to a process that has just started. A silent Redis delays the start.
#[tokio::test(flavor = "multi_thread")]
async fn signals_during_the_start_are_handled() {
    for signals in [&["TERM"][..], &["INT"], &["HUP", "TERM"], &["HUP"]] {
        let (sts, _) = emulated_sts().await;
        let redis = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let service = Service::new(sts, "11223344");
        let key = service.folder.path().join("key").display().to_string();
        std::fs::write(&key, "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=").unwrap();
        let url = format!("redis://{}", redis.local_addr().unwrap());
        let more = [
            ("APPSERVER__STORE__KIND", "redis"),
            ("APPSERVER__STORE__REDIS__URL", url.as_str()),
            ("APPSERVER__STORE__REDIS__ENCRYPTION_KEY_FILE", &key),
            ("APPSERVER__AUDIT__SINK", "off"),
        ];
        let mut running = service.start_with(("testid", "testsecret"), &more);
        let (_mute, _) = in_time(move || redis.accept().unwrap()).expect("it asks its store");
        for signal in signals {
            running.signal(signal);
        }
        let reloads = signals == ["HUP"];
        if reloads {
            service.ready().await;
            let reloaded = async {
                let url = format!("http://127.0.0.1:{}/metrics", service.admin);
                let line = "appserver_config_reloads_total{outcome=\"applied\"} 1";
                while !reqwest::get(&url).await.unwrap().text().await.unwrap().contains(line) {
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
            };
            tokio::time::timeout(TIME_LIMIT, reloaded).await.expect("it is read again");
            running.terminate();
        }
        let output = running.ended();
        let log = text(&output.stderr);
        assert!(output.status.success(), "{signals:?}: {:?} {log}", output.status);
        assert_eq!(log.contains("\"serving\""), reloads, "{signals:?}: {log}");
    }
}

/// A configured file that never ends does not block the start.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_place_of_a_file_is_a_problem_and_blocks_nothing() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let mut running = service.start_with(
        ("testid", "testsecret"),
        &[("APPSERVER__RELOAD__WATCH_INTERVAL_MS", "20"), ("APPSERVER__AUDIT__SINK", "off")],
    );
    service.ready().await;
    std::fs::remove_file(service.config()).unwrap();
    assert!(Command::new("mkfifo").arg(service.config()).status().unwrap().success());
    let url = format!("http://127.0.0.1:{}/readyz", service.admin);
    let refused = async {
        while !reqwest::get(&url)
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
            .contains("config_last_reload_failed")
        {
            running.signal("HUP");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(TIME_LIMIT, refused).await.expect("the pipe is refused");
    running.terminate();
    let output = running.ended();
    let log = text(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("it must be a regular file, and is a pipe"), "{log}");

    let output = service.start(("testid", "testsecret")).ended();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("it must be a regular file, and is a pipe"));
}

/// After SIGTERM load balancers have time to notice; SIGINT, which a person sends, does not wait for them.
#[tokio::test(flavor = "multi_thread")]
async fn after_sigterm_callers_are_served_for_the_lame_duck_period_and_after_sigint_not() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let long = [("APPSERVER__SERVER__LAME_DUCK_MS", "600000"), ("APPSERVER__AUDIT__SINK", "off")];
    let mut running = service.start_with(("testid", "testsecret"), &long);
    service.ready().await;
    running.signal("INT");
    let output = running.ended();
    assert!(output.status.success(), "{}", text(&output.stderr));

    let some = [("APPSERVER__SERVER__LAME_DUCK_MS", "1500"), ("APPSERVER__AUDIT__SINK", "off")];
    let mut running = service.start_with(("testid", "testsecret"), &some);
    service.ready().await;
    running.terminate();
    let url = |port: u16, path: &str| format!("http://127.0.0.1:{port}/{path}");
    let drains = async {
        while reqwest::get(url(service.admin, "readyz")).await.unwrap().status() != 503 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(TIME_LIMIT, drains).await.expect("readyz says so");
    // Each on a connection of its own.
    for _ in 0..20 {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(url(service.public, "v1/token"));
        let answer = request.basic_auth("client-002", Some("abc")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert!(running.ended().status.success());
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let service = Service::new("127.0.0.1:1".parse().unwrap(), "11223344");
    let environment = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ("APPSERVER__SERVER__LISTEN", &taken.local_addr().unwrap().to_string()),
    ];
    let output = run(&["serve", "--config", &service.config()], &environment);
    assert_eq!(output.status.code(), Some(69));
    let printed = text(&output.stderr);
    assert!(printed.contains("server.listen") && printed.contains("in use"), "{printed}");
}

#[test]
fn check_prints_every_problem_and_exits_64() {
    let output = run(&["check", "--config", "config/dev.toml"], &[]);
    assert_eq!(output.status.code(), Some(64));
    insta::assert_snapshot!(text(&output.stdout), @r"
the configuration has 11 problems:
clients.client-001.secret_sha256: the demo secret is public and works in `appserver dev` only; make one with `appserver client new`
clients.client-002.secret_sha256: the demo secret is public and works in `appserver dev` only; make one with `appserver client new`
clients.client-003.secret_sha256: the demo secret is public and works in `appserver dev` only; make one with `appserver client new`
clients.client-004.secret_sha256: the demo secret is public and works in `appserver dev` only; make one with `appserver client new`
clients.photo-app.secret_sha256: the demo secret is public and works in `appserver dev` only; make one with `appserver client new`
grants.photo-upload.upload.callback.forward: nothing listens on port 0: only `dev` puts its own backend there
grants.photo-upload.upload.callback.secret_file: the backend recognises reports by it: name a file that holds a secret; `openssl rand -hex 32` makes one
issuers.demo.jwks_file: the demo issuer's key is published and works in `appserver dev` only
server.public_url: OSS sends its callbacks there: set it to the URL at which OSS reaches this service, such as `https://vend.example.com`
sts.identity.access_key: the source `demo` works in `appserver dev` only; use `environment` or `files`
uploads.encryption_key_file: forms of grants with `upload.callback` carry what only the service may read: name a file that holds a key; `openssl rand -base64 32` makes one
");
}

#[test]
fn check_accepts_a_valid_configuration() {
    let service = Service::new("127.0.0.1:1".parse().unwrap(), "11223344");
    let output = run(&["check", "--without-access-key", "--config", &service.config()], &[]);
    assert_eq!(
        (output.status.code(), text(&output.stdout)),
        (Some(0), "The configuration is valid.\n".into())
    );
}

#[test]
fn policy_render_prints_the_policy_that_sts_would_get() {
    let render = |rest: &[&str]| {
        run(&[&["policy", "render", "--config", "config/dev.toml"], rest].concat(), &[])
    };
    let output = render(&["--client", "photo-app", "--subject", "alice"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject","oss:AbortMultipartUpload","oss:ListParts","oss:DeleteObject"],"Resource":"acs:oss:*:*:sample-bucket/users/alice/*"},{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/alice/","users/alice/*"]}}}]}"#);
    let refused = render(&["--client", "client-003", "--param", "album=*"]);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(64), String::new()));
    assert!(text(&refused.stderr).contains("album"), "{}", text(&refused.stderr));
}

#[test]
fn policy_explain_names_the_deciding_statement_and_includes_the_roles_policies() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, statement: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!(r#"{{"Version":"1","Statement":[{statement}]}}"#)).unwrap();
        path.display().to_string()
    };
    let own = file(
        "own.json",
        r#"{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/users/alice/a/*"}"#,
    );
    let reads = file("reads.json", r#"{"Effect":"Allow","Action":"oss:Get*","Resource":"*"}"#);
    let denies = file("denies.json", r#"{"Effect":"Deny","Action":"oss:Put*","Resource":"*"}"#);
    let explain = |rest: &[&str]| {
        let call = [
            "policy",
            "explain",
            "--config",
            "config/dev.toml",
            "--client",
            "photo-app",
            "--subject",
            "alice",
        ];
        let upload = [
            "--action",
            "oss:UploadPart",
            "--resource",
            "acs:oss:*:*:sample-bucket/users/alice/a/b.jpg",
        ];
        let output = run(&[&call[..], &upload, rest].concat(), &[]);
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout)
    };
    insta::assert_snapshot!(explain(&["--policy", &own, "--role-policy", &reads, "--role-policy", &denies]), @r#"
ExplicitlyDenied: by Role[1].Statement[0]

  oss:UploadPart, which oss:PutObject allows
  on acs:oss:*:*:sample-bucket/users/alice/a/b.jpg

  Statement[0]          Allow  it is about this request
  Role[0].Statement[0]  Allow  it is about other actions
  Role[1].Statement[0]  Deny   it is about this request

{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/users/alice/a/*"}]}

This is what the session policy and the given policies of the role say together. The bucket's policy, if it has one, was not evaluated.
"#);
    let json: serde_json::Value = serde_json::from_str(&explain(&["--json"])).unwrap();
    assert_eq!(json["DecidedBy"], "Statement[0]");

    let decision_on_other_bucket = |action: &str| {
        let call = ["policy", "explain", "--config", "config/dev.toml", "--client", "client-002"];
        let object = ["--resource", "acs:oss:*:*:other-bucket/a", "--action", action];
        let exit_code = |more: &[&str]| {
            let output = run(&[&call[..], &object, more].concat(), &[]);
            assert!(text(&output.stdout).starts_with("ImplicitlyDenied"));
            (output.status.code(), text(&output.stderr))
        };
        (exit_code(&[]), exit_code(&["--exit-code"]))
    };
    let denied = "appserver: the action is denied\n".to_owned();
    assert_eq!(
        decision_on_other_bucket("oss:GetObject"),
        ((Some(0), String::new()), (Some(1), denied))
    );

    let beyond = file("beyond.json", r#"{"Effect":"Allow","Action":"oss:*","Resource":"*"}"#);
    let render = [
        "policy",
        "render",
        "--config",
        "config/dev.toml",
        "--client",
        "client-002",
        "--policy",
        &beyond,
    ];
    let refused = run(&render, &[]);
    assert_eq!(refused.status.code(), Some(64));
    insta::assert_snapshot!(text(&refused.stderr), @r"appserver: Statement[0]: no statement of the grant allows all of `oss:*` on `*`; the policy allows oss:PutObject on acs:oss:*:*:bucket/object, and the grant does not");
}

#[test]
fn policy_lint_names_file_and_statement() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wide.json");
    std::fs::write(
        &file,
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:*","Resource":"*"}]}"#,
    )
    .unwrap();
    let output = run(
        &["policy", "lint", "config/policies/daily-photos.json", &file.display().to_string()],
        &[],
    );
    assert_eq!(output.status.code(), Some(64));
    insta::assert_snapshot!(text(&output.stdout).replace(&folder.path().display().to_string(), "<folder>"), @r"
<folder>/wide.json: Statement[0].Action: this allows actions that it does not name: list the actions, or set `allow_broad` with a reason
<folder>/wide.json: Statement[0].Resource: this allows buckets that it does not name: write service and bucket without wildcards, or set `allow_broad` with a reason
");
    let shipped = ["policy", "lint", "config/policies/read-all.json"];
    let output = run(&shipped, &[]);
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        text(&output.stderr),
        "appserver: 1 problem(s) in the policy templates; for a grant that sets `allow_broad`, lint with \
         --allow-broad\n"
    );
    let output = run(&[&shipped[..], &["--allow-broad"]].concat(), &[]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), String::new()));
}

#[test]
fn policy_render_names_unknown_clients_and_grants() {
    let refused = |arguments: &[&str]| {
        let render = ["policy", "render", "--config", "config/dev.toml"];
        let output = run(&[&render[..], arguments].concat(), &[]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(64), String::new()));
        text(&output.stderr)
    };
    let lines = [
        refused(&["--client", "nobody"]),
        refused(&["--client", "client-002", "--grant", "nothing"]),
        refused(&["--client", "client-002", "--param", "albm=2015"]),
        refused(&["--client", "client-003", "--param", "albm=2015"]),
        refused(&["--client", "client-003", "--param", "album=2015", "--param", "album=2016"]),
        refused(&["--client", "photo-app", "--subject", "alice", "--issuer", "nope"]),
        refused(&["--client", "client-002", "--issuer", "demo"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r"
appserver: there is no client `nobody`; there are: `client-001`, `client-002`, `client-003`, `client-004`, `photo-app`
appserver: the client `client-002` has no grant `nothing`; it has: `daily-photos`
appserver: --param albm: the grant `daily-photos` declares no parameters
appserver: --param albm: the grant `one-album` declares no such parameter; it declares: `album`
appserver: --param album is given twice
appserver: --issuer: `photo-app` has no users of `nope`; its issuers are: `demo`
appserver: --issuer: `client-002` has no users of `demo`; its issuers are: none
");
}

#[test]
fn client_new_prints_a_secret_and_its_hash() {
    use sha2::{Digest, Sha256};
    let printed = text(&run(&["client", "new", "photo-app-ios"], &[]).stdout);
    let secret = printed.lines().find(|line| line.trim().len() == 43).unwrap().trim();
    let hash = hex::encode(Sha256::digest(secret));
    assert!(printed.contains(&format!("secret_sha256 = [\"{hash}\"]")), "{printed}");
    assert!(printed.contains("[clients.photo-app-ios]"));
    assert!(printed.contains("Never put it into an app's build"), "{printed}");
    assert_eq!(run(&["client", "new", "Photo App"], &[]).status.code(), Some(2));
}

/// Every curl line that `dev` prints is run, with `-sg` inserted: without a progress meter, and with brackets in a URL
/// standing for themselves. Otherwise it is as it is printed. The folder is empty: the binary is all that `dev` needs.
#[test]
fn dev_in_an_empty_folder_prints_curl_lines_that_work_when_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let services = ["--sts-port", "--oss-port", "--ram-port", "--metadata-port"];
    let ports = [["--port", "--admin-port"].as_slice(), &services].concat();
    let any: Vec<_> = ports.iter().flat_map(|flag| [*flag, "0"]).collect();
    let arguments = [["dev"].as_slice(), &any].concat();
    // Its shutdown has no lame duck period, even if one is configured.
    let environment = [("APPSERVER__SERVER__LAME_DUCK_MS", "600000")];
    let mut dev = appserver(&arguments, &environment);
    let mut running = Running::start(dev.current_dir(folder.path()));
    let mut printed = BufReader::new(running.child().stdout.take().unwrap());
    let (greeting, _printed) = in_time(move || {
        let lines = printed.by_ref().lines().map(Result::unwrap);
        (lines.take_while(|line| !line.starts_with("Ctrl-C")).collect::<Vec<_>>(), printed)
    })
    .expect("the greeting is printed");
    let curls: Vec<_> = greeting.iter().filter(|line| line.trim().starts_with("curl ")).collect();
    let answers = curls.iter().map(|line| {
        let mut command = Command::new("sh");
        command.args(["-c", &line.replacen("curl", "curl -sg", 1)]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        text(&Running::start(&mut command).ended().stdout)
    });
    let mut answers: Vec<_> = answers.collect();
    let metrics = answers.pop().unwrap();
    let picture = answers.remove(7);
    assert!(picture.starts_with("<svg"), "{picture}");
    let answers: Vec<serde_json::Value> =
        answers.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let codes: Vec<_> = answers.iter().map(|answer| answer["Code"].to_string()).collect();
    let expected = [
        "\"Success\"",
        "\"Success\"",
        "\"InvalidParameter.Parameters.album\"",
        "\"Success\"",
        "\"Success\"",
        "null",
        "null",
        "\"Success\"",
        "\"Success\"",
    ];
    assert_eq!(codes, expected, "{greeting:#?}");
    // The backend's answer is OSS's, and the backend shows what it took, with the audit of it.
    let [saved, reports] = &answers[5..7] else { panic!("{answers:#?}") };
    let taken = &reports["Reports"][0];
    assert!(saved["Saved"] == true && taken["Answer"] == *saved, "{saved} {reports}");
    assert_eq!(taken["Report"]["UploadId"], saved["UploadId"]);
    assert_eq!(taken["Report"]["Vars"], serde_json::json!({"user": "alice"}));
    let audit = taken["Audit"].as_array().unwrap().iter();
    let decisions: Vec<_> = audit.map(|line| line["Decision"].as_str().unwrap()).collect();
    assert_eq!(decisions, ["Issued", "Confirmed", "Delivered"]);
    assert!(metrics.lines().last().unwrap().starts_with("appserver_"), "{metrics}");
    // A token's bucket is at the port that the emulated OSS listens on.
    let named: Vec<_> =
        answers.iter().filter_map(|answer| answer["Oss"]["Endpoint"].as_str()).collect();
    let [endpoint] = named[..] else { panic!("{named:?}") };
    let is_greeted = |line: &String| line.contains(&format!(" OSS {endpoint},"));
    assert!(greeting.iter().any(is_greeted), "{endpoint}: {greeting:#?}");
    running.terminate();
    let ended = running.ended();
    assert!(ended.status.success());
    let log = text(&ended.stderr);
    assert!(log.contains("using the built-in demo; `--config` names another"), "{log}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves no file");
}
