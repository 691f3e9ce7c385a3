//! The scripts that run in Redis, one for each operation.
//!
//! Each names its keys as `KEYS[1]`, `KEYS[2]` and so on, and all keys of one call have one hash tag: a Redis Cluster and
//! Alibaba's proxies run no other scripts.

use redis::Script;

#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) read: Script,
    pub(super) renew: Script,
    pub(super) complete: Script,
    pub(super) budget: Script,
    pub(super) limit: Script,
    pub(super) forget: Script,
    pub(super) once: Script,
    pub(super) deliveries: Script,
    pub(super) revocations: Script,
    pub(super) probe: Script,
}

/// A script that reads values with the functions of `untrusted.lua`.
macro_rules! with_untrusted {
    ($file:literal) => {
        Script::new(concat!(include_str!("scripts/untrusted.lua"), include_str!($file)))
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            read: with_untrusted!("scripts/read.lua"),
            renew: with_untrusted!("scripts/renew.lua"),
            complete: with_untrusted!("scripts/complete.lua"),
            budget: with_untrusted!("scripts/budget.lua"),
            limit: with_untrusted!("scripts/limit.lua"),
            forget: Script::new(include_str!("scripts/forget.lua")),
            once: with_untrusted!("scripts/once.lua"),
            deliveries: with_untrusted!("scripts/deliveries.lua"),
            revocations: with_untrusted!("scripts/revocations.lua"),
            probe: Script::new(include_str!("scripts/probe.lua")),
        }
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    /// Commands without keys.
    const KEYLESS: [&str; 1] = ["TIME"];
    /// Commands of which every argument is a key.
    const ALL_KEYS: [&str; 1] = ["DEL"];

    /// What is wrong with the calls of a script.
    fn faults(script: &str) -> Vec<String> {
        let call = Regex::new(r"redis\.p?call\('([A-Z]+)'").unwrap();
        let key = Regex::new(r"^KEYS\[[1-9]\]$").unwrap();
        let code: Vec<_> =
            script.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
        let code = code.join("\n");
        let calls: Vec<_> = call.captures_iter(&code).collect();
        let mut faults = Vec::new();
        // Also a call whose command is in a variable, or a function that is passed on.
        if calls.len() != code.matches("redis.").count() {
            faults.push("it uses `redis` otherwise than to call a named command".to_owned());
        }
        for call in calls {
            let command = &call[1];
            // Up to a nested call, which is looked at by itself.
            let rest = &code[call.get(0).unwrap().end()..];
            let arguments = rest.split(['(', ')']).next().unwrap_or_default();
            let mut arguments = arguments.split(',').map(str::trim).skip(1);
            let literal = match command {
                _ if KEYLESS.contains(&command) => arguments.all(str::is_empty),
                _ if ALL_KEYS.contains(&command) => {
                    arguments.all(|argument| key.is_match(argument))
                }
                _ => arguments.next().is_some_and(|argument| key.is_match(argument)),
            };
            if !literal {
                faults.push(format!("{command}: its keys are not literal"));
            }
        }
        faults
    }

    #[test]
    fn every_script_names_its_keys_literally() {
        let mut scripts = 0;
        for file in std::fs::read_dir("src/store/scripts").unwrap() {
            let path = file.unwrap().path();
            let script = std::fs::read_to_string(&path).unwrap();
            assert_eq!(faults(&script), Vec::<String>::new(), "{}", path.display());
            scripts += 1;
        }
        assert!(scripts > 8, "the scripts were not read");
    }

    #[test]
    fn a_key_in_a_variable_is_found() {
        for wrong in [
            "redis.call('DEL', key)",
            "redis.call('DEL', KEYS[1], other)",
            "redis.call('GET', KEYS[i])",
            "redis.call('GET', KEYS[1] .. ':x')",
            "redis.pcall('HSET', name, 'level', 1)",
            "redis.call(command, KEYS[1])",
            "local call = redis.call",
        ] {
            assert_eq!(faults(wrong).len(), 1, "{wrong}");
        }
    }
}
