//! Checks for `doctor` whether a Redis permits every command that the scripts use.

use super::StoreError;
use super::connector::{Connection, Connector};
use super::settings::RedisSettings;
use super::topology::RedisTopology;
use redis::{Cmd, ErrorKind, InfoDict, RedisError, ServerErrorKind, cmd};

/// The result of the check of a Redis that answers.
#[derive(Debug)]
pub(crate) struct RedisCheck {
    /// `None` if the user may not run `INFO`, which the store does not need.
    pub(crate) version: Option<String>,
    /// Commands that the scripts need and the user may not run, as access lists name them.
    pub(crate) forbidden: Vec<&'static str>,
    /// Whether it is a node of a Redis Cluster, and configured as a server of its own.
    pub(crate) needs_cluster_mode: bool,
}

impl RedisSettings {
    /// Connects, and runs each command of the scripts once, on keys that only this check uses.
    pub(crate) async fn check(&self) -> Result<RedisCheck, StoreError> {
        let mut connection = Connector::new(self)?.connect().await?;
        let info = allowed(connection.info().await)?;
        let mode: Option<String> = info.as_ref().and_then(|info| info.get("redis_mode"));
        let is_cluster_node = mode.as_deref() == Some("cluster");
        let mut check = RedisCheck {
            version: info.and_then(|info| info.get("redis_version")),
            forbidden: Vec::new(),
            needs_cluster_mode: is_cluster_node && !self.is_cluster(),
        };
        for (name, command) in self.commands() {
            if check.needs_cluster_mode {
                break;
            }
            match is_allowed(&command, &mut connection).await {
                Ok(true) => {}
                Ok(false) => check.forbidden.push(name),
                Err(error) if is_redirection(&error) => check.needs_cluster_mode = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(check)
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

async fn is_allowed(command: &Cmd, connection: &mut Connection) -> Result<bool, RedisError> {
    match command.query_async::<redis::Value>(connection).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("NOPERM") => Ok(false),
        // The user may run scripts, but not load this one.
        Err(error) if error.code() == Some("NOSCRIPT") => Ok(true),
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
