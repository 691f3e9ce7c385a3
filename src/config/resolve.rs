//! Raw sections → [`Settings`], or every problem at once.

use std::net::SocketAddr;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::disjoint_callers;
use super::environment::Mode;
use super::files::Files;
use super::layers::{Merged, NamedFile};
use super::problems::Problems;
use super::restart::RestartOnly;
use super::secret_reads::{SecretReads, SecretsToo};
use super::sections::grant_callback::{self, CallbackSources};
use super::sections::identity::IdentitySource;
use super::sections::tracing::TracingSource;
use super::sections::upstreams::NamedUpstreams;
use super::sections::{
    RawSettings, admin, audit, clients, decision, egress, grants, issuers, limits, log, reload,
    revoked, roles, server, store, sts, tickets, tls, tracing, uploads, vend,
};
use super::settings::{RuleSettings, Settings};
use super::shared_subjects::{self, Users};
use super::source::ConfigSource;
use super::{unknown_keys, warnings};
use appserver_domain::{ClientId, UpstreamName};

pub(super) fn resolve(
    merged: Merged,
    mode: Mode,
    source: ConfigSource,
    files: Files,
    secrets: SecretsToo,
) -> Result<Settings, Problems> {
    let Merged { tree, json, environment, named, mut problems, gaps } = merged;
    // Of the tree, and of the policies' texts as they are read. No secret can be recovered from it: clients' secrets are
    // hashes of 256 random bits, and the AccessKey is not in the tree.
    let mut hash = Sha256::new_with_prefix(json.to_string());
    let unknown = tree.unknown();
    let mut raw = RawSettings::deserialize(tree).map_err(|error| Problems::one("(file)", error))?;
    for path in unknown.take() {
        let message = unknown_keys::message(&path);
        problems.add(path, message);
    }

    grant_callback::check_secret_files(&named, &mut problems);
    let public_url = std::mem::take(&mut raw.server.public_url);
    let mut secret_reads = SecretReads::default();
    let listen = problems.require(std::mem::take(&mut raw.server.listen));
    let listen = listen.map(SocketAddr::from);
    let tls = tls::resolve(std::mem::take(&mut raw.server.tls), &mut problems, &mut secret_reads);
    let server = server::resolve(raw.server, listen, tls.as_ref(), &mut problems);
    let knows_addresses = server.as_ref().is_none_or(|server| server.knows_addresses);
    let failures = limits::of_failures(raw.auth_failure_limit, knows_addresses, &mut problems);
    let admin_listen = admin::resolve(raw.admin, listen, &mut problems);
    let watch_interval = reload::resolve(raw.reload, &mut problems);
    let revoked = revoked::resolve(raw.revoked, &mut problems);
    let egress = egress::resolve(raw.egress, &mut problems, &mut secret_reads);
    let tracing = tracing::resolve(raw.tracing, &mut problems, &mut secret_reads);
    let log = log::resolve(raw.log, &mut problems);
    let (audit, audit_names) = audit::resolve(raw.audit, &mut problems, &mut secret_reads);
    if let Some(Some(audit)) = &audit {
        let config_files = source.files().iter().map(|path| NamedFile {
            key: "--config".to_owned(),
            path: path.clone(),
            is_secret: false,
        });
        let revoked = revoked.iter().flatten().map(|file| NamedFile {
            key: "revoked.file".to_owned(),
            path: file.path().to_owned(),
            is_secret: false,
        });
        let named: Vec<_> = named.iter().cloned().chain(config_files).chain(revoked).collect();
        if let Some(problem) = audit::collision(audit, &named) {
            problems.add("audit.file", problem);
        }
    }
    let identity = raw.sts.identity.clone();
    let identity =
        IdentitySource::resolve(identity, &environment, mode, &mut problems, &mut secret_reads);
    let upstreams = NamedUpstreams::resolve(
        &mut raw.sts,
        &raw.vend,
        &environment,
        mode,
        &mut problems,
        &mut secret_reads,
    );
    let sts = sts::resolve(raw.sts, &mut problems);
    let max_attempts = sts.as_ref().map(|sts| sts.max_attempts);
    let vend = vend::resolve(raw.vend, max_attempts, &mut problems);
    let store = store::resolve(raw.store, mode, &mut problems, &mut secret_reads);
    let of_callbacks = public_url.clone();
    let tickets = tickets::resolve(raw.tickets, public_url, mode, &mut problems, &mut secret_reads);
    let role_names = raw.roles.keys().cloned().collect();
    let roles = roles::resolve(raw.roles, &mut problems);
    upstreams.check_roles(&roles, &mut problems);
    let accounts = roles::accounts_of(&UpstreamName::default(), &roles);
    let mut callbacks = CallbackSources::none(mode, &mut secret_reads);
    let mut entitlements = grants::entitlements(
        raw.grants,
        (&roles, &role_names),
        &json,
        &mut hash,
        &mut callbacks,
        &mut problems,
    );
    let uploads = uploads::resolve(raw.uploads, &of_callbacks, callbacks, &mut problems);
    let decision = decision::resolve(
        raw.decision,
        &entitlements.names,
        mode,
        &mut problems,
        &mut secret_reads,
    );
    let of_policies = std::mem::take(&mut entitlements.warnings);
    let shared = std::mem::take(&mut entitlements.shared);
    let shared_resources = std::mem::take(&mut entitlements.shared_resources);
    // Invalid clients included: each of their problems is reported once.
    let registered: Vec<ClientId> = raw.clients.keys().filter_map(|id| id.parse().ok()).collect();
    let (clients, holders) =
        clients::resolve(raw.clients, &entitlements.names, mode, &mut problems);
    let registered: Vec<_> = registered.iter().collect();
    let (issuers, serving) = issuers::resolve(raw.issuers, &registered, &json, mode, &mut problems);
    let valid = entitlements.valid.iter().map(|(name, grant)| (name, &grant.template));
    let others = entitlements.other_templates.iter().map(|(name, template)| (name, template));
    let grants: Vec<_> = valid.chain(others).collect();
    let users = Users { grants: &grants, holders: &holders, issuers: &serving };
    let mut of_callers = shared_subjects::check(&users, &shared, &mut problems);
    of_callers.extend(disjoint_callers::check(&users, &shared_resources, &mut problems));
    // Without a server nothing is resolved, whatever the value is.
    let request_timeout = server.as_ref().map(|server| server.request_timeout).unwrap_or_default();
    let repeated_grants = warnings::repeated_grants(&holders);
    let defaults =
        clients.iter().filter_map(|one| Some((one.id.clone(), one.default_grant.clone()?)));
    let grants = grants::grants(entitlements, holders, defaults.collect(), request_timeout);

    if secrets == SecretsToo::Yes && !problems.is_empty() {
        secret_reads.run(&mut problems);
    }

    let resolved = (|| {
        let (vend, store, egress, tracing, tls) = (vend?, store?, egress?, tracing?, tls?);
        let mut warnings = warnings::across_sections(&clients, &grants, &issuers, &vend.freshness);
        warnings.extend(store.warning());
        warnings.extend(egress.warnings());
        warnings.extend(uploads.iter().flat_map(|uploads| uploads.warnings(mode, request_timeout)));
        warnings.extend(warnings::unread_proxies(&environment));
        warnings.extend(tracing.as_ref().and_then(TracingSource::warning));
        warnings.extend(of_policies);
        warnings.extend(of_callers);
        warnings.extend(repeated_grants);
        warnings.extend(warnings::unused_roles(&json));
        warnings.extend(warnings::without_effect(&json));
        warnings.extend(warnings::repeated_keys(&json));
        warnings.extend(audit.iter().flatten().filter_map(audit::warning));
        let hook = decision.iter().flatten();
        warnings.extend(hook.filter_map(|hook| hook.warning(request_timeout)));
        warnings.extend(upstreams.unused(&roles));
        warnings.extend(warnings::unread_variables(&environment));
        warnings.extend(warnings::unknown_regions(&json));
        let (server, log, sts) = (server?, log?, sts?);
        let named_upstreams = upstreams.settings(&vend, &roles);
        let calls_the_real_sts = sts.endpoints.any_remote()
            || named_upstreams.values().any(|upstream| upstream.sts.endpoints.any_remote());
        let mut placeholders = warnings::placeholders(&json, calls_the_real_sts);
        let entitlements = grants.entitlements.values();
        placeholders.extend(warnings::example_buckets(entitlements, calls_the_real_sts));
        warnings.extend(server.warning);
        warnings.extend(clients::unused_certificates(&clients, tls.as_ref()));
        Some(Settings {
            listen: listen?,
            admin_listen: admin_listen?,
            log_format: log.format,
            log_filter: log.filter,
            audit: audit?,
            audit_names: audit_names?,
            server: server.settings,
            listen_backlog: server.listen_backlog,
            lame_duck: server.lame_duck,
            tls,
            sts,
            vend,
            store,
            revoked: revoked?,
            tickets: tickets?,
            uploads: uploads?,
            decision: decision?,
            tracing,
            warnings,
            placeholders,
            secret_files: named.into_iter().filter(|file| file.is_secret).collect(),
            identity: identity?,
            egress,
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
            upstreams: named_upstreams,
            watch_interval: watch_interval?,
            hash: hex::encode(hash.finalize()),
            source,
            files,
            restart_only: RestartOnly::of(&json),
        })
    })();
    // Upstreams inherit values of other tables, and their problems.
    problems.drop_repeated();
    problems.drop_consequences(&gaps);
    problems.into_result(resolved)
}

pub(super) fn admin_listen(merged: Merged) -> Result<SocketAddr, Problems> {
    // A layer that could not be read may set another address; problems elsewhere do not matter.
    if merged.gaps.of_files || merged.gaps.tables.iter().any(|table| table == "admin") {
        return merged.problems.into_result(None);
    }
    let mut problems = Problems::default();
    let raw =
        RawSettings::deserialize(merged.tree).map_err(|error| Problems::one("(file)", error))?;
    let listen = problems.require(raw.admin.listen).map(SocketAddr::from);
    problems.into_result(listen)
}
