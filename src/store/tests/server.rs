//! A real redis-server for the tests of the store.

use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroU32;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{FromRedisValue, cmd};

use super::super::{Redis, RedisSettings, RedisTopology};
use crate::seal::SealKey;
use crate::telemetry::Metrics;
use appserver_domain::clock::Clock;

/// A redis-server without persistence; stopped on drop.
pub(super) struct Server {
    child: Child,
    url: String,
}

impl Server {
    pub(super) fn start() -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(port.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
        let child =
            command.spawn().expect("redis-server is installed: `apt-get install redis-server`");
        Self { child, url: format!("redis://127.0.0.1:{port}") }
    }

    pub(super) async fn connection(&self) -> MultiplexedConnection {
        let client = ::redis::Client::open(self.url.as_str()).unwrap();
        for _ in 0..1000 {
            if let Ok(connection) = client.get_multiplexed_async_connection().await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("redis-server does not answer");
    }

    /// The store of a replica, with this lifetime of leases.
    pub(super) async fn store(&self, lease: Duration) -> Redis {
        let settings = RedisSettings {
            topology: RedisTopology::Single(self.url.clone().try_into().unwrap()),
            username: None,
            password: None,
            sentinel_password: None,
            key_prefix: "appserver".to_owned().try_into().unwrap(),
            seal_keys: vec![SealKey::demo()],
            expected_replicas: NonZeroU32::MIN,
            timeout: Duration::from_secs(30),
            lease,
        };
        let store = Redis::open(settings, Clock::system(), Metrics::new().store).await.unwrap();
        assert!(store.is_up(), "redis-server does not answer");
        store
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) async fn ask<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    command: &[&str],
) -> T {
    let (name, arguments) = command.split_first().unwrap();
    cmd(name).arg(arguments).query_async(connection).await.unwrap()
}
