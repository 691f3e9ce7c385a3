//! A real Redis Cluster of a test's own, whose slots can be moved and whose masters can be killed.

use std::path::Path;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value, from_redis_value};

use crate::ports::free_port;
use crate::redis_server::{RedisServer, words};
use crate::stage::until;

const SLOTS: u16 = 16_384;
const MASTERS: u16 = 3;
/// After this time without an answer a node counts as gone.
const NODE_TIMEOUT_MILLIS: u16 = 1_000;

/// Three masters, and if wanted a replica of each.
pub(crate) struct RedisCluster {
    nodes: Vec<RedisServer>,
    ids: Vec<String>,
}

/// A command, of words.
pub(crate) async fn ask<T: FromRedisValue>(
    connection: &mut MultiplexedConnection,
    line: &str,
) -> redis::RedisResult<T> {
    let mut words = line.split_whitespace();
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command.query_async(connection).await
}

impl RedisCluster {
    pub(crate) async fn start(with_replicas: bool) -> Self {
        Self::start_with(with_replicas, None, &[]).await
    }

    /// With TLS too if there is a certificate in a folder, and with more arguments.
    pub(crate) async fn start_with(
        with_replicas: bool,
        certificate: Option<&Path>,
        more: &[String],
    ) -> Self {
        let count = if with_replicas { 2 * MASTERS } else { MASTERS };
        let mut nodes = Vec::new();
        let mut buses = Vec::new();
        for _ in 0..count {
            let bus = free_port();
            let own = words(&format!(
                "--cluster-enabled yes --cluster-config-file nodes.conf --cluster-port {bus} --cluster-node-timeout \
                 {NODE_TIMEOUT_MILLIS} --repl-diskless-sync-delay 0"
            ));
            let more = [own, more.to_vec()].concat();
            nodes.push(match certificate {
                None => RedisServer::start_with(&more).await,
                Some(certificate) => {
                    let more = [words("--tls-cluster yes"), more].concat();
                    RedisServer::start_with_certificate(certificate, &more).await
                }
            });
            buses.push(bus);
        }
        let mut ids = Vec::new();
        for (number, node) in nodes.iter().enumerate() {
            let mut connection = node.connection().await;
            ids.push(ask::<String>(&mut connection, "CLUSTER MYID").await.unwrap());
            let port = if certificate.is_some() { node.tls_port() } else { node.port() };
            let meet = format!("CLUSTER MEET 127.0.0.1 {port} {}", buses[number]);
            let () = ask(&mut nodes[0].connection().await, &meet).await.unwrap();
            let number = u16::try_from(number).unwrap();
            if number < MASTERS {
                let first = SLOTS / MASTERS * number;
                let last = if number + 1 == MASTERS { SLOTS } else { first + SLOTS / MASTERS } - 1;
                let slots = format!("CLUSTER ADDSLOTSRANGE {first} {last}");
                let () = ask(&mut connection, &slots).await.unwrap();
            }
        }
        let cluster = Self { nodes, ids };
        cluster.until_complete().await;
        for replica in usize::from(MASTERS)..cluster.nodes.len() {
            let connection = cluster.nodes[replica].connection().await;
            let master = &cluster.ids[replica - usize::from(MASTERS)];
            let line = format!("CLUSTER REPLICATE {master}");
            until("the node becomes a replica", async || {
                ask::<()>(&mut connection.clone(), &line).await.is_ok()
            })
            .await;
            until("it has the master's data", async || {
                let info: String = ask(&mut connection.clone(), "INFO replication").await.unwrap();
                info.contains("master_link_status:up")
            })
            .await;
        }
        cluster.until_complete().await;
        cluster
    }

    /// Waits until all nodes know all others and every slot's.
    async fn until_complete(&self) {
        for node in &self.nodes {
            until("the cluster is complete", async || {
                let info: String = ask(&mut node.connection().await, "CLUSTER INFO").await.unwrap();
                let known = format!("cluster_known_nodes:{}", self.nodes.len());
                info.contains("cluster_state:ok") && info.contains(&known)
            })
            .await;
        }
    }

    /// What tells a replica of AppServer where it is: two of the nodes.
    pub(crate) fn store(&self) -> Vec<(&'static str, String)> {
        let urls: Vec<_> = self.nodes[1..3].iter().map(RedisServer::url).collect();
        vec![("MODE", "cluster".to_owned()), ("CLUSTER__URLS", urls.join(","))]
    }

    pub(crate) fn tls_urls(&self) -> String {
        self.nodes.iter().map(RedisServer::tls_url).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn node(&self, number: usize) -> &RedisServer {
        &self.nodes[number]
    }

    /// The slot of a key, and the number of the node that has it.
    pub(crate) async fn place_of(&self, key: &str) -> (u16, usize) {
        let mut connection = self.nodes[0].connection().await;
        let slot: u16 = ask(&mut connection, &format!("CLUSTER KEYSLOT {key}")).await.unwrap();
        // Each is the first slot, the last one, and their nodes, of which the master is the first.
        let ranges: Vec<Vec<Value>> = ask(&mut connection, "CLUSTER SLOTS").await.unwrap();
        let number = |value: &Value| from_redis_value::<u16>(value.clone()).unwrap();
        let has_it = |range: &&Vec<Value>| (number(&range[0])..=number(&range[1])).contains(&slot);
        let range = ranges.iter().find(has_it).unwrap();
        let node: Vec<Value> = from_redis_value(range[2].clone()).unwrap();
        let id: String = from_redis_value(node[2].clone()).unwrap();
        (slot, self.ids.iter().position(|known| *known == id).unwrap())
    }

    /// A slot of this node that has keys.
    pub(crate) async fn slot_with_keys(&self, number: usize) -> Option<u16> {
        let mut connection = self.nodes[number].connection().await;
        let key: Option<String> = ask(&mut connection, "RANDOMKEY").await.unwrap();
        let line = format!("CLUSTER KEYSLOT {}", key?);
        Some(ask(&mut connection, &line).await.unwrap())
    }

    /// Moves a slot with its keys as `redis-cli --cluster reshard` does, a key at a time, with a pause while it is on both.
    pub(crate) async fn move_slot(&self, slot: u16, from: usize, to: usize, pause: Duration) {
        let mut source = self.nodes[from].connection().await;
        let mut target = self.nodes[to].connection().await;
        let importing = format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.ids[from]);
        let migrating = format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.ids[to]);
        let () = ask(&mut target, &importing).await.unwrap();
        let () = ask(&mut source, &migrating).await.unwrap();
        loop {
            let list = format!("CLUSTER GETKEYSINSLOT {slot} 1");
            let keys: Vec<String> = ask(&mut source, &list).await.unwrap();
            let Some(key) = keys.first() else { break };
            let port = self.nodes[to].port();
            // The key may expire at this moment.
            let _: Value =
                ask(&mut source, &format!("MIGRATE 127.0.0.1 {port} {key} 0 5000")).await.unwrap();
            tokio::time::sleep(pause).await;
        }
        let done = format!("CLUSTER SETSLOT {slot} NODE {}", self.ids[to]);
        // The new node first, so that the slot always has one.
        let () = ask(&mut target, &done).await.unwrap();
        let () = ask(&mut source, &done).await.unwrap();
    }

    /// How often the nodes have answered with this error.
    pub(crate) async fn errors(&self, code: &str) -> u64 {
        let mut sum = 0;
        for node in &self.nodes {
            let info: String = ask(&mut node.connection().await, "INFO errorstats").await.unwrap();
            let line = format!("errorstat_{code}:count=");
            let counts = info.lines().filter_map(|found| found.strip_prefix(line.as_str()));
            sum += counts.map(|count| count.trim().parse::<u64>().unwrap()).sum::<u64>();
        }
        sum
    }
}
