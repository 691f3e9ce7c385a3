//! Valid entries that repeat others or have no effect: secrets of two clients, grants listed twice, keys of files named twice,
//! roles without a grant,//! environment variables with one underscore after the prefix.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::auth::SecretHash;
use crate::config::environment::Environment;
use crate::config::problems::Problem;
use crate::config::sections::clients::ResolvedClient;
use crate::config::tables;
use appserver_domain::{ClientId, GrantName};

/// Clients with a secret of another client.
pub(super) fn shared_secrets(clients: &[ResolvedClient]) -> Vec<Problem> {
    let mut owners: HashMap<&[u8; 32], &ClientId> = HashMap::new();
    // Both secrets of a pair of clients are one warning.
    let mut shared = BTreeMap::new();
    for ResolvedClient { id, client, .. } in clients {
        let secrets = client.secrets.iter().flatten().filter(|secret| !secret.is_blank());
        for digest in secrets.map(SecretHash::digest) {
            let owner = *owners.entry(digest).or_insert(id);
            if owner != id {
                shared.insert(id, owner);
            }
        }
    }
    let problem = |(id, owner): (&ClientId, &ClientId)| Problem {
        path: format!("clients.{id}.secret_sha256"),
        message: format!(
            "the client `{owner}` has the same secret, so each can call as the other: give each its own, made by \
             `appserver client new`"
        ),
    };
    shared.into_iter().map(problem).collect()
}

/// Grants that a client lists more than once.
pub(in crate::config) fn repeated_grants(holders: &[(ClientId, Vec<GrantName>)]) -> Vec<Problem> {
    let of_client = |(id, grants): &(ClientId, Vec<GrantName>)| {
        let mut seen = BTreeSet::new();
        let repeated: BTreeSet<_> =
            grants.iter().filter(|grant| !seen.insert(grant.as_str())).collect();
        let problem = |grant: &GrantName| Problem {
            path: format!("clients.{id}.grants"),
            message: format!("`{grant}` is listed more than once: remove the repetition"),
        };
        repeated.into_iter().map(problem).collect::<Vec<_>>()
    };
    holders.iter().flat_map(of_client).collect()
}

/// Files of a previous key that are also those of the present one.
pub(in crate::config) fn repeated_keys(json: &Value) -> Vec<Problem> {
    const PAIRS: [(&str, &str, &str); 3] = [
        ("/store/redis", "encryption_key_file", "previous_encryption_key_file"),
        ("/tickets", "key_file", "previous_key_file"),
        ("/uploads", "encryption_key_file", "previous_encryption_key_file"),
    ];
    let repeated = PAIRS.iter().filter(|(table, current, previous)| {
        let file = |key: &str| json.pointer(table)?.get(key)?.as_str();
        file(previous).is_some_and(|own| !own.is_empty() && file(current) == Some(own))
    });
    let problem = |(table, current, previous): &(&str, &str, &str)| Problem {
        path: format!("{}.{previous}", table.trim_start_matches('/').replace('/', ".")),
        message: format!(
            "it is the file of `{current}`, too, so that what the previous key encrypted cannot be decrypted: name the file \
             of the previous key, or remove this key"
        ),
    };
    repeated.map(problem).collect()
}

/// Roles that no grant names.
pub(in crate::config) fn unused_roles(json: &Value) -> Vec<Problem> {
    let members = |key: &str| json.get(key).and_then(Value::as_object).into_iter().flatten();
    let used: BTreeSet<_> =
        members("grants").filter_map(|(_, grant)| grant.get("role")?.as_str()).collect();
    let unused = members("roles").filter(|(name, _)| !used.contains(name.as_str()));
    let problem = |(name, _): (&String, &Value)| Problem {
        path: format!("roles.{name}"),
        message: "no grant assumes this role: remove it, or name it in `role` of a grant"
            .to_owned(),
    };
    unused.map(problem).collect()
}

/// Environment variables such as `APPSERVER_LOG__FILTER`, which are not read.
pub(in crate::config) fn unread_variables(environment: &Environment) -> Vec<Problem> {
    let is_meant = |name: &&String| {
        let name = name.to_ascii_lowercase();
        let Some(key) = name.strip_prefix("appserver_") else { return false };
        let mut sections = tables::sections();
        // Kubernetes sets such variables for Services named `appserver-…`.
        let is_of_kubernetes = key.contains("_service_host")
            || key.contains("_service_port")
            || key.contains("_port_")
            || key.ends_with("_port");
        let below = |section| key.strip_prefix(section).is_some_and(|key| key.starts_with('_'));
        !is_of_kubernetes && sections.any(below)
    };
    let problem = |name: &String| {
        Problem {
        path: name.clone(),
        message: "this variable is not read: two underscores follow `APPSERVER` and separate keys, as in \
                  `APPSERVER__LOG__FILTER`"
            .to_owned(),
    }
    };
    environment.keys().filter(is_meant).map(problem).collect()
}

/// Variables by which other programs choose a proxy. Their values, which may contain passwords, are not repeated.
pub(in crate::config) fn unread_proxies(environment: &Environment) -> Vec<Problem> {
    const NAMES: [&str; 3] = ["https_proxy", "http_proxy", "all_proxy"];
    let is_set = |(name, value): &(&String, &String)| {
        NAMES.contains(&name.to_ascii_lowercase().as_str()) && !value.is_empty()
    };
    let problem = |(name, _): (&String, &String)| {
        Problem {
        path: name.clone(),
        message: "this variable is not read: outgoing connections use the proxy in `egress.proxy`, and none if that is empty"
            .to_owned(),
    }
    };
    environment.iter().filter(is_set).map(problem).collect()
}
