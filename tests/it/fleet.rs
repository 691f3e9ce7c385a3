//! Replicas that share a Redis, each on a runtime of its own so that it can die like a process.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use appserver::app::{App, Reloads};
use appserver::config::{self, Environment, Mode};
use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorControl, EmulatorSettings};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::logs;
use crate::redis_server::RedisServer;
use crate::stage::{START, TIME_LIMIT, repository, secret};

/// One emulated STS, one Redis, and replicas that come and go.
pub(crate) struct Fleet {
    pub(crate) sts: EmulatorControl,
    pub(crate) redis: RedisServer,
    pub(crate) replicas: Vec<Replica>,
    sts_addr: SocketAddr,
    /// Where the replicas find Redis, by variables of `store.redis`.
    store: Vec<(&'static str, String)>,
    pub(crate) clock: Clock,
    http: reqwest::Client,
    handed_out: Mutex<BTreeSet<String>>,
    log_start: usize,
}

/// A server as in production.
pub(crate) struct Replica {
    public: SocketAddr,
    admin: SocketAddr,
    reloads: Reloads,
    /// Holds its `over.toml`.
    folder: tempfile::TempDir,
    /// Dropping it aborts all of its tasks.
    runtime: Option<Runtime>,
}

impl Fleet {
    /// A number of replicas with the same configuration.
    pub(crate) async fn of(replicas: usize, config: &str) -> Self {
        let mut fleet = Self::without_replicas().await;
        for _ in 0..replicas {
            fleet.add(config).await;
        }
        fleet
    }

    /// The same with another Redis, by variables of `store.redis`.
    pub(crate) async fn with_store(
        replicas: usize,
        store: Vec<(&'static str, String)>,
        config: &str,
    ) -> Self {
        let mut fleet = Self { store, ..Self::without_replicas().await };
        for _ in 0..replicas {
            fleet.add(config).await;
        }
        fleet
    }

    pub(crate) async fn without_replicas() -> Self {
        let log_start = logs::capture();
        let clock = Clock::manual(START.parse().unwrap());
        let file = std::fs::read_to_string(repository("config/emulator.toml")).unwrap();
        let cloud = EmulatorSettings::from_toml(&file).unwrap();
        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let emulator = Emulator::bind(cloud, loopback, clock.clone()).await.unwrap();
        let (sts, sts_addr) = (emulator.control(), emulator.sts_addr());
        tokio::spawn(emulator.serve(CancellationToken::new()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let redis = RedisServer::start().await;
        Self {
            sts,
            store: vec![("URL", redis.url())],
            redis,
            replicas: Vec::new(),
            sts_addr,
            clock,
            http,
            handed_out: Mutex::default(),
            log_start,
        }
    }

    /// One more replica, ready to vend.
    pub(crate) async fn add(&mut self, config: &str) {
        let folder = tempfile::tempdir().unwrap();
        let over = folder.path().join("over.toml");
        std::fs::write(&over, config).unwrap();
        let variables = [
            ("SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("ADMIN__LISTEN", "127.0.0.1:0".to_owned()),
            ("STS__ENDPOINTS", format!("http://{}", self.sts_addr)),
            ("STORE__KIND", "redis".to_owned()),
        ];
        let mut environment: Environment =
            variables.map(|(key, value)| (format!("APPSERVER__{key}"), value)).into();
        let store = self.store.iter().cloned();
        environment
            .extend(store.map(|(key, value)| (format!("APPSERVER__STORE__REDIS__{key}"), value)));
        let files = [repository("config/dev.toml"), over];
        let settings = config::load(&files, &environment, Mode::Demo).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let clock = self.clock.clone();
        let starting =
            runtime.spawn(async { Box::pin(App::start(settings, clock)).await.unwrap() });
        let app = starting.await.unwrap();
        let (public, admin, ready) = (app.public_addr(), app.admin_addr(), app.ready());
        let reloads = app.reloads();
        runtime.spawn(app.run(CancellationToken::new()));
        let ready = tokio::time::timeout(TIME_LIMIT, ready.cancelled_owned()).await;
        assert!(ready.is_ok(), "the replica is not ready after {TIME_LIMIT:?}");
        self.replicas.push(Replica { public, admin, reloads, folder, runtime: Some(runtime) });
        self.sts.clear_calls();
    }

    /// Where the emulated STS listens.
    pub(crate) fn sts_addr(&self) -> SocketAddr {
        self.sts_addr
    }

    /// Changes a replica's configuration while it runs.
    pub(crate) async fn reconfigure(&self, replica: usize, config: &str) {
        let Replica { folder, reloads, .. } = &self.replicas[replica];
        std::fs::write(folder.path().join("over.toml"), config).unwrap();
        reloads.reload().await.unwrap();
    }

    /// The answer's `Code` and `AccessKeyId` from one replica for the album's token.
    pub(crate) async fn album(&self, replica: usize, album: &str) -> (String, String) {
        self.token(replica, "client-003", &format!("Parameters.album={album}")).await
    }

    /// The same of any demo client's token.
    pub(crate) async fn token(
        &self,
        replica: usize,
        client: &str,
        query: &str,
    ) -> (String, String) {
        let url = format!("http://{}/v1/token?{query}", self.replicas[replica].public);
        self.answer(self.http.get(url).basic_auth(client, Some(secret(client)))).await
    }

    /// The same of the token of a user of the demo's app.
    pub(crate) async fn user(&self, replica: usize, jwt: &str) -> (String, String) {
        let url = format!("http://{}/v1/token", self.replicas[replica].public);
        self.answer(self.http.get(url).bearer_auth(jwt)).await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> (String, String) {
        let text = request.send().await.unwrap().text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        let mut handed_out = self.handed_out.lock().unwrap();
        for field in ["AccessKeySecret", "SecurityToken"] {
            handed_out.extend(body[field].as_str().map(str::to_owned));
        }
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        (text("Code"), text("AccessKeyId"))
    }

    /// A page of a replica's admin listener.
    pub(crate) async fn admin(&self, replica: usize, path: &str) -> String {
        let url = format!("http://{}{path}", self.replicas[replica].admin);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Whether each replica reports Redis as gone, in `/readyz` and by the metric.
    pub(crate) async fn degraded(&self) -> Vec<bool> {
        let mut degraded = Vec::new();
        for replica in 0..self.replicas.len() {
            let ready = self.admin(replica, "/readyz").await.contains("store_degraded");
            let metrics = self.admin(replica, "/metrics").await;
            let metric = metrics.lines().any(|line| line == "appserver_store_degraded 1");
            // The two are asked one after the other.
            degraded.push(ready || metric);
        }
        degraded
    }

    /// Waits until all replicas are degraded, or none is.
    pub(crate) async fn until_degraded(&self, all: bool) {
        let reached = async {
            while self.degraded().await.iter().any(|degraded| *degraded != all) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = tokio::time::timeout(TIME_LIMIT, reached).await;
        assert!(reached.is_ok(), "after {TIME_LIMIT:?}: {:?}", self.degraded().await);
    }

    /// The number of AssumeRole calls, failed ones included.
    pub(crate) fn sts_calls(&self) -> u64 {
        let totals = self.sts.totals();
        totals.get("AssumeRole").map_or(0, |outcomes| outcomes.values().sum())
    }

    /// Checks what every test must not cause: calls without a policy, secrets in the log.
    pub(crate) fn close(self) {
        assert_eq!(self.sts.unrestricted_calls(), [], "a role was taken whole");
        let handed_out = self.handed_out.into_inner().unwrap();
        logs::assert_free_of(self.log_start, handed_out.iter().map(String::as_str));
    }
}

impl Replica {
    pub(crate) fn public_addr(&self) -> SocketAddr {
        self.public
    }

    /// Kills it: calls in flight, leases and connections are left as they are.
    pub(crate) fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its tasks is not allowed where tests await.
            runtime.shutdown_background();
        }
    }
}
