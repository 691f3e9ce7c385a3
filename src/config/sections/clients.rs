//! `[clients]`, resolved.

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

/// A registered app.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RawClient {
    /// Keys of `grants`.
    pub(crate) grants: Field<List<GrantName>>,
    /// SHA-256 of the client's secret: none, one, or two while it is rotated.
    pub(crate) secret_sha256: Field<List<SecretHash>>,
    /// Names in the client's certificates, default none. No two clients may have one in common.
    pub(crate) certificates: Field<List<CertificateName>>,
    /// Default true. A disabled client is answered 403.
    pub(crate) enabled: Field<bool>,
    /// Default none.
    pub(crate) limit: Option<RawLimit>,
    /// Default none. For each user that a token proves.
    pub(crate) subject_limit: Option<RawSubjectLimit>,
}

/// The clients of `config/dev.toml`, whose secrets are public.
const DEMO_CLIENTS: [&str; 5] =
    ["client-001", "client-002", "client-003", "client-004", "photo-app"];

/// A client, and what the parts need to know of it.
pub(crate) struct ResolvedClient {
    pub(crate) id: ClientId,
    pub(crate) client: Client,
    pub(crate) limits: ClientLimits,
}

/// The registered clients; and all whose ids can be read, with the grants that they name.
pub(crate) fn resolve(
    raw: BTreeMap<String, RawClient>,
    named_grants: &BTreeSet<String>,
    mode: Mode,
    problems: &mut Problems,
) -> (Vec<ResolvedClient>, Vec<(ClientId, Vec<GrantName>)>) {
    let (mut holders, mut shown) = (Vec::new(), Vec::new());
    if raw.is_empty() {
        problems.add_absence(
            "clients",
            "nobody is registered, so nobody could be served; is a `--config FILE` missing?",
        );
    }
    let mut resolve = |(id, raw): (String, RawClient)| {
        let path = format!("clients.{id}");
        let grants =
            problems.require(&format!("{path}.grants"), raw.grants).map(|List(grants)| grants);
        let unknown = |grant: &&GrantName| !named_grants.contains(grant.as_str());
        for grant in grants.iter().flatten().filter(unknown) {
            problems.add_absence(
                format!("{path}.grants"),
                format!("there is no grant `{grant}`; add `[grants.{grant}]` or take the name out"),
            );
        }
        let hashes = problems.take(&format!("{path}.secret_sha256"), raw.secret_sha256);
        let hashes = hashes.map_or_else(Vec::new, |List(hashes)| hashes);
        let certificates = problems.take(&format!("{path}.certificates"), raw.certificates);
        let certificates = certificates.map_or_else(Vec::new, |List(names)| names);
        let enabled = problems.or(&format!("{path}.enabled"), raw.enabled, true);
        // Also under another name, as when the demo's file was copied and its clients renamed.
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
        let limit = |raw| limits::of_client(&format!("{path}.limit"), raw, problems);
        let whole = raw.limit.and_then(limit);
        let limit = |raw| limits::of_subjects(&format!("{path}.subject_limit"), raw, problems);
        let limits = ClientLimits { whole, subject: raw.subject_limit.and_then(limit) };
        let id: Option<ClientId> = id.parse().map_err(|invalid| problems.add(&path, invalid)).ok();
        if let Some(id) = &id {
            shown.push((id.clone(), certificates.clone()));
            holders.push((id.clone(), grants.clone().unwrap_or_default()));
        }
        let client = Client { secrets: secrets?, certificates, enabled: enabled? };
        grants?;
        Some(ResolvedClient { id: id?, client, limits })
    };
    let resolved: Vec<_> = raw.into_iter().filter_map(&mut resolve).collect();
    unshared(&shown, problems);
    (resolved, holders)
}

/// A certificate that named two clients would prove neither.
fn unshared(shown: &[(ClientId, Vec<CertificateName>)], problems: &mut Problems) {
    let mut owners = HashMap::new();
    for (id, certificates) in shown {
        for name in certificates {
            if let Some(other) = owners.insert(name, id).filter(|other| *other != id) {
                let path = format!("clients.{id}.certificates");
                problems.add(path, format!("`{name}` is a name of the client `{other}` already"));
            }
        }
    }
}

/// Certificates that nobody can show.
pub(crate) fn unused_certificates(
    clients: &[ResolvedClient],
    tls: Option<&TlsSource>,
) -> Vec<Problem> {
    if tls.is_some_and(TlsSource::asks_for_certificates) {
        return Vec::new();
    }
    let named = clients.iter().filter(|client| !client.client.certificates.is_empty());
    let problem = |client: &ResolvedClient| Problem {
        path: format!("clients.{}.certificates", client.id),
        message: "nobody is asked for a certificate: set `server.tls.client_certificates`"
            .to_owned(),
    };
    named.map(problem).collect()
}
