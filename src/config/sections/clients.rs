//! `[clients]`: registered apps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;

use super::limits;
use super::limits::{RawLimit, RawSubjectLimit};
use super::tls::TlsSource;
use crate::auth::{CertificateName, Client, SecretHash};
use crate::config::environment::Mode;
use crate::config::field::{Field, List};
use crate::config::problems::{Problem, Problems};
use crate::limit::ClientLimits;
use appserver_domain::{ClientId, GrantName};

#[derive(Debug, Deserialize)]
pub(crate) struct RawClient {
    /// Keys of `grants`.
    grants: Field<List<GrantName>>,
    /// One of `grants`: that of requests that name none. Default: the only one, if there is only one.
    default_grant: Field<GrantName>,
    /// SHA-256 of the client's secret: none, one, or two while it is rotated.
    secret_sha256: Field<List<SecretHash>>,
    /// Names in the client's certificates, default none. No two clients may have one in common.
    certificates: Field<List<CertificateName>>,
    /// Default true. A disabled client is answered 403.
    enabled: Field<bool>,
    /// Default none.
    limit: Option<RawLimit>,
    /// Default none. For each user that a token proves.
    subject_limit: Option<RawSubjectLimit>,
}

/// The clients of `config/dev.toml`, whose secrets are public.
const DEMO_CLIENTS: [&str; 5] =
    ["client-001", "client-002", "client-003", "client-004", "photo-app"];

/// A client with its limits.
pub(crate) struct ResolvedClient {
    pub(crate) id: ClientId,
    pub(crate) client: Client,
    pub(crate) limits: ClientLimits,
    /// The grant of requests that name none.
    pub(crate) default_grant: Option<GrantName>,
}

/// The registered clients; and every client with a valid id, with the grants it lists.
pub(crate) fn resolve(
    raw: BTreeMap<String, RawClient>,
    named_grants: &BTreeSet<String>,
    mode: Mode,
    problems: &mut Problems,
) -> (Vec<ResolvedClient>, Vec<(ClientId, Vec<GrantName>)>) {
    let (mut holders, mut named) = (Vec::new(), Vec::new());
    if raw.is_empty() {
        problems.add_absence(
            "clients",
            "no client is registered, so no request could be served; is a `--config FILE` missing?",
        );
    }
    let mut resolve = |(id, raw): (String, RawClient)| {
        let path = format!("clients.{id}");
        let grants = problems.require(raw.grants).map(|List(grants)| grants);
        let unknown = |grant: &&GrantName| !named_grants.contains(grant.as_str());
        for grant in grants.iter().flatten().filter(unknown) {
            problems.add_absence(
                format!("{path}.grants"),
                format!("there is no grant `{grant}`; add `[grants.{grant}]` or remove the name"),
            );
        }
        let default_grant = problems.take(raw.default_grant);
        if let (Some(grants), Some(default)) = (&grants, &default_grant)
            && !grants.contains(default)
        {
            problems.add_absence(
                format!("{path}.default_grant"),
                format!("`{default}` is none of the client's `grants`: list it there, or name one of them"),
            );
        }
        let hashes = problems.items(raw.secret_sha256);
        let certificates = problems.items(raw.certificates);
        let enabled = problems.or(raw.enabled, true);
        // Under any name: the demo's file may have been copied and its clients renamed.
        let demo = DEMO_CLIENTS.iter().chain([&id.as_str()]).any(|demo| {
            let published = SecretHash::of(&format!("{demo}-demo-secret").into());
            hashes.iter().any(|hash| hash.is_same(&published))
        });
        if mode == Mode::Production && demo {
            problems.add(
                format!("{path}.secret_sha256"),
                "the demo secret is public and works in `appserver dev` only; make one with \
                 `appserver client new`",
            );
        }
        let secrets = match <[SecretHash; 2]>::try_from(hashes) {
            Ok(two) => Some(Some(two)),
            Err(fewer) => match <[SecretHash; 1]>::try_from(fewer) {
                Ok([one]) => Some(Some([one.clone(), one])),
                Err(none) if none.is_empty() => Some(None),
                Err(_) => {
                    problems
                        .add(format!("{path}.secret_sha256"), "a client has at most two secrets");
                    None
                }
            },
        };
        let whole = raw.limit.and_then(|raw| limits::of_client(raw, problems));
        let subject = raw.subject_limit.and_then(|raw| limits::of_subjects(raw, problems));
        let limits = ClientLimits { whole, subject };
        let id: Option<ClientId> = problems.name(&path, &id);
        if let Some(id) = &id {
            named.push((id.clone(), certificates.clone()));
            holders.push((id.clone(), grants.clone().unwrap_or_default()));
        }
        let client = Client { secrets: secrets?, certificates, enabled: enabled? };
        grants?;
        Some(ResolvedClient { id: id?, client, limits, default_grant })
    };
    let resolved: Vec<_> = raw.into_iter().filter_map(&mut resolve).collect();
    check_unique(&named, problems);
    (resolved, holders)
}

/// No certificate name may belong to two clients: it would prove neither.
fn check_unique(named: &[(ClientId, Vec<CertificateName>)], problems: &mut Problems) {
    let mut owners = HashMap::new();
    for (id, certificates) in named {
        for name in certificates {
            if let Some(other) = owners.insert(name, id).filter(|other| *other != id) {
                let path = format!("clients.{id}.certificates");
                problems.add(path, format!("`{name}` already is a name of the client `{other}`"));
            }
        }
    }
}

/// Warns of certificate names that no client can use, because no certificate is requested.
pub(crate) fn unused_certificates(
    clients: &[ResolvedClient],
    tls: Option<&TlsSource>,
) -> Vec<Problem> {
    if tls.is_some_and(TlsSource::requests_certificates) {
        return Vec::new();
    }
    let named = clients.iter().filter(|client| !client.client.certificates.is_empty());
    let problem = |client: &ResolvedClient| Problem {
        path: format!("clients.{}.certificates", client.id),
        message: "clients are not asked for a certificate: set `server.tls.client_certificates`"
            .to_owned(),
    };
    named.map(problem).collect()
}
