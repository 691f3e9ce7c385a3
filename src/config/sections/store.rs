//! `[store]`, resolved.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::config::bounds::number;
use crate::config::environment::Mode;
use crate::config::field::Field;
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::seal::SealKey;
use crate::store::{KeyPrefix, RedisAddress, RedisSettings, StoreSettings};

/// What replicas share.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawStore {
    /// `memory` (default) or `redis`.
    pub(crate) kind: Field<RawStoreKind>,
    pub(crate) redis: RawRedis,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum RawStoreKind {
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
pub(crate) struct RawRedis {
    /// `redis://host:port/database`, or `rediss://` for TLS.
    pub(crate) url: Field<String>,
    /// Default empty: Redis's default user.
    pub(crate) username: Field<String>,
    /// Holds the password. White space at its end is trimmed.
    pub(crate) password_file: Field<PathBuf>,
    /// Default `appserver`. Replicas that share it share tokens and the budget.
    pub(crate) key_prefix: Field<KeyPrefix>,
    /// Required: holds the key that seals tokens. White space at its end is trimmed.
    pub(crate) encryption_key_file: Field<PathBuf>,
    /// Holds a key that still opens, while `encryption_key_file` is new.
    pub(crate) previous_encryption_key_file: Field<PathBuf>,
    /// Default 2. Among so many the budget is divided while Redis does not answer.
    pub(crate) expected_replicas: Field<NonZeroU32>,
    /// Milliseconds, default 500. Then Redis counts as gone.
    pub(crate) timeout_ms: Field<u64>,
    /// Milliseconds, default 3000. A replica that dies while it fetches a token delays others by so much.
    pub(crate) lease_ms: Field<u64>,
}

const PATH: &str = "store.redis";

/// The configured store, whose files are not read yet.
#[derive(Clone, Debug)]
pub(crate) enum StoreSource {
    Memory,
    Redis(Box<RedisSource>),
}

/// A Redis, and where its secrets are.
#[derive(Clone, Debug)]
pub(crate) struct RedisSource {
    address: RedisAddress,
    username: Option<String>,
    key_prefix: KeyPrefix,
    secrets: RedisSecrets,
    expected_replicas: NonZeroU32,
    timeout: Duration,
    lease: Duration,
}

/// The files of a Redis's secrets.
#[derive(Clone, Debug)]
struct RedisSecrets {
    password_file: Option<PathBuf>,
    /// The newest first; none is the demo's.
    encryption_key_files: Vec<(&'static str, PathBuf)>,
}

pub(crate) fn resolve(
    raw: RawStore,
    mode: Mode,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<StoreSource> {
    let kind = problems.require("store.kind", raw.kind);
    let is_redis = matches!(kind, Some(RawStoreKind::Redis));
    // Also without it: a value that its key cannot take is no better where the key is not used yet.
    let redis = redis(raw.redis, is_redis, mode, problems, secret_reads);
    match kind? {
        RawStoreKind::Memory => Some(StoreSource::Memory),
        RawStoreKind::Redis => redis.map(|redis| StoreSource::Redis(Box::new(redis))),
    }
}

fn redis(
    raw: RawRedis,
    is_used: bool,
    mode: Mode,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<RedisSource> {
    let url = problems.require("store.redis.url", raw.url);
    let is_invalid = raw.encryption_key_file.is_invalid();
    let address = url.filter(|url: &String| is_used || !url.is_empty()).and_then(|text| {
        let address = RedisAddress::try_from(text);
        address.map_err(|invalid| problems.add("store.redis.url", invalid)).ok()
    });
    let username = problems.require("store.redis.username", raw.username);
    let key_prefix = problems.require("store.redis.key_prefix", raw.key_prefix);
    let mut file = |key: &'static str, field: Field<PathBuf>| {
        // Empty is how a later layer takes back what an earlier one set.
        let file = problems.take(&format!("{PATH}.{key}"), field);
        file.filter(|path| !path.as_os_str().is_empty()).map(|path| (key, path))
    };
    let password_file = file("password_file", raw.password_file);
    let encryption_key_file = file("encryption_key_file", raw.encryption_key_file);
    let previous = file("previous_encryption_key_file", raw.previous_encryption_key_file);
    if is_used
        && !is_invalid
        && encryption_key_file.is_none()
        && (mode == Mode::Production || previous.is_some())
    {
        problems.add_absence(
            "store.redis.encryption_key_file",
            "tokens are sealed before they leave for Redis: name a file that holds a key; \
             `openssl rand -base64 32` makes one",
        );
    }
    let [least, most] = [1, 1000].map(|count| NonZeroU32::new(count).expect("it is not 0"));
    let replicas = raw.expected_replicas;
    let expected_replicas =
        number(problems, "store.redis.expected_replicas", replicas, least, most, "replicas");
    let mut millis = |key: &str, field, least, most| {
        let path = format!("{PATH}.{key}");
        number(problems, &path, field, least, most, "milliseconds").map(Duration::from_millis)
    };
    let timeout = millis("timeout_ms", raw.timeout_ms, 10, 5_000);
    let lease = millis("lease_ms", raw.lease_ms, 500, 60_000);
    let secrets = RedisSecrets {
        password_file: password_file.map(|(_, path)| path),
        encryption_key_files: encryption_key_file.into_iter().chain(previous).collect(),
    };
    if is_used {
        let secrets = secrets.clone();
        secret_reads.add(move || secrets.read());
    }
    Some(RedisSource {
        address: address?,
        username: username.map(|name: String| (!name.is_empty()).then_some(name))?,
        key_prefix: key_prefix?,
        secrets,
        expected_replicas: expected_replicas?,
        timeout: timeout?,
        lease: lease?,
    })
}

impl StoreSource {
    /// What is sound and still unwise.
    pub(crate) fn warnings(&self) -> Option<Problem> {
        let Self::Redis(redis) = self else { return None };
        let has_password = redis.secrets.password_file.is_some();
        let message = match (has_password, redis.address.is_readable_on_the_way()) {
            (true, true) => {
                "the password crosses the network in the clear; `rediss://` encrypts it. (Tokens are sealed either way.)"
            }
            (false, _) if !redis.address.is_loopback() => {
                "Redis is used without a password beyond this machine: anyone who reaches it can slow all replicas down, \
                 and have them fetch more. Set `store.redis.password_file`, and `rediss://` in the URL"
            }
            _ => return None,
        };
        Some(Problem { path: "store.redis.url".to_owned(), message: message.to_owned() })
    }

    /// Reads the secrets. White space at the ends is trimmed: files tend to end in a newline.
    pub(crate) fn read(&self) -> Result<StoreSettings, Problems> {
        let Self::Redis(redis) = self else { return Ok(StoreSettings::Memory) };
        let (password, mut seal_keys) = redis.secrets.read()?;
        if seal_keys.is_empty() {
            seal_keys.push(SealKey::demo());
        }
        Ok(StoreSettings::Redis(Box::new(RedisSettings {
            address: redis.address.clone(),
            username: redis.username.clone(),
            password,
            key_prefix: redis.key_prefix.clone(),
            seal_keys,
            expected_replicas: redis.expected_replicas,
            timeout: redis.timeout,
            lease: redis.lease,
        })))
    }
}

impl RedisSecrets {
    fn read(&self) -> Result<(Option<SecretString>, Vec<SealKey>), Problems> {
        let read = |key: &str, path: &Path| read_secret(&format!("{PATH}.{key}"), path);
        let password = self.password_file.as_deref().map(|path| read("password_file", path));
        let mut problems = Problems::default();
        let password = problems.gather(password.transpose()).flatten();
        let mut seal_keys = Vec::new();
        for (key, path) in &self.encryption_key_files {
            let invalid = |invalid| Problems::one(format!("{PATH}.{key}"), invalid);
            let seal_key = read(key, path)
                .and_then(|text| SealKey::from_base64(text.expose_secret()).map_err(invalid));
            seal_keys.extend(problems.gather(seal_key));
        }
        problems.into_result(Some((password, seal_keys)))
    }
}
