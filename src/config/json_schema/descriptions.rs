//! What keys and tables are, of which `config/default.toml` says nothing above their lines.

/// By their paths, where `*` is a name that the operator chooses.
const DESCRIPTIONS: &[(&str, &str)] = &[
    ("admin", "The listener of probes and metrics."),
    ("audit", "The record of every decision about a token, a ticket, a form or a URL."),
    ("auth_failure_limit", "How many failed authentications an address may have."),
    ("clients", "The clients by their ids: apps and backends that may ask for tokens."),
    ("egress", "Proxies and certificate authorities of outgoing HTTPS."),
    ("egress.issuers", "The keys of [egress] for the keys of issuers."),
    ("egress.tracing", "The keys of [egress] for the collector of traces."),
    ("grants", "The grants by their names: what clients and users may have."),
    ("grants.*.allow_broad_reason", "Required with `allow_broad`: why."),
    ("grants.*.claims", "Rules for claims that the policy names, by the names of the claims."),
    ("grants.*.max_duration_secs", "Seconds, up to the role's maximum; see `min_duration_secs`."),
    ("grants.*.parameters", "The parameters that callers give, by their names."),
    (
        "grants.*.upload.callback.vars.*",
        "A text, or a template; see [grants.NAME.upload.callback.vars].",
    ),
    ("issuers", "The issuers of users' tokens, by names of the operator's choice."),
    (
        "issuers.*.audiences.*",
        "The clients (keys of `clients`) that tokens for this audience may be for.",
    ),
    ("issuers.*.claims.*", "The name or path of the claim, or a table of it and its type."),
    ("issuers.*.client_ids.*", "The client (a key of `clients`) that the issuer knows by this id."),
    ("issuers.*.required", "Claims that a token must have, by their paths."),
    (
        "issuers.*.required.*.contains",
        "Values that must all be in the claim's list, or among the words of `scope` and `scp`.",
    ),
    ("issuers.*.required.*.equals", "The text that the claim must be; of a list, one member."),
    (
        "issuers.*.required.*.pattern",
        "A regular expression for the whole text; of a list, for one member.",
    ),
    ("log", "The log on standard error."),
    ("reload", "When a changed configuration is read."),
    ("revoked", "The file of revocations."),
    ("roles", "The RAM roles that grants name."),
    ("server", "The public listener."),
    ("server.tls", "TLS of the public listener."),
    ("store", "What replicas share."),
    ("store.redis", "The Redis that replicas share."),
    ("store.redis.cluster", "The nodes, where Redis is a cluster."),
    ("store.redis.sentinel", "The Sentinels, where they know the master of Redis."),
    ("sts", "The calls to STS."),
    ("sts.identity", "The identity that signs the calls to STS."),
    ("sts.identity.access_key", "Where the AccessKey comes from."),
    ("sts.identity.access_key.id_file", "For `files`: the file of the AccessKey id."),
    ("sts.identity.access_key.secret_file", "For `files`: the file of the AccessKey secret."),
    ("sts.identity.credentials_uri", "The URL that answers with credentials."),
    ("sts.identity.ecs_ram_role", "The RAM role of the ECS instance."),
    ("sts.identity.oidc", "The RAM role that STS gives for an OIDC token."),
    (
        "sts.identity.oidc.provider_arn",
        "The OIDC provider in RAM that trusts the token's issuer; see `role_arn`.",
    ),
    (
        "sts.upstreams",
        "More identities, of other accounts or regions, by names of the operator's choice.",
    ),
    ("tickets", "Tickets, with which an app asks for a token without a credential of its own."),
    ("tracing", "Traces for an OpenTelemetry collector."),
    ("uploads", "Reports of uploads by OSS, and their delivery."),
    ("vend", "The cache of tokens, and the time that callers wait."),
    ("vend.breaker", "When calls to a failing STS stop."),
    ("vend.budget", "How many calls to STS are made."),
];

/// Tables whose keys have the documentation of the keys of other tables, the more specific ones first.
const SAME_KEYS: [(&str, &str); 7] = [
    ("grants.*.claims.*.", "grants.*.parameters.*."),
    ("sts.upstreams.*.budget.", "vend.budget."),
    ("sts.upstreams.*.breaker", "vend.breaker"),
    ("sts.upstreams.*.", "sts."),
    ("egress.sts.", "egress."),
    ("egress.issuers.", "egress."),
    ("egress.tracing.", "egress."),
];

/// What the key or table is.
pub(super) fn description(path: &str) -> Option<&'static str> {
    DESCRIPTIONS.iter().find(|(own, _)| *own == path).map(|(_, text)| *text)
}

/// The path with the same documentation.
pub(super) fn same_as(path: &str) -> Option<String> {
    let (own, other) = SAME_KEYS.iter().find(|(own, _)| path.starts_with(own))?;
    Some(path.replacen(own, other, 1))
}
