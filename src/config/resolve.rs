//! Raw mirror → [`Settings`], or every problem at once.

use std::net::SocketAddr;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::field::Field;
use super::layers::Merged;
use super::problems::Problems;
use super::raw::RawSettings;
use super::readings::Readings;
use super::restart::Fixed;
use super::server::ListenAddress;
use super::settings::RuleSettings;
use super::shared_subjects::Looked;
use super::{
    AccessKeySource, Files, Mode, SecretsToo, Settings, Source, TracingSource, advice, audit,
    clients, grants, issuers, limits, reload, server, shared_subjects, store, sts, tickets, tls,
    tracing, unusable, vend,
};
use crate::telemetry;
use appserver_domain::ClientId;

pub(super) fn resolve(
    merged: Merged,
    mode: Mode,
    source: Source,
    files: Files,
    secrets: SecretsToo,
) -> Result<Settings, Problems> {
    let Merged { tree, json, environment, named: _, mut problems, gaps } = merged;
    // Starts with the tree; the policies' texts are added as they are read. It holds no secret in a form that
    // could be found again: clients' secrets are hashes of 256 random bits, and the AccessKey is not in the tree.
    let mut hash = Sha256::new_with_prefix(json.to_string());
    let mut unknown = Vec::new();
    let mut raw: RawSettings =
        serde_ignored::deserialize(tree, |path| unknown.push(path.to_string()))
            .map_err(|error| Problems::one("(file)", error))?;
    for path in unknown {
        // So serde_ignored writes tables that may be left out.
        let path = path.replace(".?", "");
        problems.add(path, "there is no such key; config/default.toml lists them all");
    }

    let public_url = std::mem::take(&mut raw.server.public_url);
    let mut readings = Readings::default();
    let listen = problems.require("server.listen", std::mem::take(&mut raw.server.listen));
    let listen = listen.map(|ListenAddress(address)| address);
    let tls = tls::resolve(std::mem::take(&mut raw.server.tls), &mut problems, &mut readings);
    let server = server::resolve(raw.server, listen, tls.as_ref(), &mut problems);
    let knows_addresses = server.as_ref().is_none_or(|server| server.knows_addresses);
    let failures = limits::of_failures(raw.auth_failure_limit, knows_addresses, &mut problems);
    let admin_listen =
        problems.require("admin.listen", raw.admin.listen).map(|ListenAddress(address)| address);
    let watch_interval = reload::resolve(raw.reload, &mut problems);
    let tracing = tracing::resolve(raw.tracing, &mut problems, &mut readings);
    let log_format = problems.require("log.format", raw.log.format);
    let log_filter = problems.require("log.filter", raw.log.filter);
    if let Some(Err(error)) = log_filter.as_deref().map(telemetry::check_filter) {
        problems.add_error("log.filter", &error);
    }
    if let (Some(listen), Some(admin)) = (listen, admin_listen)
        && listen == admin
        && admin.port() != 0
    {
        problems.add("admin.listen", "it must be another address than `server.listen`");
    }
    let audit = audit::resolve(raw.audit, &mut problems);
    let access_key = raw.sts.access_key.clone();
    let access_key =
        AccessKeySource::resolve(access_key, &environment, mode, &mut problems, &mut readings);
    let sts = sts::resolve(raw.sts, &mut problems);
    let max_attempts = sts.as_ref().map(|sts| sts.max_attempts);
    let vend = vend::resolve(raw.vend, max_attempts, &mut problems);
    let store = store::resolve(raw.store, mode, &mut problems, &mut readings);
    let tickets = tickets::resolve(raw.tickets, public_url, mode, &mut problems, &mut readings);
    let named_roles = raw.roles.keys().cloned().collect();
    let roles = grants::roles(raw.roles, &mut problems);
    let accounts =
        roles.values().filter(|role| !role.cross_account).map(|role| role.arn.account().clone());
    let accounts = accounts.collect();
    let mut entitlements =
        grants::entitlements(raw.grants, (&roles, &named_roles), &json, &mut hash, &mut problems);
    let of_policies = std::mem::take(&mut entitlements.advice);
    let shared = std::mem::take(&mut entitlements.shared);
    // Also those that have a problem of their own: it is reported once.
    let registered: Vec<ClientId> = raw.clients.keys().filter_map(|id| id.parse().ok()).collect();
    let (clients, holders) =
        clients::resolve(raw.clients, &entitlements.named, mode, &mut problems);
    let registered: Vec<_> = registered.iter().collect();
    let (issuers, serving) = issuers::resolve(raw.issuers, &registered, &json, mode, &mut problems);
    let sound = entitlements.sound.iter().map(|(name, sound)| (name, &sound.template));
    let texts = entitlements.sound_texts.iter().map(|(name, template)| (name, template));
    let looked: Vec<_> = sound.chain(texts).collect();
    let looked = Looked { grants: &looked, holders: &holders, issuers: &serving };
    let of_issuers = shared_subjects::check(&looked, &shared, &mut problems);
    // Without it nothing is resolved, whatever stands here.
    let request_timeout = server.as_ref().map(|server| server.request_timeout).unwrap_or_default();
    let grants = grants::grants(entitlements, holders, request_timeout);

    if secrets == SecretsToo::Yes && !problems.is_empty() {
        readings.run(&mut problems);
        let unwritable = audit.as_ref().and_then(|audit| audit::unwritable(audit.as_ref()?));
        if let Some(problem) = unwritable {
            problems.add("audit.file", problem);
        }
    }

    let resolved = (|| {
        let (vend, store, tracing, tls) = (vend?, store?, tracing?, tls?);
        let mut advice = advice::short_lived(&grants, &vend.freshness);
        advice.extend(store.advice());
        advice.extend(tracing.as_ref().and_then(TracingSource::advice));
        advice.extend(of_policies);
        advice.extend(of_issuers);
        let server = server?;
        advice.extend(server.advice);
        advice.extend(clients::unasked(&clients, tls.as_ref()));
        advice.extend(unusable::warnings(&clients, &grants, &issuers));
        Some(Settings {
            listen: listen?,
            admin_listen: admin_listen?,
            log_format: log_format?,
            log_filter: log_filter?,
            audit: audit?,
            server: server.settings,
            listen_backlog: server.listen_backlog,
            lame_duck: server.lame_duck,
            tls,
            sts: sts?,
            vend,
            store,
            tickets: tickets?,
            tracing,
            advice,
            access_key: access_key?,
            rules: RuleSettings {
                grants,
                limits: clients.iter().map(|c| (c.id.clone(), c.limits)).collect(),
                failures: failures?,
                clients: clients.into_iter().map(|c| (c.id, c.client)).collect(),
                issuers,
                proxies: server.proxies,
                cors: server.cors,
                request_timeout,
            },
            accounts,
            watch_interval: watch_interval?,
            hash: hex::encode(hash.finalize()),
            source,
            files,
            fixed: Fixed::of(&json),
        })
    })();
    problems.drop_consequences(&gaps);
    problems.into_result(resolved)
}

pub(super) fn admin_listen(merged: Merged) -> Result<SocketAddr, Problems> {
    // What cannot be read may say another address; what is wrong elsewhere does not.
    if merged.gaps.of_files || merged.gaps.tables.iter().any(|table| table == "admin") {
        return merged.problems.into_result(None);
    }
    let mut problems = Problems::default();
    let raw =
        RawSettings::deserialize(merged.tree).map_err(|error| Problems::one("(file)", error))?;
    let listen =
        problems.require("admin.listen", raw.admin.listen).map(|ListenAddress(address)| address);
    problems.into_result(listen)
}

/// A number between its bounds; one that is not is noted with its unit.
pub(super) fn number<N: Copy + PartialOrd + std::fmt::Display>(
    problems: &mut Problems,
    path: &str,
    field: Field<N>,
    least: N,
    most: N,
    unit: &str,
) -> Option<N> {
    let number = problems.require(path, field)?;
    if (least..=most).contains(&number) {
        return Some(number);
    }
    problems.add(path, format!("{number} is not between {least} and {most} {unit}"));
    None
}
