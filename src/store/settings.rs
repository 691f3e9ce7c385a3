//! The store's settings. `config/default.toml` explains each value to operators.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;

use super::name::KeyPrefix;
use super::topology::RedisTopology;
use crate::seal::SealKey;

/// Where replicas keep shared state.
#[derive(Debug)]
pub(crate) enum StoreSettings {
    Memory,
    Redis(Box<RedisSettings>),
}

/// The settings of the shared Redis.
#[derive(Debug)]
pub(crate) struct RedisSettings {
    pub(crate) topology: RedisTopology,
    /// A user of Redis's access list; `None` is the default user.
    pub(crate) username: Option<String>,
    pub(crate) password: Option<SecretString>,
    /// Of the Sentinels; Redis's own is not sent to them.
    pub(crate) sentinel_password: Option<SecretString>,
    pub(crate) key_prefix: KeyPrefix,
    /// The first encrypts, all decrypt. Not empty.
    pub(crate) seal_keys: Vec<SealKey>,
    pub(crate) expected_replicas: NonZeroU32,
    /// The time limit of one call.
    pub(crate) timeout: Duration,
    /// The lease's lifetime: how long a replica that died during a call to STS delays the others.
    pub(crate) lease: Duration,
}
