//! A real master with a replica and three Sentinels of a test's own.

use std::path::Path;
use std::process::Child;

use redis::Client;

use crate::ports::free_port;
use crate::redis_cluster::ask;
use crate::redis_server::{
    MASTER_RIGHTS, RIGHTS, RedisServer, SENTINEL_RIGHTS, spawn, tls_arguments, words,
};
use crate::stage::until;

/// The user of the master, with exactly the rights that docs/operate/redis.md lists, and of the Sentinels.
pub(crate) const USER: &str = "appserver";
pub(crate) const PASSWORD: &str = "canary-password";
pub(crate) const SENTINEL_USER: &str = "asker";
pub(crate) const SENTINEL_PASSWORD: &str = "canary-sentinel";
pub(crate) const MASTER: &str = "photos";

pub(crate) struct RedisSentinels {
    pub(crate) master: RedisServer,
    pub(crate) replica: RedisServer,
    sentinels: Vec<Sentinel>,
}

/// Stopped on drop.
struct Sentinel {
    child: Child,
    port: u16,
    tls_port: u16,
    _folder: tempfile::TempDir,
}

impl RedisSentinels {
    /// With TLS too if there is a certificate in a folder.
    pub(crate) async fn start(certificate: Option<&Path>) -> Self {
        let user = format!(
            "--user {USER} on >{PASSWORD} {RIGHTS} {MASTER_RIGHTS} --repl-diskless-sync-delay 0"
        );
        let server = async |more: String| {
            let more = words(&format!("{user} {more}"));
            match certificate {
                None => RedisServer::start_with(&more).await,
                Some(certificate) => RedisServer::start_with_certificate(certificate, &more).await,
            }
        };
        let master = server(String::new()).await;
        let port = if certificate.is_some() { master.tls_port() } else { master.port() };
        let by_tls = if certificate.is_some() { "--tls-replication yes" } else { "" };
        let replica = server(format!("--replicaof 127.0.0.1 {port} {by_tls}")).await;
        until("the replica has the master's data", async || {
            let info: String =
                ask(&mut replica.connection().await, "INFO replication").await.unwrap();
            info.contains("master_link_status:up")
        })
        .await;
        let sentinels = (0..3).map(|_| Sentinel::start(port, certificate)).collect();
        let this = Self { master, replica, sentinels };
        for sentinel in &this.sentinels {
            until("the Sentinel knows the other two and the replica", async || {
                let client = Client::open(format!("redis://127.0.0.1:{}", sentinel.port)).unwrap();
                let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
                    return false;
                };
                let info: String = ask(&mut connection, "INFO sentinel").await.unwrap();
                info.contains("status=ok") && info.contains("slaves=1,sentinels=3")
            })
            .await;
        }
        this
    }

    pub(crate) fn urls(&self) -> String {
        let url = |sentinel: &Sentinel| format!("redis://127.0.0.1:{}", sentinel.port);
        self.sentinels.iter().map(url).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn tls_urls(&self) -> String {
        let url = |sentinel: &Sentinel| format!("rediss://localhost:{}", sentinel.tls_port);
        self.sentinels.iter().map(url).collect::<Vec<_>>().join(",")
    }
}

impl Sentinel {
    fn start(master: u16, certificate: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {MASTER} 1000\n\
             sentinel failover-timeout {MASTER} 6000\n\
             user {SENTINEL_USER} on >{SENTINEL_PASSWORD} {SENTINEL_RIGHTS}\n",
            folder.path().display()
        );
        std::fs::write(&file, text).unwrap();
        let mut arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        if let Some(certificate) = certificate {
            arguments.extend(tls_arguments(certificate, tls_port));
            arguments.extend(words("--tls-replication yes"));
        }
        Self { child: spawn(&arguments), port, tls_port, _folder: folder }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
