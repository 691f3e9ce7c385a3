//! Opens connections to one server, to the master that Sentinels name, or to a cluster.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, InfoDict, Pipeline, ProtocolVersion,
    RedisConnectionInfo, RedisError, RedisFuture, TlsMode, Value, cmd, from_redis_value,
};
use secrecy::{ExposeSecret, SecretString};

use super::settings::RedisSettings;
use super::topology::{MasterName, NodeAddress, RedisTopology, SentinelSettings};

/// The time limit of a connection to one server: DNS, TCP, TLS and password.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The same where several servers are asked first, of which one may be gone without a word.
const DISCOVERY_TIMEOUT: Duration = Duration::from_secs(3);
/// Milliseconds between two attempts of a call that a cluster refuses for a moment, at least and at most: a script whose keys
/// are on two nodes, because their slot is being moved, or one for a slot that has no master.
const RETRY_WAIT_MILLIS: (u64, u64) = (20, 40);

/// What connections are opened to.
pub(super) enum Connector {
    Single(Client),
    Sentinel(SentinelConnector),
    Cluster(Box<ClusterClient>),
}

/// Asks Sentinels for the master, at each connection anew.
pub(super) struct SentinelConnector {
    sentinels: Vec<ConnectionInfo>,
    master: MasterName,
    node: SentinelNodeConnectionInfo,
}

/// A connection of any kind. Clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Connector {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, RedisError> {
        let login = login(settings.username.as_deref(), settings.password.as_ref());
        Ok(match &settings.topology {
            RedisTopology::Single(address) => {
                let login = login.set_db(address.database());
                Self::Single(Client::open(address.clone().with(login))?)
            }
            RedisTopology::Sentinel(sentinel) => {
                let SentinelSettings { sentinels, master, username, master_tls } = sentinel;
                let password = settings.sentinel_password.as_ref();
                let sentinels_login = self::login(username.as_deref(), password);
                let node = SentinelNodeConnectionInfo::default().set_redis_connection_info(login);
                Self::Sentinel(SentinelConnector {
                    sentinels: nodes(sentinels, &sentinels_login),
                    master: master.clone(),
                    node: if *master_tls { node.set_tls_mode(TlsMode::Secure) } else { node },
                })
            }
            RedisTopology::Cluster(addresses) => {
                let (least, most) = RETRY_WAIT_MILLIS;
                let client = ClusterClient::builder(nodes(addresses, &login))
                    .connection_timeout(CONNECT_TIMEOUT)
                    .response_timeout(settings.timeout)
                    .min_retry_wait(least)
                    .max_retry_wait(most)
                    .retries(retries(settings.timeout));
                Self::Cluster(Box::new(client.build()?))
            }
        })
    }

    /// The time limit of `connect`.
    pub(super) fn timeout(&self) -> Duration {
        match self {
            Self::Single(_) => CONNECT_TIMEOUT,
            Self::Sentinel(_) | Self::Cluster(_) => DISCOVERY_TIMEOUT,
        }
    }

    /// Whether one of the Sentinels can be used; `None` where there are none.
    pub(super) async fn try_sentinels(&self) -> Option<Result<(), RedisError>> {
        let Self::Sentinel(sentinel) = self else { return None };
        let mut client = match sentinel.client() {
            Ok(client) => client,
            Err(error) => return Some(Err(error)),
        };
        Some(client.async_get_sentinel_client().await.map(|_| ()))
    }

    /// Opens a new connection, to a master if it can be known which server is one.
    pub(super) async fn connect(&self) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            // The caller bounds each call.
            .set_response_timeout(None);
        Ok(match self {
            Self::Single(client) => Connection::Server(
                client.get_multiplexed_async_connection_with_config(&config).await?,
            ),
            Self::Sentinel(sentinel) => {
                let mut client = sentinel.client()?;
                Connection::Server(client.get_async_connection_with_config(&config).await?)
            }
            Self::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
        })
    }
}

impl SentinelConnector {
    /// A new one for each connection: the crate's client keeps connections to Sentinels, and one may have gone silent.
    fn client(&self) -> Result<SentinelClient, RedisError> {
        SentinelClient::build(
            self.sentinels.clone(),
            self.master.as_str(),
            Some(self.node.clone()),
            SentinelServerType::Master,
        )
    }
}

impl Connection {
    /// What one server says of itself.
    pub(super) async fn info(&mut self) -> Result<InfoDict, RedisError> {
        let mut info = cmd("INFO");
        info.arg("server");
        match self {
            Self::Server(connection) => info.query_async(connection).await,
            // Without a route, all masters are asked, for a map of answers.
            Self::Cluster(connection) => {
                let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                // A refusal is a value here.
                let answer = connection.route_command(info, any).await?.extract_error()?;
                Ok(from_redis_value(answer)?)
            }
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

fn login(username: Option<&str>, password: Option<&SecretString>) -> RedisConnectionInfo {
    // Redis 5 supports no other protocol.
    let mut login =
        RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2).set_skip_set_lib_name();
    if let Some(username) = username {
        login = login.set_username(username);
    }
    if let Some(password) = password {
        login = login.set_password(password.expose_secret());
    }
    login
}

fn nodes(addresses: &[NodeAddress], login: &RedisConnectionInfo) -> Vec<ConnectionInfo> {
    addresses.iter().map(|address| address.clone().with(login.clone())).collect()
}

/// As many retries as fit into four fifths of a call's time: the last refusal is then the error, and not the time-out.
fn retries(timeout: Duration) -> u32 {
    let longest_wait = u128::from(RETRY_WAIT_MILLIS.1);
    let fit = timeout.as_millis() * 4 / 5 / longest_wait;
    u32::try_from(fit).unwrap_or(u32::MAX).max(1)
}
