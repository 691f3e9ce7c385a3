//! `[store]`, resolved.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret;

use super::Mode;
use super::field::Field;
use super::problems::{Problem, Problems};
use super::raw::{RawRedis, RawStore, RawStoreKind};
use super::resolve::number;
use super::secret_file::read_secret;
use crate::seal::SealKey;
use crate::store::{KeyPrefix, RedisAddress, RedisSettings, StoreSettings};

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
    password_file: Option<PathBuf>,
    key_prefix: KeyPrefix,
    /// The newest first; none is the demo's.
    seal_key_files: Vec<(&'static str, PathBuf)>,
    expected_replicas: NonZeroU32,
    timeout: Duration,
    lease: Duration,
}

pub(super) fn resolve(raw: RawStore, mode: Mode, problems: &mut Problems) -> Option<StoreSource> {
    match problems.require("store.kind", raw.kind)? {
        RawStoreKind::Memory => Some(StoreSource::Memory),
        RawStoreKind::Redis => {
            redis(raw.redis, mode, problems).map(|redis| StoreSource::Redis(Box::new(redis)))
        }
    }
}

fn redis(raw: RawRedis, mode: Mode, problems: &mut Problems) -> Option<RedisSource> {
    let address = problems.require("store.redis.url", raw.url).and_then(|text: String| {
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
    let seal_key_file = file("seal_key_file", raw.seal_key_file);
    let previous = file("previous_seal_key_file", raw.previous_seal_key_file);
    if seal_key_file.is_none() && (mode == Mode::Production || previous.is_some()) {
        problems.add(
            "store.redis.seal_key_file",
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
    Some(RedisSource {
        address: address?,
        username: username.map(|name: String| (!name.is_empty()).then_some(name))?,
        password_file: password_file.map(|(_, path)| path),
        key_prefix: key_prefix?,
        seal_key_files: seal_key_file.into_iter().chain(previous).collect(),
        expected_replicas: expected_replicas?,
        timeout: timeout?,
        lease: lease?,
    })
}

impl StoreSource {
    /// What is sound and still unwise.
    pub(super) fn advice(&self) -> Option<Problem> {
        let Self::Redis(redis) = self else { return None };
        let has_password = redis.password_file.is_some();
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
        let read = |key: &str, path: &Path| read_secret(&format!("{PATH}.{key}"), path);
        let password = redis.password_file.as_deref().map(|path| read("password_file", path));
        let mut problems = Problems::default();
        let password = problems.gather(password.transpose()).flatten();
        let mut seal_keys = Vec::new();
        for (key, path) in &redis.seal_key_files {
            let invalid = |invalid| Problems::one(format!("{PATH}.{key}"), invalid);
            let seal_key = read(key, path)
                .and_then(|text| SealKey::from_base64(text.expose_secret()).map_err(invalid));
            seal_keys.extend(problems.gather(seal_key));
        }
        problems.into_result(Some(()))?;
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
