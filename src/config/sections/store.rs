//! `[store]`: what replicas share.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::config::bounds::{Bounded, Millis, Replicas};
use crate::config::environment::Mode;
use crate::config::field::{Clearable, Field};
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::{read_secret, read_secret_line};
use crate::config::secret_reads::SecretReads;
use crate::seal::SealKey;
use crate::store::{KeyPrefix, RedisAddress, RedisSettings, RedisTopology, StoreSettings};

use super::redis_topology::{self, RawCluster, RawRedisMode, RawSentinel, RawTopology};

#[derive(Debug, Deserialize)]
pub(crate) struct RawStore {
    /// `memory` (default) or `redis`.
    kind: Field<RawStoreKind>,
    redis: RawRedis,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum RawStoreKind {
    Memory,
    Redis,
}

/// The Redis of the store `redis`.
#[derive(Debug, Deserialize)]
struct RawRedis {
    /// `single` (default), `sentinel` or `cluster`.
    mode: Field<RawRedisMode>,
    /// Of the mode `single`: `redis://host:port/database`, or `rediss://` for TLS.
    url: Field<Clearable<RedisAddress>>,
    sentinel: RawSentinel,
    cluster: RawCluster,
    /// Default empty: Redis's default user.
    username: Field<Clearable<String>>,
    /// Holds the password. White space at its end is trimmed.
    password_file: Field<Clearable<PathBuf>>,
    /// Default `appserver`. Replicas with the same prefix share tokens and the budget.
    key_prefix: Field<KeyPrefix>,
    /// Required: holds the key that encrypts tokens. White space at its end is trimmed.
    encryption_key_file: Field<Clearable<PathBuf>>,
    /// Holds a key that only decrypts, while `encryption_key_file` is new.
    previous_encryption_key_file: Field<Clearable<PathBuf>>,
    /// Default 2. The budget is divided by it while Redis does not answer.
    expected_replicas: Field<Bounded<Replicas, 1, 1_000>>,
    /// Default 500. Then Redis counts as down.
    timeout_ms: Field<Millis<10, 5_000>>,
    /// Default 3000. How long other replicas wait for a replica that died while it fetched a token.
    lease_ms: Field<Millis<500, 60_000>>,
}

const PASSWORD_FILE: &str = "store.redis.password_file";
const SENTINEL_PASSWORD_FILE: &str = "store.redis.sentinel.password_file";
const ENCRYPTION_KEY_FILE: &str = "store.redis.encryption_key_file";
const PREVIOUS_ENCRYPTION_KEY_FILE: &str = "store.redis.previous_encryption_key_file";

/// The configured store, whose files are not read yet.
#[derive(Clone, Debug)]
pub(crate) enum StoreSource {
    Memory,
    Redis(Box<RedisSource>),
}

/// A Redis, and where its secrets are.
#[derive(Clone, Debug)]
pub(crate) struct RedisSource {
    topology: RedisTopology,
    username: Option<String>,
    key_prefix: KeyPrefix,
    secrets: RedisSecrets,
    expected_replicas: Bounded<Replicas, 1, 1_000>,
    timeout: Millis<10, 5_000>,
    lease: Millis<500, 60_000>,
}

/// The files of a Redis's secrets.
#[derive(Clone, Debug)]
struct RedisSecrets {
    password_file: Option<PathBuf>,
    sentinel_password_file: Option<PathBuf>,
    /// The newest first; empty for the demo's key.
    encryption_key_files: Vec<(&'static str, PathBuf)>,
}

pub(crate) fn resolve(
    raw: RawStore,
    mode: Mode,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<StoreSource> {
    let kind = problems.require(raw.kind);
    // Also where Redis is not used: an invalid value is reported before the key is needed.
    let redis = redis(raw.redis, kind == Some(RawStoreKind::Redis), mode, problems, secret_reads);
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
    let mut sentinel = raw.sentinel;
    if is_used {
        let of_redis = (&raw.username, &raw.password_file);
        let of_sentinels = (&sentinel.username, &sentinel.password_file);
        for (key, (user, password)) in
            [(PASSWORD_FILE, of_redis), (SENTINEL_PASSWORD_FILE, of_sentinels)]
        {
            let has_user = matches!(user.given(), Some(Clearable(Some(_))));
            let has_password = matches!(password.given(), Some(Clearable(Some(_))));
            if has_user && !has_password && !password.is_invalid() {
                problems.add_absence(
                    key,
                    "a user authenticates with a password: name the file that holds it, or remove `username`",
                );
            }
        }
    }
    let sentinel_password_file = problems.take_set(std::mem::take(&mut sentinel.password_file));
    let arranged = RawTopology { mode: raw.mode, url: raw.url, sentinel, cluster: raw.cluster };
    let topology = redis_topology::resolve(arranged, is_used, problems);
    let username = problems.require(raw.username).map(|Clearable(name)| name);
    let key_prefix = problems.require(raw.key_prefix);
    let password_file = problems.take_set(raw.password_file);
    let is_invalid = raw.encryption_key_file.is_invalid();
    let encryption_key = problems.take_set(raw.encryption_key_file);
    let previous = problems.take_set(raw.previous_encryption_key_file);
    if is_used
        && !is_invalid
        && encryption_key.is_none()
        && (mode == Mode::Production || previous.is_some())
    {
        problems.add_absence(
            ENCRYPTION_KEY_FILE,
            "tokens are encrypted before they leave for Redis: name a file that holds a key; \
             `openssl rand -base64 32` makes one",
        );
    }
    let expected_replicas = problems.require(raw.expected_replicas);
    let timeout = problems.require(raw.timeout_ms);
    let lease = problems.require(raw.lease_ms);
    let encryption_key = encryption_key.map(|path| (ENCRYPTION_KEY_FILE, path));
    let previous = previous.map(|path| (PREVIOUS_ENCRYPTION_KEY_FILE, path));
    let secrets = RedisSecrets {
        password_file,
        sentinel_password_file,
        encryption_key_files: encryption_key.into_iter().chain(previous).collect(),
    };
    if is_used {
        let secrets = secrets.clone();
        secret_reads.add(move || secrets.read());
    }
    Some(RedisSource {
        topology: topology?,
        username: username?,
        key_prefix: key_prefix?,
        secrets,
        expected_replicas: expected_replicas?,
        timeout: timeout?,
        lease: lease?,
    })
}

impl StoreSource {
    /// Whether the connection is exposed although the settings are valid.
    pub(crate) fn warning(&self) -> Option<Problem> {
        let Self::Redis(redis) = self else { return None };
        let has_password = redis.secrets.password_file.is_some();
        let message = match (has_password, redis.topology.sends_plaintext_over_network()) {
            (true, true) => {
                "the password crosses the network in the clear; `rediss://` encrypts it. (Tokens are encrypted either way.)"
            }
            (false, _) if !redis.topology.is_loopback() => {
                "Redis is used without a password beyond this machine: anyone who reaches it can slow all replicas down, \
                 and have them fetch more. Set `store.redis.password_file`, and `rediss://` in the URL"
            }
            _ => return None,
        };
        Some(Problem {
            path: redis_topology::key_of(&redis.topology).to_owned(),
            message: message.to_owned(),
        })
    }

    /// Reads the secrets.
    pub(crate) fn read(&self) -> Result<StoreSettings, Problems> {
        let Self::Redis(redis) = self else { return Ok(StoreSettings::Memory) };
        let ((password, sentinel_password), mut seal_keys) = redis.secrets.read()?;
        if seal_keys.is_empty() {
            seal_keys.push(SealKey::demo());
        }
        Ok(StoreSettings::Redis(Box::new(RedisSettings {
            topology: redis.topology.clone(),
            username: redis.username.clone(),
            password,
            sentinel_password,
            key_prefix: redis.key_prefix.clone(),
            seal_keys,
            expected_replicas: redis.expected_replicas.non_zero(),
            timeout: redis.timeout.into(),
            lease: redis.lease.into(),
        })))
    }
}

/// Of Redis and of the Sentinels.
type Passwords = (Option<SecretString>, Option<SecretString>);

impl RedisSecrets {
    fn read(&self) -> Result<(Passwords, Vec<SealKey>), Problems> {
        let mut problems = Problems::default();
        let mut password = |key, path: &Option<PathBuf>| {
            let read = path.as_deref().map(|path| read_secret_line(key, path));
            problems.gather(read.transpose()).flatten()
        };
        let passwords = (
            password(PASSWORD_FILE, &self.password_file),
            password(SENTINEL_PASSWORD_FILE, &self.sentinel_password_file),
        );
        let mut seal_keys = Vec::new();
        for (key, path) in &self.encryption_key_files {
            let invalid = |invalid| Problems::one(*key, invalid);
            let seal_key = read_secret(key, path)
                .and_then(|text| SealKey::from_base64(text.expose_secret()).map_err(invalid));
            seal_keys.extend(problems.gather(seal_key));
        }
        problems.into_result(Some((passwords, seal_keys)))
    }
}
