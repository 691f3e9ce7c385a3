//! How the store is set. `config/default.toml` says what each value means to operators.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use secrecy::SecretString;

use super::name::KeyPrefix;
use crate::seal::SealKey;
use appserver_domain::Invalid;

/// Where what replicas share is kept, and how.
#[derive(Debug)]
pub(crate) enum StoreSettings {
    Memory,
    Redis(Box<RedisSettings>),
}

/// How Redis is used.
#[derive(Debug)]
pub(crate) struct RedisSettings {
    pub(crate) address: RedisAddress,
    /// Of Redis's access list; the default user if there is none.
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) key_prefix: KeyPrefix,
    /// The first seals, all open. Not empty.
    pub(crate) seal_keys: Vec<SealKey>,
    pub(crate) expected_replicas: NonZeroU32,
    /// For one call.
    pub(crate) timeout: Duration,
    /// How long a flight of a replica that died keeps others waiting.
    pub(crate) lease: Duration,
}

/// Where Redis is: `redis://host:port/database`, or `rediss://` for TLS. It holds no password.
#[derive(Clone, Debug)]
pub(crate) struct RedisAddress(ConnectionInfo);

impl RedisAddress {
    pub(super) fn with(self, redis: RedisConnectionInfo) -> ConnectionInfo {
        self.0.set_redis_settings(redis)
    }

    pub(super) fn database(&self) -> i64 {
        self.0.redis_settings().db()
    }

    /// Whether what is sent can be read on the way.
    pub(crate) fn is_readable_on_the_way(&self) -> bool {
        matches!(self.0.addr(), ConnectionAddr::Tcp(..)) && !self.is_loopback()
    }

    /// Whether only this machine reaches it.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => {
                host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
            }
            // A socket of this machine; but an address is none.
            _ => true,
        }
    }
}

impl TryFrom<String> for RedisAddress {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        const RULE: Invalid = Invalid(
            "a Redis address is `redis://host:port/database`, or `rediss://` for TLS; port and database may be left \
             out, and user and password have keys of their own",
        );
        let after_scheme = text.strip_prefix("redis://").or_else(|| text.strip_prefix("rediss://"));
        match after_scheme {
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
    fn what_crosses_a_network_in_the_clear_is_known() {
        for (address, readable) in [
            ("redis://127.0.0.1", false),
            ("redis://localhost:6379", false),
            ("redis://[::1]:6379", false),
            ("rediss://cache", false),
            ("redis://cache", true),
            ("redis://10.0.0.7", true),
        ] {
            let address: RedisAddress = address.to_owned().try_into().unwrap();
            assert_eq!(address.is_readable_on_the_way(), readable, "{address}");
        }
    }
}
