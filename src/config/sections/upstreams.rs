//! `[sts.upstreams]`: further identities and endpoints, for roles that name them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::identity::{IdentitySource, RawIdentity};
use super::roles::Role;
use super::sts::{self, RawCalls, RawSts};
use super::vend::{self, RawBreaker, RawBudget, RawVend};
use crate::breaker::BreakerSettings;
use crate::config::bounds::{Attempts, Bounded, Millis};
use crate::config::environment::{Environment, Mode};
use crate::config::field::{Clearable, Field, List};
use crate::config::problems::{Problem, Problems};
use crate::config::secret_reads::SecretReads;
use crate::sts::{Endpoint, Region, StsSettings};
use crate::vend::{BudgetSettings, VendSettings};
use appserver_domain::{AccountId, RoleName, UpstreamName};

/// The keys of `[sts]`, with a budget and a breaker as in `[vend]`. What is absent is as in those, except for the identity and the
/// endpoints.
#[derive(Debug, Deserialize)]
pub(crate) struct RawUpstream {
    /// Default: the region's endpoint, or `https://sts.aliyuncs.com`.
    endpoints: Field<List<Endpoint>>,
    region: Field<Clearable<Region>>,
    vpc: Field<bool>,
    connect_timeout_ms: Field<Millis<10, 60_000>>,
    attempt_timeout_ms: Field<Millis<10, 60_000>>,
    max_attempts: Field<Bounded<Attempts, 1, 20>>,
    /// `source` is required.
    identity: RawIdentity,
    budget: RawBudget,
    breaker: RawBreaker,
}

/// The settings of one upstream.
#[derive(Debug)]
pub(crate) struct UpstreamSettings {
    pub(crate) sts: StsSettings,
    pub(crate) identity: IdentitySource,
    pub(crate) vend: VendSettings,
    /// The accounts of its roles without `cross_account`, which must be that of its credentials.
    pub(crate) accounts: Vec<AccountId>,
}

/// The upstreams, as far as they are valid.
pub(crate) struct NamedUpstreams {
    valid: BTreeMap<UpstreamName, Resolved>,
    /// All names.
    names: BTreeSet<String>,
}

struct Resolved {
    sts: StsSettings,
    identity: IdentitySource,
    budget: BudgetSettings,
    breaker: BreakerSettings,
}

impl NamedUpstreams {
    /// Takes the tables out of `[sts]`, from which they inherit.
    pub(crate) fn resolve(
        of_sts: &mut RawSts,
        of_vend: &RawVend,
        environment: &Environment,
        mode: Mode,
        problems: &mut Problems,
        secret_reads: &mut SecretReads,
    ) -> Self {
        let upstreams = std::mem::take(&mut of_sts.upstreams);
        let names = upstreams.keys().cloned().collect();
        let mut resolve = |(name, raw): (String, RawUpstream)| {
            let path = format!("sts.upstreams.{name}");
            let own = name.parse::<UpstreamName>().unwrap_or_default();
            if name == own.as_str() && own.is_default() {
                problems.add(
                    &path,
                    "`default` is the upstream of `[sts]` itself: move its keys there, or give it another name",
                );
                return None;
            }
            let name = problems.name(&path, &name)?;
            let mut found = Problems::default();
            let mut reads = SecretReads::default();
            let identity =
                IdentitySource::resolve(raw.identity, environment, mode, &mut found, &mut reads);
            problems.add_all(found.of_upstream(&name));
            secret_reads.add_all_of(reads, &name);
            let calls = RawCalls {
                endpoints: raw.endpoints.or(&Field::known(List(Vec::new()))),
                region: raw.region,
                vpc: raw.vpc.or(&Field::known(false)),
                connect_timeout_ms: raw.connect_timeout_ms.or(&of_sts.connect_timeout_ms),
                attempt_timeout_ms: raw.attempt_timeout_ms.or(&of_sts.attempt_timeout_ms),
                max_attempts: raw.max_attempts.or(&of_sts.max_attempts),
            };
            let sts = sts::calls(&name, calls, problems);
            let budget = vend::budget(raw.budget.or(&of_vend.budget), problems);
            let breaker = vend::breaker(raw.breaker.or(&of_vend.breaker), problems);
            let resolved =
                Resolved { sts: sts?, identity: identity?, budget: budget?, breaker: breaker? };
            Some((name, resolved))
        };
        let valid = upstreams.into_iter().filter_map(&mut resolve).collect();
        Self { valid, names }
    }

    /// Reports roles of upstreams that do not exist.
    pub(crate) fn check_roles(&self, roles: &BTreeMap<RoleName, Role>, problems: &mut Problems) {
        for (name, Role { upstream, .. }) in roles {
            if !upstream.is_default() && !self.names.contains(upstream.as_str()) {
                problems.add_absence(
                    format!("roles.{name}.upstream"),
                    format!(
                        "there is no upstream `{upstream}`; add `[sts.upstreams.{upstream}]` or name another, or `default` for \
                         `[sts]` itself"
                    ),
                );
            }
        }
    }

    /// Warns of upstreams that no role names.
    pub(crate) fn unused(&self, roles: &BTreeMap<RoleName, Role>) -> Vec<Problem> {
        let is_used = |name: &UpstreamName| roles.values().any(|role| role.upstream == *name);
        let unused = self.valid.keys().filter(|name| !is_used(name));
        let problem = |name: &UpstreamName| Problem {
            path: name.path(),
            message: "no role names this upstream: remove it, or name it in `upstream` of a role"
                .to_owned(),
        };
        unused.map(problem).collect()
    }

    /// The settings of each. All others of vending are the same for all upstreams.
    pub(crate) fn settings(
        self,
        vend: &VendSettings,
        roles: &BTreeMap<RoleName, Role>,
    ) -> BTreeMap<UpstreamName, UpstreamSettings> {
        let settings = |(name, upstream): (UpstreamName, Resolved)| {
            let Resolved { sts, identity, budget, breaker } = upstream;
            let max_attempts = sts.max_attempts;
            let vend = VendSettings { max_attempts, budget, breaker, ..vend.clone() };
            let accounts = super::roles::accounts_of(&name, roles);
            (name, UpstreamSettings { sts, identity, vend, accounts })
        };
        self.valid.into_iter().map(settings).collect()
    }
}
