//! A resolved configuration: every value in it is valid.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::files::Files;
use super::layers::NamedFile;
use super::problems::{Problem, Problems};
use super::restart::RestartOnly;
use super::secret_reads::SecretsToo;
use super::sections::audit;
use super::sections::decision::DecisionSource;
use super::sections::egress::EgressSource;
use super::sections::identity::IdentitySource;
use super::sections::log::LogFormat;
use super::sections::revoked::RevokedFile;
use super::sections::store::StoreSource;
use super::sections::tickets::TicketSource;
use super::sections::tls::{TlsSource, certificate_problem};
use super::sections::tracing::TracingSource;
use super::sections::uploads::{UploadSecrets, UploadsSource};
use super::sections::upstreams::UpstreamSettings;
use super::source::ConfigSource;
use super::warnings;
use crate::audit::{AuditSettings, FileSettings, SinkSettings, UserNames};
use crate::auth::{Client, Issuer, TicketSeal};
use crate::grant::Grants;
use crate::http::Cors;
use crate::limit::{ClientLimits, FailureSettings};
use crate::outbound::EgressByTarget;
use crate::revocation::{FileRevocations, Revoked};
use crate::server::{ServerSettings, TlsIdentity, TrustedProxies};
use crate::store::StoreSettings;
use crate::sts::StsSettings;
#[cfg(feature = "emulator")]
use crate::telemetry::RecentLines;
use crate::telemetry::TraceSettings;
use crate::upstream::UpstreamIdentity;
use crate::vend::VendSettings;
use appserver_domain::{AccountId, ClientId, UpstreamName, Upstreams};

/// The most revocations of unknown names that are listed.
const LISTED_ROWS: usize = 20;

/// What [`crate::app`] builds the server from.
#[derive(Debug)]
pub struct Settings {
    /// The public listener's address.
    pub listen: SocketAddr,
    /// The admin listener's address.
    pub admin_listen: SocketAddr,
    /// How the log is written.
    pub log_format: LogFormat,
    /// Which of its lines are written.
    pub log_filter: String,
    /// What is valid and will not do what its author expects.
    pub warnings: Vec<Problem>,
    /// Values of the example that are left.
    pub(crate) placeholders: Vec<Problem>,
    /// Files that only the service should read.
    pub(crate) secret_files: Vec<NamedFile>,
    /// `None` where it is off.
    pub(crate) audit: Option<AuditSettings>,
    /// How the audit names users.
    pub(crate) audit_names: audit::UserNamesSource,
    pub(crate) server: ServerSettings,
    /// Connections that may wait to be accepted.
    pub(crate) listen_backlog: u32,
    pub(crate) lame_duck: Duration,
    pub(crate) tls: Option<TlsSource>,
    pub(crate) sts: StsSettings,
    pub(crate) vend: VendSettings,
    pub(crate) store: StoreSource,
    /// The file of revocations, if there is one.
    pub(crate) revoked: Option<RevokedFile>,
    pub(crate) tickets: TicketSource,
    /// The callbacks of OSS.
    pub(crate) uploads: UploadsSource,
    /// The hook that decides about requests, if there is one.
    pub(crate) decision: Option<DecisionSource>,
    /// Where traces are exported, if they are.
    pub(crate) tracing: Option<TracingSource>,
    pub(crate) identity: IdentitySource,
    /// Outgoing connections, by target.
    pub(crate) egress: EgressSource,
    pub(crate) rules: RuleSettings,
    /// The accounts of the roles without `cross_account`, which must be the AccessKey's own.
    pub(crate) accounts: Vec<AccountId>,
    /// Those of `[sts.upstreams]`, each with its part of the above.
    pub(crate) upstreams: BTreeMap<UpstreamName, UpstreamSettings>,
    /// How often the files are compared, if they are.
    pub(crate) watch_interval: Option<Duration>,
    /// SHA-256 of the merged configuration, policies included.
    pub(crate) hash: String,
    /// Where the configuration can be read again.
    pub(crate) source: ConfigSource,
    /// The files that it was read from.
    pub(crate) files: Files,
    pub(crate) restart_only: RestartOnly,
}

/// Why no upstream was selected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamNotChosen {
    #[error(
        "the configuration has several upstreams, each with an identity of its own: name one with --upstream: {0}"
    )]
    Several(String),
    #[error("there is no upstream `{0}`; --upstream is one of {1}")]
    Unknown(UpstreamName, String),
}

/// The rules that decide requests. A reload replaces them as a whole.
#[derive(Debug)]
pub(crate) struct RuleSettings {
    pub(crate) grants: Grants,
    pub(crate) clients: Vec<(ClientId, Client)>,
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) limits: HashMap<ClientId, ClientLimits>,
    pub(crate) failures: FailureSettings,
    /// The proxies that may name a caller's address.
    pub(crate) proxies: TrustedProxies,
    /// The web pages that may read answers.
    pub(crate) cors: Cors,
    pub(crate) request_timeout: Duration,
}

/// The contents of the files that the configuration names.
#[derive(Debug)]
pub(crate) struct Secrets {
    pub(crate) identities: Upstreams<UpstreamIdentity>,
    pub(crate) egress: EgressByTarget,
    pub(crate) store: StoreSettings,
    /// `None` where there are no tickets.
    pub(crate) tickets: Option<TicketSeal>,
    /// `None` where no grant has a callback.
    pub(crate) uploads: Option<UploadSecrets>,
    /// `None` where no hook decides.
    pub(crate) decision: Option<SecretString>,
    /// `None` where the listener speaks plain HTTP.
    pub(crate) tls: Option<TlsIdentity>,
    /// `None` where nothing is traced.
    pub(crate) tracing: Option<TraceSettings>,
    pub(crate) audit_names: UserNames,
}

impl Secrets {
    /// Whether the certificate needs attention.
    pub(crate) fn warning(&self, now: DateTime<Utc>) -> Option<Problem> {
        self.tls.as_ref()?.expiry_warning(now).map(certificate_problem)
    }
}

impl Settings {
    /// The settings of one upstream alone: its STS and identity, and the grants whose roles it assumes.
    pub(crate) fn of_upstream(
        mut self,
        name: Option<&UpstreamName>,
    ) -> Result<Self, UpstreamNotChosen> {
        let known = || {
            let named = self.upstreams.keys().map(|name| format!("`{name}`"));
            named.fold(format!("`{}`", UpstreamName::default()), |names, name| {
                format!("{names}, {name}")
            })
        };
        let name = match name {
            Some(name) => name.clone(),
            None if self.upstreams.is_empty() => UpstreamName::default(),
            None => return Err(UpstreamNotChosen::Several(known())),
        };
        if !name.is_default() && !self.upstreams.contains_key(&name) {
            return Err(UpstreamNotChosen::Unknown(name, known()));
        }
        if let Some(UpstreamSettings { sts, identity, vend, accounts }) =
            self.upstreams.remove(&name)
        {
            (self.sts, self.identity, self.vend, self.accounts) = (sts, identity, vend, accounts);
        }
        self.upstreams.clear();
        self.rules.grants.entitlements.retain(|_, grant| grant.upstream == name);
        Ok(self)
    }

    /// The accounts that the credentials of this upstream must belong to.
    pub(crate) fn accounts_of(&self, upstream: &UpstreamName) -> Vec<AccountId> {
        if upstream.is_default() {
            return self.accounts.clone();
        }
        self.upstreams.get(upstream).map(|own| own.accounts.clone()).unwrap_or_default()
    }

    /// Reads the secrets, or lists all problems.
    pub(crate) fn read_secrets(&self) -> Result<Secrets, Problems> {
        let mut problems = Problems::default();
        let identity = problems.gather(self.identity.read());
        let named: Vec<_> = self
            .upstreams
            .iter()
            .filter_map(|(name, UpstreamSettings { identity, .. })| {
                let read = identity.read().map_err(|found| found.of_upstream(name));
                Some((name.clone(), problems.gather(read)?))
            })
            .collect();
        let egress = problems.gather(self.egress.read());
        let store = problems.gather(self.store.read());
        let tickets = problems.gather(self.tickets.read());
        let uploads = problems.gather(self.uploads.read());
        let decision = self.decision.as_ref().map(DecisionSource::read);
        let decision = problems.gather(decision.transpose());
        let tls = problems.gather(self.tls.as_ref().map(TlsSource::read).transpose());
        let tracing = problems.gather(self.tracing.as_ref().map(TracingSource::read).transpose());
        let audit_names = problems.gather(self.audit_names.read());
        let secrets = (|| {
            let (identity, egress, store) = (identity?, egress?, store?);
            let (tickets, uploads, decision) = (tickets?, uploads?, decision?);
            let (tls, tracing, audit_names) = (tls?, tracing?, audit_names?);
            // One that is missing has a problem.
            let identities = Upstreams::new(identity, named);
            Some(Secrets {
                identities,
                egress,
                store,
                tickets,
                uploads,
                decision,
                tls,
                tracing,
                audit_names,
            })
        })();
        problems.into_result(secrets)
    }

    /// The audit's file, or why it cannot be written; `None` where the audit has none.
    pub(crate) fn audit_file(&self) -> Option<Result<&Path, String>> {
        let SinkSettings::File(FileSettings { path, .. }) = &self.audit.as_ref()?.sink else {
            return None;
        };
        Some(audit::unwritable(path).map_or(Ok(path), Err))
    }

    /// The files that the audit writes, for the page of `appserver dev`.
    #[cfg(feature = "emulator")]
    pub(crate) fn audit_files(&self) -> Vec<std::path::PathBuf> {
        match self.audit.as_ref().map(|audit| &audit.sink) {
            Some(SinkSettings::File(FileSettings { path, .. })) => {
                vec![path.clone(), crate::audit::refusals_file(path)]
            }
            _ => Vec::new(),
        }
    }

    /// Keeps the audit in memory where the configuration has none, for the page of `appserver dev`.
    #[cfg(feature = "emulator")]
    pub(crate) fn audit_in_memory(&mut self, lines: &RecentLines) {
        self.audit.get_or_insert_with(|| AuditSettings::recent(lines.clone()));
    }

    /// What a rollout should not begin with although it would start: values of the example. With `secrets`, files of secrets that
    /// other users can read, too.
    pub(crate) fn rollout_warnings(&self, secrets: SecretsToo) -> Vec<Problem> {
        let mut found = self.placeholders.clone();
        if secrets == SecretsToo::Yes {
            found.extend(warnings::exposed_files(&self.secret_files));
        }
        found
    }

    /// Reads the file of revocations, or lists all of its problems. Without a file the list is empty.
    pub(crate) fn read_revoked(&self, now: DateTime<Utc>) -> Result<FileRevocations, Problems> {
        let read = |file: &RevokedFile| file.parse(&file.read()?, now);
        self.revoked.as_ref().map(read).transpose().map(Option::unwrap_or_default)
    }

    /// What a file of revocations without problems has that refuses nobody: names that the configuration does not have, and
    /// rows that have ended.
    pub(crate) fn revoked_warnings(
        &self,
        read: &FileRevocations,
        now: DateTime<Utc>,
    ) -> Vec<Problem> {
        let FileRevocations { list, ended_lines } = read;
        let warning = |message| Problem { path: "revoked.file".to_owned(), message };
        let is_known = |what: &Revoked| match what {
            Revoked::Client(client) => self.rules.clients.iter().any(|(id, _)| id == client),
            Revoked::User { issuer, .. } | Revoked::Issuer(issuer) => {
                self.rules.issuers.iter().any(|one| one.id == *issuer)
            }
            Revoked::Ticket(_) | Revoked::Jti(_) => true,
        };
        let active = list.iter().filter(|one| one.is_active(now));
        let mut unknown: Vec<_> = active
            .filter(|one| !is_known(one.what()))
            .map(|one| format!("{} refuses nobody: the configuration has no such name", one.what()))
            .collect();
        unknown.sort_unstable();
        let more = unknown.len().saturating_sub(LISTED_ROWS);
        unknown.truncate(LISTED_ROWS);
        if more > 0 {
            unknown
                .push(format!("{more} more rows have names that the configuration does not have"));
        }
        if !ended_lines.is_empty() {
            let count = ended_lines.len();
            let lines = ended_lines.iter().take(LISTED_ROWS).map(ToString::to_string);
            let lines = lines.collect::<Vec<_>>().join(", ");
            let word = if count == 1 { "line" } else { "lines" };
            let more = match count.saturating_sub(LISTED_ROWS) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            unknown.push(format!(
                "revocations that have ended: {count}, at {word} {lines}{more}; they refuse nobody, and can be removed"
            ));
        }
        unknown.into_iter().map(warning).collect()
    }

    /// Reads the secrets and the file of revocations, and checks whether the audit's file can be written. Lists all problems.
    pub(crate) fn check_machine(&self, now: DateTime<Utc>) -> Result<Secrets, Problems> {
        let mut problems = Problems::default();
        let secrets = problems.gather(self.read_secrets());
        problems.gather(self.read_revoked(now));
        if let Some(Err(problem)) = self.audit_file() {
            problems.add("audit.file", problem);
        }
        problems.into_result(secrets)
    }
}
