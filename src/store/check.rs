//! Checks for `doctor` whether a Redis permits every command that the scripts use.

use super::StoreError;
use super::redis::client;
use super::redis_connection::CONNECT_TIMEOUT;
use super::settings::RedisSettings;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, InfoDict, RedisError, cmd};

/// The result of the check of a Redis that answers.
#[derive(Debug)]
pub(crate) struct RedisCheck {
    /// `None` if the user may not run `INFO`, which the store does not need.
    pub(crate) version: Option<String>,
    /// Commands that the scripts need and the user may not run, as access lists name them.
    pub(crate) forbidden: Vec<&'static str>,
}

impl RedisSettings {
    /// Connects, and runs each command of the scripts once, on keys that only this check uses.
    pub(crate) async fn check(&self) -> Result<RedisCheck, StoreError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.timeout));
        let client = client(self)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut forbidden = Vec::new();
        for (name, command) in self.commands() {
            if !is_allowed(&command, &mut connection).await? {
                forbidden.push(name);
            }
        }
        Ok(RedisCheck { version: version(&mut connection).await?, forbidden })
    }

    /// Every command of the scripts, and those that run scripts. The last one deletes what the others wrote.
    fn commands(&self) -> Vec<(&'static str, Cmd)> {
        let name = |kind: &str| self.key_prefix.common(&format!("doctor-{kind}"));
        let (text, hash, set) = (name("text"), name("hash"), name("set"));
        let with = |command: &str, arguments: &[&str]| {
            let mut cmd = cmd(command);
            cmd.arg(arguments);
            cmd
        };
        vec![
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
        ]
    }
}

const SCRIPT: &str = "return 1";
const SCRIPT_SHA1: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

async fn is_allowed(
    command: &Cmd,
    connection: &mut MultiplexedConnection,
) -> Result<bool, RedisError> {
    match command.query_async::<redis::Value>(connection).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == Some("NOPERM") => Ok(false),
        // The user may run scripts, but not load this one.
        Err(error) if error.code() == Some("NOSCRIPT") => Ok(true),
        Err(error) => Err(error),
    }
}

async fn version(connection: &mut MultiplexedConnection) -> Result<Option<String>, RedisError> {
    match cmd("INFO").arg("server").query_async::<InfoDict>(connection).await {
        Ok(info) => Ok(info.get("redis_version")),
        Err(error) if error.code() == Some("NOPERM") => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::seal::SealKey;
    use crate::store::KeyPrefix;

    #[test]
    fn every_command_of_the_scripts_is_checked() {
        let settings = RedisSettings {
            address: "redis://127.0.0.1".to_owned().try_into().unwrap(),
            username: None,
            password: None,
            key_prefix: "app".parse::<KeyPrefix>().unwrap(),
            seal_keys: vec![SealKey::for_tests(1)],
            expected_replicas: std::num::NonZeroU32::MIN,
            timeout: CONNECT_TIMEOUT,
            lease: CONNECT_TIMEOUT,
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
