//! A service with all features, and a canary for each secret.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorControl, EmulatorSettings};
use axum::Router;
use axum::extract::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::search::{Canaries, canary};
use crate::binary::{Running, appserver};
use crate::certificates::{Pki, Signed};
use crate::collector::{Behaviour, Collector};
use crate::ports::free_port;
use crate::redis_server::RedisServer;
use crate::stage::{TIME_LIMIT, repository};

pub(super) const CLIENT: &str = "seen-client-by-its-name";
pub(super) const SHARED: &str = "https://shared.example.com/";
pub(super) const FETCHED: &str = "https://fetched.example.com/";

/// Everything around the service.
pub(super) struct World {
    folder: tempfile::TempDir,
    pub(super) public: u16,
    pub(super) admin: u16,
    pub(super) pki: Pki,
    pub(super) caller: Signed,
    pub(super) redis: RedisServer,
    pub(super) collector: Collector,
    pub(super) sts: EmulatorControl,
    /// The answers of STS.
    pub(super) answered: Arc<Mutex<Vec<u8>>>,
    /// The requests to the issuer.
    pub(super) asked: Arc<Mutex<String>>,
    pub(super) canaries: Canaries,
}

impl World {
    pub(super) async fn new() -> Self {
        let mut canaries = Canaries::default();
        let file = std::fs::read_to_string(repository("config/emulator.toml")).unwrap();
        let file = file
            .replace("\"testsecret\"", &format!("{:?}", canaries.new_secret("access-key")))
            .replace("\"nextsecret\"", &format!("{:?}", canaries.new_secret("next-access-key")));
        let settings = EmulatorSettings::from_toml(&file).unwrap();
        let loopback = (Ipv4Addr::LOCALHOST, 0);
        let emulator = Emulator::bind(settings, loopback.into(), Clock::system()).await.unwrap();
        let (sts, control) = (emulator.sts_addr(), emulator.control());
        tokio::spawn(emulator.serve(CancellationToken::new()));
        let (sts, answered) = recording_proxy(sts).await;
        let redis =
            RedisServer::start_with_tls("appserver", &canaries.new_secret("redis-password")).await;
        let collector = Collector::start(Behaviour::Accepts).await;
        let (issuer, asked) = issuer().await;

        let pki = Pki::new();
        let caller = pki.clients.naming(&["certified.example.com"]);
        canaries.plant_pem("key of a caller's certificate", &caller.key);
        let folder = tempfile::tempdir().unwrap();
        let tls = pki.config("optional");
        let key_file = tls.lines().find_map(|line| line.strip_prefix("key_file = ")).unwrap();
        let tls_key = std::fs::read_to_string(key_file.trim_matches('"')).unwrap();
        canaries.plant_pem("key of the listener's certificate", &tls_key);
        // A copy that tests can change.
        let tls = tls.replace(key_file, "\"tls-key\"");

        let (public, admin) = (free_port(), free_port());
        let hash = |name: &str, canaries: &mut Canaries| {
            hex::encode(Sha256::digest(canaries.new_secret(name)))
        };
        let config = format!(
            r#"
            [server]
            listen = "127.0.0.1:{public}"
            public_url = "https://127.0.0.1:{public}"
            cors_origins = ["https://app.example.com"]
            {tls}
            [admin]
            listen = "127.0.0.1:{admin}"
            [log]
            filter = "trace"
            [tracing]
            otlp_endpoint = "http://{collector}"
            headers_file = "otlp-headers"
            sample_ratio = 1.0
            [reload]
            watch_interval_ms = 0
            [audit]
            file = "audit.jsonl"
            [sts]
            endpoints = ["http://{sts}"]
            max_attempts = 1
            [sts.identity.access_key]
            source = "files"
            id_file = "id"
            secret_file = "secret"
            [vend]
            negative_cache_secs = 0
            [vend.breaker]
            failures = 1000
            [store]
            kind = "redis"
            [store.redis]
            url = "{redis}"
            username = "appserver"
            password_file = "redis-password"
            encryption_key_file = "seal-key"
            previous_encryption_key_file = "previous-seal-key"
            timeout_ms = 5000
            [auth_failure_limit]
            per_address_per_minute = 100000
            per_address_burst = 100000
            per_client_per_minute = 100000
            per_client_burst = 100000
            [tickets]
            key_file = "ticket-key"
            previous_key_file = "previous-ticket-key"
            [roles.oss-readonly]
            arn = "acs:ram::11223344:role/oss-readonly"
            [roles.oss-readwrite]
            arn = "acs:ram::11223344:role/oss-readwrite"
            [grants.one-album]
            role = "oss-readonly"
            policy = {one_album:?}
            [grants.one-album.parameters.album]
            kind = "segment"
            max_length_bytes = 64
            [grants.my-photos]
            role = "oss-readwrite"
            policy = {my_photos:?}
            shared_subjects = "both issuers have the same users"
            [issuers.shared]
            issuer = "{SHARED}"
            algorithms = ["HS256"]
            secret_file = "shared-secret"
            audiences.photos = ["seen-users"]
            [issuers.fetched]
            issuer = "{FETCHED}"
            algorithms = ["ES256"]
            jwks_url = "http://{issuer}/jwks"
            audiences.photos = ["seen-users"]
            [clients.{CLIENT}]
            grants = ["one-album"]
            secret_sha256 = ["{client}"]
            [clients.seen-users]
            grants = ["my-photos"]
            secret_sha256 = ["{users}"]
            [clients.certified]
            grants = ["one-album"]
            certificates = ["dns:certified.example.com"]
            "#,
            collector = collector.address,
            redis = redis.tls_url(),
            one_album = repository("config/policies/one-album.json"),
            my_photos = repository("config/policies/my-photos.json"),
            client = hash("client", &mut canaries),
            users = hash("users", &mut canaries),
        );
        let mut world = Self {
            folder,
            public,
            admin,
            pki,
            caller,
            redis,
            collector,
            sts: control,
            answered,
            asked,
            canaries,
        };
        world.write("app.toml", &config);
        world.write("tls-key", &tls_key);
        world.write("id", "testid\n");
        world.write("secret", &canary("access-key"));
        world.write("redis-password", &canary("redis-password"));
        for (file, byte) in [
            ("seal-key", 0xa1_u8),
            ("previous-seal-key", 0xb2),
            ("ticket-key", 0xc3),
            ("previous-ticket-key", 0xd4),
        ] {
            let key: Vec<u8> = (0..32).map(|at| byte ^ at).collect();
            world.canaries.plant(file, &key);
            world.canaries.plant(file, STANDARD.encode(&key));
            world.write(file, &STANDARD.encode(&key));
        }
        let shared = world.canaries.new_secret("shared-secret");
        world.write("shared-secret", &shared);
        let headers = format!("x-api-key={}\n", world.canaries.new_secret("otlp-key"));
        world.write("otlp-headers", &headers);
        world
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(super) fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    pub(super) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Runs a command with this configuration and returns its output.
    pub(super) fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> (String, Vec<u8>) {
        let output = self.command(arguments, more).output().unwrap();
        let name = format!("`{}` with {more:?}", arguments.join(" "));
        (name, [output.stdout, output.stderr].concat())
    }

    /// `serve`, with its outputs written to files of this name.
    pub(super) fn serve(&self, name: &str, more: &[(&str, &str)]) -> Running {
        let config = self.path("app.toml").display().to_string();
        let mut command = self.command(&["serve", "--config", &config], more);
        let file = |ending: &str| File::create(self.path(&format!("{name}.{ending}"))).unwrap();
        Running::start(command.stdout(file("out")).stderr(file("err")))
    }

    fn command(&self, arguments: &[&str], more: &[(&str, &str)]) -> std::process::Command {
        let authority = self.redis.authority();
        let more = [&[("SSL_CERT_FILE", authority.as_str())], more].concat();
        appserver(arguments, &more)
    }

    pub(super) async fn admin(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}{path}", self.admin);
        match reqwest::get(url).await {
            Ok(answer) => answer.text().await.unwrap(),
            Err(_) => String::new(),
        }
    }

    /// Waits until a page of the admin listener contains this text.
    pub(super) async fn until(&self, path: &str, text: &str) {
        let come = async {
            while !self.admin(path).await.contains(text) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            tokio::time::timeout(TIME_LIMIT, come).await.is_ok(),
            "{text} does not come: {}",
            self.admin(path).await
        );
    }

    /// All values in Redis, of any type.
    pub(super) async fn stored(&self) -> Vec<u8> {
        let mut connection = self.redis.connection().await;
        let names: Vec<String> =
            redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        let mut stored = Vec::new();
        for name in names {
            stored.extend(name.as_bytes());
            let mut kind = redis::cmd("TYPE");
            let kind: String = kind.arg(&name).query_async(&mut connection).await.unwrap();
            let read = match kind.as_str() {
                "string" => redis::cmd("GET").arg(&name).clone(),
                "hash" => redis::cmd("HGETALL").arg(&name).clone(),
                "zset" => redis::cmd("ZRANGE").arg(&name).arg(0).arg(-1).clone(),
                other => panic!("{name} is a {other}"),
            };
            let value: redis::Value = read.query_async(&mut connection).await.unwrap();
            flatten(&value, &mut stored);
        }
        stored
    }
}

fn flatten(value: &redis::Value, into: &mut Vec<u8>) {
    into.push(b'\n');
    match value {
        redis::Value::BulkString(bytes) => into.extend(bytes),
        redis::Value::Array(values) => values.iter().for_each(|value| flatten(value, into)),
        redis::Value::Map(pairs) => pairs.iter().for_each(|(name, value)| {
            flatten(name, into);
            flatten(value, into);
        }),
        other => into.extend(format!("{other:?}").into_bytes()),
    }
}

/// A proxy to `target` that records the answers.
async fn recording_proxy(target: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answered = Arc::<Mutex<Vec<u8>>>::default();
    let ours = Arc::clone(&answered);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(target).await.unwrap();
            let ((mut asks, mut answers), (mut heard, mut asked)) =
                (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut asked).await });
            let ours = Arc::clone(&ours);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = heard.read(&mut buffer).await {
                    ours.lock().unwrap().extend_from_slice(&buffer[..length]);
                    answers.write_all(&buffer[..length]).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    (address, answered)
}

/// Serves the demo's public key and records the requests.
async fn issuer() -> (SocketAddr, Arc<Mutex<String>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<String>>::default();
    let ours = Arc::clone(&asked);
    let keys = std::fs::read_to_string(repository("config/demo.jwks.json")).unwrap();
    let keys: Value = serde_json::from_str(&keys).unwrap();
    let answer = move |request: Request| {
        ours.lock().unwrap().push_str(&format!("{request:?}\n"));
        std::future::ready(keys.to_string())
    };
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    (address, asked)
}
