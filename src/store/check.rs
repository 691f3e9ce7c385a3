//! Checks for `doctor` whether a Redis permits every command that the scripts use.

use super::connector::{Connection, Connector};
use super::settings::RedisSettings;
use super::topology::RedisTopology;
use futures_util::future::join_all;
use redis::{Cmd, ErrorKind, InfoDict, RedisError, ServerErrorKind, cmd};

/// The result of the check of a Redis that answers.
#[derive(Debug)]
pub(crate) struct RedisCheck {
    /// `None` if the user may not run `INFO`, which the store does not need.
    pub(crate) version: Option<String>,
    /// Commands that the scripts need and the user may not run, as access lists name them.
    pub(crate) forbidden: Vec<&'static str>,
    /// The keys that the user may not use, as access lists name them.
    pub(crate) forbidden_keys: Option<String>,
    /// Whether it is a node of a Redis Cluster, and configured as a server of its own.
    pub(crate) needs_cluster_mode: bool,
}

/// Why the check ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisCheckError {
    #[error("Redis cannot be used")]
    Redis(#[from] RedisError),
    #[error("no Sentinel can be used")]
    Sentinels(#[source] RedisError),
    #[error("the Sentinels answer, and their master cannot be used")]
    Master(#[source] RedisError),
}

/// Whether a command may be run.
enum Right {
    Granted,
    /// Not the command.
    NoCommand,
    /// The command, but not on these keys.
    NoKeys,
}

/// Keys in so many slots: a node of a cluster has all of them only if it has nearly every slot.
const SLOTS_TRIED: u32 = 64;

impl RedisSettings {
    /// Connects, and runs each command of the scripts once, on keys that only this check uses.
    pub(crate) async fn check(&self) -> Result<RedisCheck, RedisCheckError> {
        let connector = Connector::new(self)?;
        let mut connection = match connector.connect().await {
            Ok(connection) => connection,
            Err(error) => return Err(explained(error, &connector).await),
        };
        let info = allowed(connection.info().await)?;
        let mode: Option<String> = info.as_ref().and_then(|info| info.get("redis_mode"));
        let is_cluster_node = mode.as_deref() == Some("cluster");
        let mut check = RedisCheck {
            version: info.and_then(|info| info.get("redis_version")),
            forbidden: Vec::new(),
            forbidden_keys: None,
            needs_cluster_mode: is_cluster_node && !self.is_cluster(),
        };
        for (name, command) in self.commands() {
            if check.needs_cluster_mode {
                break;
            }
            match is_allowed(&command, &mut connection).await {
                Ok(Right::Granted) => {}
                Ok(Right::NoCommand) => check.forbidden.push(name),
                Ok(Right::NoKeys) => check.forbidden_keys = Some(format!("{}:*", self.key_prefix)),
                Err(error) if is_redirection(&error) => check.needs_cluster_mode = true,
                Err(error) => return Err(error.into()),
            }
        }
        if matches!(self.topology, RedisTopology::Single(_)) && !check.needs_cluster_mode {
            check.needs_cluster_mode = self.redirects(&connection).await;
        }
        Ok(check)
    }

    /// Whether the server names other nodes for some keys, which every user may learn who may read them.
    async fn redirects(&self, connection: &Connection) -> bool {
        let read = async |number: u32| {
            let mut get = cmd("GET");
            get.arg(self.key_prefix.in_slot(number));
            get.query_async::<redis::Value>(&mut connection.clone()).await
        };
        let answers = join_all((0..SLOTS_TRIED).map(read)).await;
        answers.iter().filter_map(|answer| answer.as_ref().err()).any(is_redirection)
    }

    fn is_cluster(&self) -> bool {
        matches!(self.topology, RedisTopology::Cluster(_))
    }

    /// Every command of the scripts, those that run scripts, and those that find the master or a slot's node. The last one
    /// deletes what the others wrote.
    fn commands(&self) -> Vec<(&'static str, Cmd)> {
        let name = |kind: &str| self.key_prefix.common(&format!("doctor-{kind}"));
        let (text, hash, set) = (name("text"), name("hash"), name("set"));
        let with = |command: &str, arguments: &[&str]| {
            let mut cmd = cmd(command);
            cmd.arg(arguments);
            cmd
        };
        let discovery = match self.topology {
            RedisTopology::Single(_) => vec![],
            RedisTopology::Sentinel(_) => vec![("role", with("ROLE", &[]))],
            RedisTopology::Cluster(_) => vec![
                ("cluster|slots", with("CLUSTER", &["SLOTS"])),
                ("asking", with("ASKING", &[])),
            ],
        };
        let mut commands = discovery;
        commands.extend([
            ("ping", with("PING", &[])),
            ("time", with("TIME", &[])),
            ("set", with("SET", &[&text, "1", "PX", "10000"])),
            ("get", with("GET", &[&text])),
            ("pttl", with("PTTL", &[&text])),
            ("pexpire", with("PEXPIRE", &[&text, "10000"])),
            ("hset", with("HSET", &[&hash, "level", "1"])),
            ("hmget", with("HMGET", &[&hash, "level", "rate"])),
            ("hdel", with("HDEL", &[&hash, "level"])),
            ("expire", with("EXPIRE", &[&hash, "10"])),
            ("zadd", with("ZADD", &[&set, "1", "doctor"])),
            ("zcard", with("ZCARD", &[&set])),
            ("zrangebyscore", with("ZRANGEBYSCORE", &[&set, "-inf", "+inf", "LIMIT", "0", "1"])),
            ("zrem", with("ZREM", &[&set, "nobody"])),
            ("zremrangebyscore", with("ZREMRANGEBYSCORE", &[&set, "-inf", "+inf"])),
            ("script|load", with("SCRIPT", &["LOAD", SCRIPT])),
            // With a key: the proxies of Alibaba's clusters refuse a script without one.
            ("evalsha", with("EVALSHA", &[SCRIPT_SHA1, "1", &text])),
            ("del", with("DEL", &[&text, &hash, &set])),
        ]);
        commands
    }
}

const SCRIPT: &str = "return 1";
const SCRIPT_SHA1: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

/// The error of a connection. With Sentinels it is said which of the two logins it is about: both may be wrong in the same way.
async fn explained(error: RedisError, connector: &Connector) -> RedisCheckError {
    match connector.try_sentinels().await {
        None => RedisCheckError::Redis(error),
        Some(Err(error)) => RedisCheckError::Sentinels(error),
        Some(Ok(())) => RedisCheckError::Master(error),
    }
}

async fn is_allowed(command: &Cmd, connection: &mut Connection) -> Result<Right, RedisError> {
    match command.query_async::<redis::Value>(connection).await {
        Ok(_) => Ok(Right::Granted),
        Err(error) if error.code() == Some("NOPERM") => {
            // `…to access one of the keys used as arguments` or `No permissions to access a key`, in Redis 6 and 7.
            let is_of_keys = error.to_string().contains("to access");
            Ok(if is_of_keys { Right::NoKeys } else { Right::NoCommand })
        }
        // The user may run scripts, but not load this one.
        Err(error) if error.code() == Some("NOSCRIPT") => Ok(Right::Granted),
        Err(error) => Err(error),
    }
}

/// What was answered, or `None` if the user lacks the right.
fn allowed(answer: Result<InfoDict, RedisError>) -> Result<Option<InfoDict>, RedisError> {
    match answer {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.code() == Some("NOPERM") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether another node of a cluster has the key.
fn is_redirection(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::seal::SealKey;
    use crate::store::KeyPrefix;

    #[test]
    fn every_command_of_the_scripts_is_checked() {
        let settings = RedisSettings {
            topology: RedisTopology::Single("redis://127.0.0.1".to_owned().try_into().unwrap()),
            username: None,
            password: None,
            sentinel_password: None,
            key_prefix: "app".parse::<KeyPrefix>().unwrap(),
            seal_keys: vec![SealKey::for_tests(1)],
            expected_replicas: std::num::NonZeroU32::MIN,
            timeout: Duration::from_secs(1),
            lease: Duration::from_secs(1),
        };
        let commands = settings.commands();
        let checked: BTreeSet<_> =
            commands.iter().map(|(name, _)| name.to_ascii_uppercase()).collect();
        let mut called = BTreeSet::new();
        for file in std::fs::read_dir("src/store/scripts").unwrap() {
            let script = std::fs::read_to_string(file.unwrap().path()).unwrap();
            // `redis.call` and `redis.pcall`.
            let calls = script.split("call('").skip(1);
            called.extend(calls.map(|rest| rest.split('\'').next().unwrap().to_owned()));
        }
        assert!(called.len() > 8, "the scripts were not read");
        assert_eq!(called.difference(&checked).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
