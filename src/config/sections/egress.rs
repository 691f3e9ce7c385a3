//! `[egress]`: the proxy of outgoing connections, and private certificate authorities. Each target's table overrides single keys.

use std::path::{Path, PathBuf};

use reqwest::Certificate;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use crate::config::field::{Clearable, Field, List};
use crate::config::file_reads::read_text;
use crate::config::problems::{Problem, Problems};
use crate::config::secret_file::read_secret;
use crate::config::secret_reads::SecretReads;
use crate::outbound::{
    Egress, EgressByTarget, NoProxyEntry, Proxy, ProxyAddress, authorization, certificates,
};
use crate::telemetry::with_causes;

/// How targets are reached.
#[derive(Debug, Deserialize)]
pub(crate) struct RawEgress {
    /// Default empty: directly. An HTTP proxy for HTTPS targets.
    proxy: Field<Clearable<ProxyAddress>>,
    /// For a proxy that asks for it: holds `user:password`.
    proxy_user_file: Field<Clearable<PathBuf>>,
    /// Default none. Hosts that are reached directly.
    no_proxy: Field<List<NoProxyEntry>>,
    /// Default none. Certificate authorities that are trusted beside the system's.
    ca_file: Field<Clearable<PathBuf>>,
    /// For STS.
    sts: RawTargetEgress,
    /// For the keys of issuers.
    issuers: RawTargetEgress,
    /// For the collector of traces.
    tracing: RawTargetEgress,
}

/// The same keys for one target. One that is absent has the value of `[egress]`.
#[derive(Debug, Deserialize)]
struct RawTargetEgress {
    proxy: Field<Clearable<ProxyAddress>>,
    proxy_user_file: Field<Clearable<PathBuf>>,
    no_proxy: Field<List<NoProxyEntry>>,
    ca_file: Field<Clearable<PathBuf>>,
}

/// The egress of each target, whose files are not read yet.
#[derive(Clone, Debug)]
pub(crate) struct EgressSource {
    sts: TargetSource,
    issuers: TargetSource,
    tracing: TargetSource,
}

/// One target's egress.
#[derive(Clone, Debug, Default)]
struct TargetSource {
    proxy: Option<ProxySource>,
    ca_file: Option<Keyed<PathBuf>>,
}

/// A proxy, whose user is not read yet.
#[derive(Clone, Debug)]
struct ProxySource {
    address: Keyed<ProxyAddress>,
    user_file: Option<Keyed<PathBuf>>,
    no_proxy: Vec<NoProxyEntry>,
}

/// A value, and the key that it was written at.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Keyed<T> {
    key: String,
    value: T,
}

/// One table's values: `None` where it does not have the key, and `Some(None)` where it clears it.
struct Table {
    path: String,
    proxy: Option<Option<ProxyAddress>>,
    user_file: Option<Option<PathBuf>>,
    no_proxy: Option<Vec<NoProxyEntry>>,
    ca_file: Option<Option<PathBuf>>,
    has_invalid: bool,
}

pub(crate) fn resolve(
    raw: RawEgress,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<EgressSource> {
    let RawEgress { proxy, proxy_user_file, no_proxy, ca_file, sts, issuers, tracing } = raw;
    let shared = RawTargetEgress { proxy, proxy_user_file, no_proxy, ca_file };
    let shared = Table::of("egress", shared, problems);
    let tables = [("sts", sts), ("issuers", issuers), ("tracing", tracing)]
        .map(|(target, raw)| Table::of(&format!("egress.{target}"), raw, problems));
    // The rule on keys together applies only if each of them is valid.
    if !shared.has_invalid && tables.iter().all(|table| !table.has_invalid) {
        let is_used = |table: &Table| match table.proxy {
            Some(Some(_)) => true,
            Some(None) => false,
            None => matches!(shared.proxy, Some(Some(_))),
        };
        let shared_is_used =
            tables.iter().any(|table| table.user_file.is_none() && table.proxy.is_none());
        let shared_is_used = is_used(&shared) && shared_is_used;
        let unused = tables.iter().filter(|table| !is_used(table));
        let unused = unused.chain((!shared_is_used).then_some(&shared));
        for table in unused.filter(|table| matches!(table.user_file, Some(Some(_)))) {
            problems.add_absence(
                format!("{}.proxy_user_file", table.path),
                "it goes with a `proxy` that needs it, and there is none: name the proxy, or set this to \"\" where an \
                 earlier layer names a file",
            );
        }
    }
    for table in [&shared].into_iter().chain(&tables) {
        if let Some(file) = table.keyed("proxy_user_file", table.user_file.as_ref()).flatten() {
            secret_reads.add(move || read_user(&file));
        }
        if let Some(file) = table.keyed("ca_file", table.ca_file.as_ref()).flatten() {
            secret_reads.add(move || read_authorities(&file));
        }
    }
    let has_invalid = shared.has_invalid || tables.iter().any(|table| table.has_invalid);
    let [sts, issuers, tracing] = tables.map(|table| TargetSource::of(&table, &shared));
    (!has_invalid).then_some(EgressSource { sts, issuers, tracing })
}

impl Table {
    fn of(path: &str, raw: RawTargetEgress, problems: &mut Problems) -> Self {
        let has_invalid = raw.proxy.is_invalid()
            || raw.proxy_user_file.is_invalid()
            || raw.no_proxy.is_invalid()
            || raw.ca_file.is_invalid();
        Self {
            path: path.to_owned(),
            proxy: problems.take(raw.proxy).map(|Clearable(proxy)| proxy),
            user_file: problems.take(raw.proxy_user_file).map(|Clearable(file)| file),
            no_proxy: problems.take(raw.no_proxy).map(|List(hosts)| hosts),
            ca_file: problems.take(raw.ca_file).map(|Clearable(file)| file),
            has_invalid,
        }
    }

    /// A value of this table with its key; `None` where the table does not have it.
    fn keyed<T: Clone>(&self, key: &str, value: Option<&Option<T>>) -> Option<Option<Keyed<T>>> {
        let keyed = |value| Keyed { key: format!("{}.{key}", self.path), value };
        value.map(|value| value.clone().map(keyed))
    }
}

impl TargetSource {
    /// The values of a target's table over those of `[egress]`. The user belongs to its proxy: a table with a proxy of its own
    /// does not send the user of another one there.
    fn of(own: &Table, shared: &Table) -> Self {
        let proxy = own.keyed("proxy", own.proxy.as_ref());
        let user = own.keyed("proxy_user_file", own.user_file.as_ref());
        let (proxy, user_file) = if let Some(proxy) = proxy {
            (proxy, user.flatten())
        } else {
            let of_shared = shared.keyed("proxy_user_file", shared.user_file.as_ref());
            let proxy = shared.keyed("proxy", shared.proxy.as_ref());
            (proxy.flatten(), user.or(of_shared).flatten())
        };
        let no_proxy = own.no_proxy.as_ref().or(shared.no_proxy.as_ref());
        let no_proxy = no_proxy.cloned().unwrap_or_default();
        let ca_file = own.keyed("ca_file", own.ca_file.as_ref());
        let ca_file =
            ca_file.or_else(|| shared.keyed("ca_file", shared.ca_file.as_ref())).flatten();
        let proxy = proxy.map(|address| ProxySource { address, user_file, no_proxy });
        Self { proxy, ca_file }
    }

    fn read(&self, problems: &mut Problems) -> Option<Egress> {
        let authorities = self.ca_file.as_ref().map(read_authorities).transpose();
        let authorities = problems.gather(authorities);
        let proxy = match &self.proxy {
            None => Some(None),
            Some(ProxySource { address, user_file, no_proxy }) => {
                let authorization = problems.gather(user_file.as_ref().map(read_user).transpose());
                authorization.map(|authorization| {
                    let (address, no_proxy) = (address.value.clone(), no_proxy.clone());
                    Some(Proxy { address, authorization, no_proxy })
                })
            }
        };
        Some(Egress { proxy: proxy?, authorities: authorities?.unwrap_or_default() })
    }
}

impl EgressSource {
    fn targets(&self) -> [&TargetSource; 3] {
        [&self.sts, &self.issuers, &self.tracing]
    }

    /// What is valid and exposes a password.
    pub(crate) fn warnings(&self) -> Vec<Problem> {
        let mut found: Vec<Problem> = Vec::new();
        let proxies = self.targets().into_iter().filter_map(|target| target.proxy.as_ref());
        for ProxySource { address, user_file, .. } in proxies {
            let is_exposed = user_file.is_some() && address.value.sends_plaintext_over_network();
            if is_exposed && found.iter().all(|problem| problem.path != address.key) {
                found.push(Problem {
                    path: address.key.clone(),
                    message: "the proxy's password crosses the network in the clear: use an `https://` proxy, or a network \
                              on which no one else listens"
                        .to_owned(),
                });
            }
        }
        found
    }

    /// Reads the files.
    pub(crate) fn read(&self) -> Result<EgressByTarget, Problems> {
        let mut problems = Problems::default();
        let read = self.targets().map(|target| target.read(&mut problems));
        let [sts, issuers, tracing] = read;
        let read = (|| Some(EgressByTarget { sts: sts?, issuers: issuers?, tracing: tracing? }))();
        // A file of several targets is one problem.
        problems.drop_repeated();
        problems.into_result(read)
    }
}

fn read_user(Keyed { key, value: path }: &Keyed<PathBuf>) -> Result<HeaderValue, Problems> {
    let user = read_secret(key, path)?;
    authorization(&user).ok_or_else(|| {
        // Without the text: it may contain the password.
        let message = "it is not `user:password` on one line, as Basic authentication takes it";
        Problems::one(key, format!("{}: {message}", path.display()))
    })
}

fn read_authorities(
    Keyed { key, value: path }: &Keyed<PathBuf>,
) -> Result<Vec<Certificate>, Problems> {
    let problem =
        |path: &Path, problem: String| Problems::one(key, format!("{}: {problem}", path.display()));
    let pem = read_text(path).map_err(|error| problem(path, error.to_string()))?;
    certificates(&pem).map_err(|error| problem(path, with_causes(&error)))
}
