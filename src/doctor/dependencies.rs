//! Tests what the service uses besides STS: the store and the issuers of users' tokens. Adds the configuration's warnings.

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout_at};

use super::Finding;
use crate::auth::{FetchProblem, Issuer};
use crate::config::{Problem, Settings};
use crate::outbound::Egress;
use crate::store::{RedisCheck, RedisCheckError, StoreSettings};
use crate::telemetry::with_causes;

const STORE: &str = "store";
/// The oldest Redis whose Lua the scripts run on.
const OLDEST_MAJOR: u32 = 5;
const ISSUER: &str = "issuer";
const AUDIT: &str = "audit";
const HOOK: &str = "decision hook";
const REVOKED: &str = "revocations";

/// Executes each command that the store needs.
pub(super) async fn store_finding(settings: &StoreSettings, deadline: Instant) -> Finding {
    let StoreSettings::Redis(redis) = settings else {
        return Finding::ok(STORE, "in memory: replicas share nothing");
    };
    let address = redis.topology.to_string();
    let finding = match timeout_at(deadline, redis.check()).await {
        Ok(Ok(check)) => rate(&check),
        Ok(Err(problem)) => Finding::failed(STORE, with_causes(&problem)).fix(match &problem {
            RedisCheckError::Redis(_) => {
                "check `store.redis` against the server: mode, address, TLS, user and password; until then each replica \
                 works alone"
            }
            RedisCheckError::Sentinels(_) => {
                "check `store.redis.sentinel` against the Sentinels: `urls`, TLS, `username` and `password_file`; until then \
                 each replica works alone"
            }
            RedisCheckError::Master(_) => {
                "check `store.redis.username` and `password_file` against the master, and `master` and `master_tls` in \
                 `store.redis.sentinel`; until then each replica works alone"
            }
        }),
        Err(_) => Finding::out_of_time(STORE),
    };
    finding.of(address)
}

fn rate(
    RedisCheck { version, forbidden, forbidden_keys, needs_cluster_mode }: &RedisCheck,
) -> Finding {
    if *needs_cluster_mode {
        return Finding::failed(STORE, "this server is a node of a Redis Cluster").fix(
            "set `store.redis.mode` to `cluster` and `store.redis.cluster.urls` to the addresses of some nodes",
        );
    }
    let rights: Vec<_> = forbidden.iter().map(|name| format!("+{name}")).collect();
    if let Some(keys) = forbidden_keys {
        let message =
            format!("the user lacks the right to the keys of `store.redis.key_prefix`, `{keys}`");
        let rights = [&[format!("~{keys}")], &rights[..]].concat().join(" ");
        return Finding::failed(STORE, message).fix(format!(
            "give the user these rights: {rights}; or set `store.redis.key_prefix` to the prefix of its keys"
        ));
    }
    if !forbidden.is_empty() {
        return Finding::failed(STORE, "the user lacks rights to commands that are needed")
            .fix(format!("give the user these rights: {}", rights.join(" ")));
    }
    let Some(version) = version else {
        return Finding::ok(
            STORE,
            "every command that is needed works; the version is not reported",
        );
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(..OLDEST_MAJOR) => Finding::failed(STORE, format!("version {version} is too old"))
            .fix(format!("use a Redis of version {OLDEST_MAJOR} or newer, or Valkey")),
        Some(OLDEST_MAJOR..) | None => {
            Finding::ok(STORE, format!("every command that is needed works; version {version}"))
        }
    }
}

/// Fetches the keys of issuers that have a URL, as the service does. Key files were read with the configuration, whose problems they
/// are.
pub(super) async fn check_issuers(
    issuers: &[Issuer],
    egress: &Egress,
    report: &mut impl FnMut(Finding),
) {
    for issuer in issuers {
        let finding = match issuer.fetched_keys(egress).await {
            Ok(None) => Finding::ok(ISSUER, "its keys were read"),
            Ok(Some(keys)) => {
                for faulty in keys.faulty() {
                    report(Finding::warning(ISSUER, faulty.to_string())
                        .fix("inform the issuer's operator; tokens signed with this key are refused")
                        .of(issuer.name.as_str()));
                }
                Finding::ok(ISSUER, format!("{} keys were fetched", keys.len()))
            }
            Err(problem) => Finding::failed(ISSUER, with_causes(&problem)).fix(match &problem {
                FetchProblem::Proxy(error) => error.fix(),
                FetchProblem::Handshake(_) => "if the issuer's certificate is of a private authority, name that in `egress.ca_file`; otherwise find out what on the way terminates TLS",
                _ => "check `issuer`, `jwks_url` and `discovery`, and whether this machine can reach the issuer",
            }),
        };
        report(finding.of(issuer.name.as_str()));
    }
}

/// Whether the audit's file can be written by this user on this machine.
pub(super) fn audit_finding(settings: &Settings) -> Option<Finding> {
    Some(match settings.audit_file()? {
        Ok(path) => Finding::ok(AUDIT, format!("`{}` can be written", path.display())),
        Err(problem) => Finding::failed(AUDIT, problem)
            .fix("run doctor where the service runs and as its user, or correct `audit.file`"),
    })
}

/// Whether the decision hook's server answers, without a decision.
pub(super) async fn hook_finding(
    settings: &Settings,
    egress: &Egress,
    deadline: Instant,
) -> Option<Finding> {
    let hook = &settings.decision.as_ref()?.settings;
    let finding = match timeout_at(deadline, hook.probe(egress)).await {
        Ok(Ok(status)) => Finding::ok(
            HOOK,
            format!("its server answers (with {status}, to `OPTIONS`); whether the secret is right is not tested"),
        ),
        Ok(Err(problem)) => Finding::failed(HOOK, with_causes(&problem)).fix(
            "check `decision.url`, and whether this machine reaches it within `decision.timeout_ms`; until then \
             `decision.on_error` decides about each request",
        ),
        Err(_) => Finding::out_of_time(HOOK),
    };
    Some(finding.of(hook.origin()))
}

/// Whether the file of revocations can be read, and what of it refuses nobody.
pub(super) fn revoked_findings(settings: &Settings, now: DateTime<Utc>) -> Vec<Finding> {
    let Some(file) = &settings.revoked else { return Vec::new() };
    let (read, warnings) = match settings.read_revoked(now) {
        Ok(revocations) => {
            let rows = revocations.list.iter().count();
            let read = Finding::ok(REVOKED, format!("{rows} rows were read"));
            (read, settings.revoked_warnings(&revocations, now))
        }
        Err(problems) => {
            let failed = Finding::failed(REVOKED, problems.to_string());
            (failed.fix("correct the file: a server does not start with it"), Vec::new())
        }
    };
    let mut found = vec![read.of(file.path().display().to_string())];
    found.extend(warning_findings(warnings.iter()));
    found
}

/// The warnings that `appserver check` prints for the same configuration.
pub(super) fn warning_findings<'a>(warnings: impl Iterator<Item = &'a Problem>) -> Vec<Finding> {
    let finding = |Problem { path, message }: &Problem| {
        Finding::warning("configuration", message.as_str()).of(path.as_str())
    };
    warnings.map(finding).collect()
}
