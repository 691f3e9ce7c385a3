//! `[store.redis]` `mode`, `url`, `sentinel` and `cluster`: how the servers of Redis are arranged.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::field::{Clearable, Field, List};
use crate::config::problems::Problems;
use crate::store::{MasterName, NodeAddress, RedisAddress, RedisTopology, SentinelSettings};

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawRedisMode {
    Single,
    Sentinel,
    Cluster,
}

/// The Sentinels of the mode `sentinel`.
#[derive(Debug, Deserialize)]
pub(super) struct RawSentinel {
    /// `redis://host:port`, or `rediss://` for TLS, of each.
    urls: Field<List<NodeAddress>>,
    /// The name under which they monitor the master.
    master: Field<Clearable<MasterName>>,
    /// Default `false`: the master is reached without TLS.
    master_tls: Field<bool>,
    /// Default empty: the Sentinels' default user.
    pub(super) username: Field<Clearable<String>>,
    /// Holds the Sentinels' password. White space at its end is trimmed.
    pub(super) password_file: Field<Clearable<PathBuf>>,
}

/// The nodes of the mode `cluster`.
#[derive(Debug, Deserialize)]
pub(super) struct RawCluster {
    /// `redis://host:port`, or `rediss://` for TLS, of some; the others are asked of them.
    urls: Field<List<NodeAddress>>,
}

/// What `[store.redis]` says about the servers.
pub(super) struct RawTopology {
    pub(super) mode: Field<RawRedisMode>,
    pub(super) url: Field<Clearable<RedisAddress>>,
    pub(super) sentinel: RawSentinel,
    pub(super) cluster: RawCluster,
}

const URL: &str = "store.redis.url";
const SENTINEL_URLS: &str = "store.redis.sentinel.urls";
const SENTINEL_MASTER: &str = "store.redis.sentinel.master";
const CLUSTER_URLS: &str = "store.redis.cluster.urls";

/// The key that has the addresses of this topology.
pub(crate) fn key_of(topology: &RedisTopology) -> &'static str {
    match topology {
        RedisTopology::Single(_) => URL,
        RedisTopology::Sentinel(_) => SENTINEL_URLS,
        RedisTopology::Cluster(_) => CLUSTER_URLS,
    }
}

/// The topology of the mode. Where Redis is used, an address of another mode is a problem: which one is meant is not clear.
pub(super) fn resolve(
    raw: RawTopology,
    is_used: bool,
    problems: &mut Problems,
) -> Option<RedisTopology> {
    let RawTopology { mode, url, sentinel, cluster } = raw;
    let mode = problems.require(mode);
    // An invalid value is reported by itself.
    let is_invalid = [url.is_invalid(), sentinel.urls.is_invalid(), cluster.urls.is_invalid()];
    let [url_invalid, sentinels_invalid, nodes_invalid] = is_invalid;
    let url = problems.take_set(url);
    let sentinels = problems.items(sentinel.urls);
    let nodes = problems.items(cluster.urls);
    let master_invalid = sentinel.master.is_invalid();
    let master = problems.take_set(sentinel.master);
    let master_tls = problems.require(sentinel.master_tls);
    let username = problems.require(sentinel.username).map(|Clearable(name)| name);
    let mode = mode?;
    let given = [
        (RawRedisMode::Single, URL, url.is_some()),
        (RawRedisMode::Sentinel, SENTINEL_URLS, !sentinels.is_empty()),
        (RawRedisMode::Cluster, CLUSTER_URLS, !nodes.is_empty()),
    ];
    for (of, key, is_given) in given {
        if is_used && is_given && of != mode {
            problems.add(
                key,
                format!(
                    "it goes with `store.redis.mode = \"{}\"`, and the mode is `{}`; remove it or correct the mode",
                    of.name(),
                    mode.name()
                ),
            );
        }
    }
    let mut require = |key, is_missing: bool, what: &str| {
        if is_used && is_missing {
            problems.add_absence(key, what);
        }
    };
    match mode {
        RawRedisMode::Single => require(
            URL,
            url.is_none() && !url_invalid,
            "the store `redis` needs an address: `redis://host:port/database`, or `rediss://` for TLS",
        ),
        RawRedisMode::Sentinel => {
            require(
                SENTINEL_URLS,
                sentinels.is_empty() && !sentinels_invalid,
                "the mode `sentinel` needs the address of each Sentinel: `redis://host:port`, or `rediss://` for TLS",
            );
            require(
                SENTINEL_MASTER,
                master.is_none() && !master_invalid,
                "the mode `sentinel` needs the name under which the Sentinels monitor the master, as in `sentinel \
                 monitor NAME …`",
            );
        }
        RawRedisMode::Cluster => require(
            CLUSTER_URLS,
            nodes.is_empty() && !nodes_invalid,
            "the mode `cluster` needs the addresses of some nodes: `redis://host:port`, or `rediss://` for TLS",
        ),
    }
    for (key, nodes) in [(SENTINEL_URLS, &sentinels), (CLUSTER_URLS, &nodes)] {
        if nodes.iter().any(|node| node.has_tls() != nodes[0].has_tls()) {
            problems.add(key, "give either `redis://` or `rediss://` in all addresses, not both");
            return None;
        }
    }
    match mode {
        RawRedisMode::Single => Some(RedisTopology::Single(url?)),
        RawRedisMode::Sentinel => {
            let (master, username, master_tls) = (master?, username?, master_tls?);
            let settings = SentinelSettings { sentinels, master, username, master_tls };
            (!settings.sentinels.is_empty()).then_some(RedisTopology::Sentinel(settings))
        }
        RawRedisMode::Cluster => (!nodes.is_empty()).then_some(RedisTopology::Cluster(nodes)),
    }
}

impl RawRedisMode {
    fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Sentinel => "sentinel",
            Self::Cluster => "cluster",
        }
    }
}
