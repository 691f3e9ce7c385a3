//! How the servers of Redis are arranged, and their addresses. No address contains a password.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde::Deserialize;

use appserver_domain::{Invalid, is_loopback, text_type};

/// How the servers of Redis are arranged.
#[derive(Clone, Debug)]
pub(crate) enum RedisTopology {
    /// One server, or a proxy in front of several.
    Single(RedisAddress),
    /// The master that Sentinels name.
    Sentinel(SentinelSettings),
    /// A Redis Cluster, of which these are some nodes. Not empty, and all with or without TLS.
    Cluster(Vec<NodeAddress>),
}

/// Where Sentinels are, and what is asked of them.
#[derive(Clone, Debug)]
pub(crate) struct SentinelSettings {
    /// Not empty, and all with or without TLS.
    pub(crate) sentinels: Vec<NodeAddress>,
    pub(crate) master: MasterName,
    /// A user of the Sentinels' access list; `None` is the default user.
    pub(crate) username: Option<String>,
    /// Whether the master is reached by TLS. The Sentinels name its host and port only.
    pub(crate) master_tls: bool,
}

/// The name under which Sentinels monitor a master.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct MasterName(String);

text_type!(
    MasterName,
    |s| (1..=128).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
    "the name of a master is 1 to 128 characters of A-Z, a-z, 0-9, `.`, `_` and `-`, as in `sentinel monitor NAME …`"
);

/// The address of Redis: `redis://host:port/database`, or `rediss://` for TLS. It contains no password.
#[derive(Clone, Debug)]
pub(crate) struct RedisAddress(ConnectionInfo);

/// The address of a Sentinel or of a cluster's node: `redis://host:port`, or `rediss://` for TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct NodeAddress(RedisAddress);

impl RedisTopology {
    /// Whether a connection leaves this machine without TLS.
    pub(crate) fn sends_plaintext_over_network(&self) -> bool {
        match self {
            Self::Single(address) => address.sends_plaintext_over_network(),
            Self::Sentinel(sentinel) => {
                // The master is where the Sentinels are, or elsewhere.
                let leaves = !sentinel.master_tls && !self.is_loopback();
                leaves
                    || sentinel.sentinels.iter().any(|node| node.0.sends_plaintext_over_network())
            }
            Self::Cluster(nodes) => nodes.iter().any(|node| node.0.sends_plaintext_over_network()),
        }
    }

    /// Whether every configured address is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Single(address) => address.is_loopback(),
            Self::Sentinel(SentinelSettings { sentinels: nodes, .. }) | Self::Cluster(nodes) => {
                nodes.iter().all(|node| node.0.is_loopback())
            }
        }
    }
}

impl fmt::Display for RedisTopology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nodes: &[NodeAddress]| {
            nodes.iter().map(|node| node.0.to_string()).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Single(address) => address.fmt(f),
            Self::Sentinel(SentinelSettings { sentinels, master, .. }) => {
                write!(f, "{master} of {}", list(sentinels))
            }
            Self::Cluster(nodes) => f.write_str(&list(nodes)),
        }
    }
}

impl RedisAddress {
    pub(super) fn with(self, redis: RedisConnectionInfo) -> ConnectionInfo {
        self.0.set_redis_settings(redis)
    }

    pub(super) fn database(&self) -> i64 {
        self.0.redis_settings().db()
    }

    /// Whether the connection leaves this machine without TLS.
    fn sends_plaintext_over_network(&self) -> bool {
        matches!(self.0.addr(), ConnectionAddr::Tcp(..)) && !self.is_loopback()
    }

    /// Whether the address is on this machine.
    fn is_loopback(&self) -> bool {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => is_loopback(host),
            // A Unix socket. `try_from` accepts none.
            _ => true,
        }
    }
}

impl TryFrom<String> for RedisAddress {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a Redis address is `redis://host:port/database`, or `rediss://` for TLS; port and database are \
             optional, and user and password have keys of their own",
        );
        match after_scheme(&text) {
            Some(rest) if !rest.contains(['@', '?', '#']) => {
                text.into_connection_info().map(Self).map_err(|_| RULE)
            }
            Some(_) | None => Err(RULE),
        }
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.addr())
    }
}

impl NodeAddress {
    pub(super) fn with(self, redis: RedisConnectionInfo) -> ConnectionInfo {
        self.0.with(redis)
    }

    pub(crate) fn has_tls(&self) -> bool {
        matches!(self.0.0.addr(), ConnectionAddr::TcpTls { .. })
    }
}

impl TryFrom<String> for NodeAddress {
    type Error = Invalid;

    /// With its port: a Sentinel has another default than Redis. Without a database: a cluster has one only.
    fn try_from(text: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "the address of a Sentinel or of a cluster's node is `redis://host:port`, or `rediss://host:port` for TLS, \
             without a database; user and password have keys of their own",
        );
        let rest = after_scheme(&text).ok_or(RULE)?;
        let (_, port) = rest.rsplit_once(':').ok_or(RULE)?;
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            return Err(RULE);
        }
        RedisAddress::try_from(text).map(Self).map_err(|_| RULE)
    }
}

fn after_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_redis_or_rediss_and_holds_no_secret() {
        for good in [
            "redis://127.0.0.1",
            "redis://cache:6380/2",
            "rediss://r-x.redis.rds.aliyuncs.com:6379",
        ] {
            assert!(RedisAddress::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "127.0.0.1:6379",
            "http://cache",
            "redis://",
            "redis://:canary@cache",
            "redis://user:canary@cache:6379",
            "rediss://cache/#insecure",
            "redis://cache?protocol=resp3",
            "redis+unix:///run/redis.sock",
            "redis://cache:port",
        ] {
            let refused = RedisAddress::try_from(bad.to_owned());
            assert!(refused.is_err_and(|e| !e.to_string().contains("canary")), "{bad}");
        }
    }

    #[test]
    fn only_a_remote_address_without_tls_sends_plaintext() {
        for (address, plaintext) in [
            ("redis://127.0.0.1", false),
            ("redis://localhost:6379", false),
            ("redis://[::1]:6379", false),
            ("rediss://cache", false),
            ("redis://cache", true),
            ("redis://10.0.0.7", true),
        ] {
            let address: RedisAddress = address.to_owned().try_into().unwrap();
            assert_eq!(address.sends_plaintext_over_network(), plaintext, "{address}");
        }
    }

    #[test]
    fn the_address_of_a_node_has_a_port_and_no_database() {
        for good in
            ["redis://127.0.0.1:7000", "rediss://node-1.example.com:6379", "redis://[::1]:26379"]
        {
            assert!(NodeAddress::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "redis://cache",
            "redis://cache:0",
            "redis://cache:6379/0",
            "redis://[::1]",
            "redis://:canary@cache:6379",
            "redis://cache:6379?protocol=resp3",
            "cache:26379",
        ] {
            let refused = NodeAddress::try_from(bad.to_owned());
            assert!(refused.is_err_and(|e| !e.to_string().contains("canary")), "{bad}");
        }
    }

    #[test]
    fn sentinels_and_masters_without_tls_beyond_this_machine_send_plaintext() {
        let sentinels = |urls: &[&str], master_tls| {
            let sentinels =
                urls.iter().map(|url| NodeAddress::try_from((*url).to_owned()).unwrap()).collect();
            let master = "mymaster".parse().unwrap();
            RedisTopology::Sentinel(SentinelSettings {
                sentinels,
                master,
                username: None,
                master_tls,
            })
        };
        for (topology, plaintext) in [
            (sentinels(&["redis://127.0.0.1:26379"], false), false),
            (sentinels(&["rediss://sentinel:26379"], true), false),
            (sentinels(&["rediss://sentinel:26379"], false), true),
            (sentinels(&["redis://sentinel:26379"], true), true),
        ] {
            assert_eq!(topology.sends_plaintext_over_network(), plaintext, "{topology:?}");
        }
    }
}
