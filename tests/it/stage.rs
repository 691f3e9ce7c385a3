//! A server, an emulated STS, OSS and metadata server and a clock, set up for one test and checked at its end.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use appserver::app::{App, Reloads, Unfit};
use appserver::config::{self, Environment, Mode};
use appserver_domain::clock::Clock;
use appserver_emulator::{Call, Emulator, EmulatorControl, EmulatorSettings};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::logs;

/// The initial time of every stage's clock.
pub(crate) const START: &str = "2016-01-13T14:02:37Z";

/// The time limit of every wait: the test fails instead of hanging.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(30);

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// One running server against one emulated STS, with an emulated OSS and metadata server beside it.
pub(crate) struct Stage {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) sts: EmulatorControl,
    pub(crate) oss: SocketAddr,
    pub(crate) clock: Clock,
    server: JoinHandle<Result<(), Unfit>>,
    stop: CancellationToken,
    ready: CancellationToken,
    reloads: Reloads,
    /// Contains `over.toml`, and other files of the test.
    folder: tempfile::TempDir,
    http: reqwest::Client,
    /// Secrets that callers got; none may be logged.
    handed_out: Mutex<Vec<String>>,
    log_start: usize,
}

/// A completely read answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

/// The differences of a stage from the demo.
#[derive(Default)]
pub(crate) struct Setting<'a> {
    /// TOML that overrides `config/dev.toml`. `{metadata}` stands for the address of the metadata server, `{oss}` for that
    /// of the emulated OSS, `{folder}` for the folder of the files.
    pub(crate) config: &'a str,
    /// Environment variables.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// Files next to that TOML, which it can name.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// Lines of `config/emulator.toml`, and the ones in their place.
    pub(crate) emulator: &'a [(&'a str, &'a str)],
    /// The faults of the emulator before the server starts.
    pub(crate) before: Option<fn(&EmulatorControl)>,
}

impl Stage {
    /// The demo's clients and grants, ready to vend.
    pub(crate) async fn demo() -> Self {
        Self::set(Setting::default()).await
    }

    /// A demo with differences, ready to vend.
    pub(crate) async fn set(setting: Setting<'_>) -> Self {
        let stage = Self::set_unready(setting).await;
        let ready = tokio::time::timeout(TIME_LIMIT, stage.ready()).await;
        assert!(ready.is_ok(), "the server is not ready after {TIME_LIMIT:?}");
        stage.sts.clear_calls();
        stage
    }

    /// A server that may never become ready.
    pub(crate) async fn set_unready(setting: Setting<'_>) -> Self {
        let log_start = logs::capture();
        let clock = Clock::manual(START.parse().unwrap());
        let mut file = std::fs::read_to_string(repository("config/emulator.toml")).unwrap();
        for (line, other) in setting.emulator {
            assert!(file.contains(line), "config/emulator.toml has no `{line}`");
            file = file.replace(line, other);
        }
        let cloud = EmulatorSettings::from_toml(&file).unwrap();
        let emulator = Emulator::bind(cloud, LOOPBACK.into(), clock.clone()).await.unwrap();
        let emulator = emulator.with_oss(LOOPBACK.into(), None).await.unwrap();
        let emulator = emulator.with_metadata(LOOPBACK.into()).await.unwrap();
        let metadata = emulator.metadata_addr().unwrap();
        let (sts, oss) = (emulator.control(), emulator.oss_addr().unwrap());
        if let Some(before) = setting.before {
            before(&sts);
        }

        let mut environment: Environment = setting
            .environment
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let mut set =
            |key: &str, value: String| environment.insert(format!("APPSERVER__{key}"), value);
        set("SERVER__LISTEN", "127.0.0.1:0".into());
        set("ADMIN__LISTEN", "127.0.0.1:0".into());
        set("STS__ENDPOINTS", format!("http://{}", emulator.sts_addr()));
        let folder = tempfile::tempdir().unwrap();
        let over = folder.path().join("over.toml");
        let config = setting.config.replace("{metadata}", &metadata.to_string());
        let config = config.replace("{oss}", &oss.to_string());
        let config = config.replace("{folder}", folder.path().to_str().unwrap());
        std::fs::write(&over, config).unwrap();
        for (name, text) in setting.files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let files = [repository("config/dev.toml"), over];
        let settings = config::load(&files, &environment, Mode::Demo).unwrap();

        let stop = CancellationToken::new();
        tokio::spawn(emulator.serve(CancellationToken::new()));
        let app = Box::pin(App::start(settings, clock.clone())).await.unwrap();
        let (public, admin, ready) = (app.public_addr(), app.admin_addr(), app.ready());
        let reloads = app.reloads();
        let server = tokio::spawn(app.run(stop.clone()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let handed_out = Mutex::default();
        Self {
            public,
            admin,
            sts,
            oss,
            clock,
            server,
            stop,
            ready,
            reloads,
            folder,
            http,
            handed_out,
            log_start,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    pub(crate) async fn ready(&self) {
        self.ready.cancelled().await;
    }

    /// Writes a file of the configuration: `over.toml`, or one that it names.
    pub(crate) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes the server reload its configuration; returns the problems if it refuses it.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        self.reloads.reload().await.map_err(|problems| problems.to_string())
    }

    /// `GET` as a demo client.
    pub(crate) async fn get(&self, client: &str, path: &str) -> Answer {
        self.send(self.http.get(self.url(path)).basic_auth(client, Some(secret(client)))).await
    }

    /// `POST /v1/token` as a demo client.
    pub(crate) async fn post(&self, client: &str, body: &str) -> Answer {
        let request =
            self.http.post(self.url("/v1/token")).basic_auth(client, Some(secret(client)));
        self.send(request.header("Content-Type", "application/json").body(body.to_owned())).await
    }

    /// Sends the test's own request.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), self.url(path))
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
        let answer = Answer { status, headers, body };
        let mut handed_out = self.handed_out.lock().unwrap();
        for field in ["AccessKeySecret", "SecurityToken"] {
            handed_out.extend(answer.body[field].as_str().map(str::to_owned));
        }
        let token = answer.body["Fields"]["x-oss-security-token"].as_str();
        handed_out.extend(token.map(str::to_owned));
        let signature =
            answer.body["Url"].as_str().and_then(|url| url.split_once("x-oss-signature="));
        handed_out.extend(signature.map(|(_, signature)| signature.to_owned()));
        let ticket = answer.body["Url"].as_str().and_then(|url| url.split_once("?Ticket="));
        handed_out.extend(ticket.map(|(_, ticket)| ticket.to_owned()));
        answer
    }

    /// A page of the admin listener, as text.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The calls of AssumeRole that reached STS.
    pub(crate) fn assume_role_calls(&self) -> Vec<Call> {
        self.sts.calls().into_iter().filter(|call| call.action == "AssumeRole").collect()
    }

    /// Ends the server and checks what every test must not cause: calls without a policy, secrets in the log.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
        assert_eq!(self.sts.unrestricted_calls(), [], "a role was taken whole");
        let handed_out = self.handed_out.into_inner().unwrap();
        logs::assert_free_of(self.log_start, handed_out.iter().map(String::as_str));
    }
}

impl Answer {
    /// `status Code`, for tables.
    pub(crate) fn outcome(&self) -> String {
        format!("{} {}", self.status, self.body["Code"].as_str().unwrap())
    }

    pub(crate) fn time(&self, field: &str) -> DateTime<Utc> {
        self.body[field].as_str().unwrap().parse().unwrap()
    }

    /// The body, with its varying parts replaced by their names.
    pub(crate) fn steady(&self) -> Value {
        let mut body = self.body.clone();
        for field in
            ["RequestId", "AccessKeyId", "AccessKeySecret", "SecurityToken", "RefreshAfter"]
        {
            if let Some(value) = body.get_mut(field) {
                *value = format!("<{field}>").into();
            }
        }
        body
    }
}

/// Waits for a condition; the test fails at the time limit.
pub(crate) async fn until(what: &str, come: impl AsyncFn() -> bool) {
    let wait = async {
        while !come().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let waited = tokio::time::timeout(TIME_LIMIT, wait).await;
    assert!(waited.is_ok(), "not after {TIME_LIMIT:?}: {what}");
}

/// A demo client's published secret.
pub(crate) fn secret(client: &str) -> String {
    format!("{client}-demo-secret")
}

/// A valid configuration for commands, and more of it.
pub(crate) fn configuration_and(more: &str) -> String {
    format!(
        r#"
        {more}
        [roles.oss]
        arn = "acs:ram::11223344:role/oss"
        [grants.my-photos]
        role = "oss"
        policy = "{}"
        [clients.photo-app]
        grants = ["my-photos"]
        secret_sha256 = ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
        [issuers.demo]
        issuer = "https://login.example.com/"
        algorithms = ["ES256"]
        jwks_url = "http://127.0.0.1:9/jwks"
        audiences.photo-app = ["photo-app"]
        "#,
        repository("config/policies/my-photos.json").display()
    )
}

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
