//! The keys that a reload does not change.

use std::collections::BTreeMap;

use serde_json::Value;

/// Tables and keys that a reload changes; `*` is a name that the operator chooses. All others are read only at the start.
const RELOADED: &[&str] = &[
    "clients",
    "auth_failure_limit",
    "decision",
    "grants",
    "issuers",
    "log.filter",
    "reload",
    "roles",
    "server.cors_origins",
    "server.forwarded_header",
    "server.public_url",
    "server.request_timeout_ms",
    "server.tls",
    "server.trusted_proxies",
    "sts.identity.access_key",
    "sts.upstreams.*.identity.access_key",
    "tickets",
    "uploads",
];

/// The keys that only a restart changes, with their values.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RestartOnly(BTreeMap<String, Value>);

impl RestartOnly {
    pub(super) fn of(tree: &Value) -> Self {
        let mut restart_only = BTreeMap::new();
        collect(tree, String::new(), &mut restart_only);
        Self(restart_only)
    }

    /// The keys in which the two differ.
    pub(crate) fn differing<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let differ = |key: &&String| self.0.get(*key) != other.0.get(*key);
        let mut keys: Vec<_> = self.0.keys().chain(other.0.keys()).filter(differ).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().map(String::as_str).collect()
    }
}

fn collect(value: &Value, path: String, restart_only: &mut BTreeMap<String, Value>) {
    if RELOADED.iter().any(|reloaded| is_path(reloaded, &path)) {
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(member, path, restart_only);
            }
        }
        leaf => {
            restart_only.insert(path, leaf.clone());
        }
    }
}

fn is_path(pattern: &str, path: &str) -> bool {
    let (names, own) = (pattern.split('.'), path.split('.'));
    names.clone().count() == own.clone().count()
        && names.zip(own).all(|(name, own)| name == "*" || name == own)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_needs_a_restart_is_named_and_what_does_not_is_not() {
        let before = json!({
            "server": {"listen": "127.0.0.1:8080", "request_timeout_ms": 1},
            "store": {"kind": "memory"},
            "clients": {"client-001": {"enabled": true}},
            "sts": {"upstreams": {"eu": {"region": "eu-central-1", "identity": {"access_key": {"id_file": "1"}}}}},
        });
        let after = json!({
            "server": {"listen": "127.0.0.1:8081", "request_timeout_ms": 2},
            "store": {"kind": "memory", "redis": {"url": "redis://127.0.0.1"}},
            "clients": {"client-001": {"enabled": false}},
            "sts": {"upstreams": {"eu": {"region": "eu-west-1", "identity": {"access_key": {"id_file": "2"}}}}},
        });
        let differing = RestartOnly::of(&before).differing(&RestartOnly::of(&after)).join(" ");
        assert_eq!(differing, "server.listen store.redis.url sts.upstreams.eu.region");
    }
}
