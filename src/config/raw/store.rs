//! What replicas share, key by key.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::field::Field;
use crate::store::KeyPrefix;

/// What replicas share.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawStore {
    /// `memory` (default) or `redis`.
    pub(in crate::config) kind: Field<RawStoreKind>,
    pub(in crate::config) redis: RawRedis,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(in crate::config) enum RawStoreKind {
    Memory,
    Redis,
}

impl TryFrom<String> for RawStoreKind {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        match word.as_str() {
            "memory" => Ok(Self::Memory),
            "redis" => Ok(Self::Redis),
            _ => Err("it must be `memory` or `redis`"),
        }
    }
}

/// The Redis of the store `redis`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::config) struct RawRedis {
    /// `redis://host:port/database`, or `rediss://` for TLS.
    pub(in crate::config) url: Field<String>,
    /// Default empty: Redis's default user.
    pub(in crate::config) username: Field<String>,
    /// Holds the password. White space at its end is trimmed.
    pub(in crate::config) password_file: Field<PathBuf>,
    /// Default `appserver`. Replicas that share it share tokens and the budget.
    pub(in crate::config) key_prefix: Field<KeyPrefix>,
    /// Required: holds the key that seals tokens. White space at its end is trimmed.
    pub(in crate::config) encryption_key_file: Field<PathBuf>,
    /// Holds a key that still opens, while `encryption_key_file` is new.
    pub(in crate::config) previous_encryption_key_file: Field<PathBuf>,
    /// Default 2. Among so many the budget is divided while Redis does not answer.
    pub(in crate::config) expected_replicas: Field<NonZeroU32>,
    /// Milliseconds, default 500. Then Redis counts as gone.
    pub(in crate::config) timeout_ms: Field<u64>,
    /// Milliseconds, default 3000. A replica that dies while it fetches a token delays others by so much.
    pub(in crate::config) lease_ms: Field<u64>,
}
