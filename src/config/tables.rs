//! Which keys are tables. Another value in place of a table is one problem, and hides no other.

use config::{Map, Value, ValueKind};

use super::problems::Problems;

/// The tables of `config/default.toml` by their paths; `*` is a name that the operator chooses.
const TABLES: &[&str] = &[
    "admin",
    "audit",
    "clients",
    "clients.*",
    "clients.*.limit",
    "clients.*.subject_limit",
    "auth_failure_limit",
    "decision",
    "egress",
    "egress.issuers",
    "egress.sts",
    "egress.tracing",
    "grants",
    "grants.*",
    "grants.*.claims",
    "grants.*.claims.*",
    "grants.*.oss",
    "grants.*.parameters",
    "grants.*.parameters.*",
    "grants.*.upload",
    "grants.*.upload.callback",
    "grants.*.upload.callback.vars",
    "issuers",
    "issuers.*",
    "issuers.*.audiences",
    "issuers.*.claims",
    "issuers.*.client_ids",
    "issuers.*.required",
    "issuers.*.required.*",
    "log",
    "reload",
    "revoked",
    "roles",
    "roles.*",
    "server",
    "server.tls",
    "store",
    "store.redis",
    "store.redis.cluster",
    "store.redis.sentinel",
    "sts",
    "sts.identity",
    "sts.identity.access_key",
    "sts.identity.credentials_uri",
    "sts.identity.ecs_ram_role",
    "sts.identity.oidc",
    "sts.upstreams",
    "sts.upstreams.*",
    "sts.upstreams.*.breaker",
    "sts.upstreams.*.budget",
    "sts.upstreams.*.identity",
    "sts.upstreams.*.identity.access_key",
    "sts.upstreams.*.identity.credentials_uri",
    "sts.upstreams.*.identity.ecs_ram_role",
    "sts.upstreams.*.identity.oidc",
    "tickets",
    "tracing",
    "uploads",
    "vend",
    "vend.breaker",
    "vend.budget",
];

/// All tables, for the test of the schema.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    TABLES.iter().copied()
}

/// The tables at the top.
pub(super) fn sections() -> impl Iterator<Item = &'static str> {
    TABLES.iter().copied().filter(|table| !table.contains('.'))
}

/// The tables directly in this one, by their names in it; `""` is the top.
pub(super) fn tables_in(parent: &str) -> impl Iterator<Item = &'static str> {
    let below = move |table: &&'static str| match table.rsplit_once('.') {
        Some((above, name)) => (above == parent && name != "*").then_some(name),
        None => parent.is_empty().then_some(*table),
    };
    TABLES.iter().filter_map(below)
}

/// The tables inside this one, unless the operator chooses a name in between: their paths from there, and their paths.
pub(super) fn tables_below(
    above: &'static str,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let below = move |table: &'static str| {
        let relative = match above {
            "" => table,
            above => table.strip_prefix(above)?.strip_prefix('.')?,
        };
        (!relative.contains('*')).then_some((relative, table))
    };
    TABLES.iter().copied().filter_map(below)
}

/// The entry of [`TABLES`] that this path is one of; `""` for the top.
pub(super) fn table_of(path: &[&str]) -> Option<&'static str> {
    if path.is_empty() {
        return Some("");
    }
    TABLES.iter().copied().find(|table| fits(table, path))
}

/// Replaces other values by an empty table where a table belongs, and records the paths.
pub(super) fn correct(layer: &mut Value, problems: &mut Problems, corrected: &mut Vec<String>) {
    correct_below(layer, &mut Vec::new(), problems, corrected);
}

fn correct_below(
    value: &mut Value,
    path: &mut Vec<String>,
    problems: &mut Problems,
    corrected: &mut Vec<String>,
) {
    let ValueKind::Table(table) = &mut value.kind else { return };
    for (key, value) in table {
        path.push(key.clone());
        if is_table(path) && !matches!(value.kind, ValueKind::Table(_)) {
            let name = path.join(".");
            let is_list_of_tables = name == "revoked" && matches!(value.kind, ValueKind::Array(_));
            let message = if is_list_of_tables {
                "it must be a table: tables `[[revoked]]` go into a file of their own, which `revoked.file` names"
                    .to_owned()
            } else {
                format!("it must be a table: write its keys one by one, below `[{name}]`")
            };
            problems.add(name.as_str(), message);
            corrected.push(name);
            value.kind = ValueKind::Table(Map::new());
        }
        correct_below(value, path, problems, corrected);
        path.pop();
    }
}

/// The same for variables by their paths: one that sets a whole table is dropped.
pub(super) fn correct_variables(
    variables: &mut Map<String, Value>,
    problems: &mut Problems,
    corrected: &mut Vec<String>,
) {
    variables.retain(|name, _| {
        let path: Vec<_> = name.split('.').map(str::to_owned).collect();
        let is_table = is_table(&path);
        if is_table {
            let variable = format!("APPSERVER__{}", path.join("__").to_uppercase());
            problems.add(
                name.as_str(),
                format!("it must be a table: in the environment each of its keys is a variable, `{variable}__KEY`"),
            );
            corrected.push(name.clone());
        }
        !is_table
    });
}

fn is_table(path: &[String]) -> bool {
    TABLES.iter().any(|table| fits(table, path))
}

fn fits(table: &str, path: &[impl AsRef<str>]) -> bool {
    let names = table.split('.');
    names.clone().count() == path.len()
        && names.zip(path).all(|(name, own)| name == "*" || name == own.as_ref())
}
