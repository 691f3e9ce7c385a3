//! The store's settings. `config/default.toml` explains each value to operators.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use secrecy::SecretString;

use super::name::KeyPrefix;
use crate::seal::SealKey;
use appserver_domain::{Invalid, is_loopback};

/// Where replicas keep shared state.
#[derive(Debug)]
pub(crate) enum StoreSettings {
    Memory,
    Redis(Box<RedisSettings>),
}

/// The settings of the shared Redis.
#[derive(Debug)]
pub(crate) struct RedisSettings {
    pub(crate) address: RedisAddress,
    /// A user of Redis's access list; `None` is the default user.
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) key_prefix: KeyPrefix,
    /// The first encrypts, all decrypt. Not empty.
    pub(crate) seal_keys: Vec<SealKey>,
    pub(crate) expected_replicas: NonZeroU32,
    /// The time limit of one call.
    pub(crate) timeout: Duration,
    /// The lease's lifetime: how long a replica that died during a call to STS delays the others.
    pub(crate) lease: Duration,
}

/// The address of Redis: `redis://host:port/database`, or `rediss://` for TLS. It contains no password.
#[derive(Clone, Debug)]
pub(crate) struct RedisAddress(ConnectionInfo);

impl RedisAddress {
    pub(super) fn with(self, redis: RedisConnectionInfo) -> ConnectionInfo {
        self.0.set_redis_settings(redis)
    }

    pub(super) fn database(&self) -> i64 {
        self.0.redis_settings().db()
    }

    /// Whether the connection leaves this machine without TLS.
    pub(crate) fn sends_plaintext_over_network(&self) -> bool {
        matches!(self.0.addr(), ConnectionAddr::Tcp(..)) && !self.is_loopback()
    }

    /// Whether the address is on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
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
}
