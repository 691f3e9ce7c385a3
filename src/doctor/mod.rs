//! Tests a configuration against the real cloud, before a rollout.
//!
//! Each check reports [`Finding`]s; a check that depends on a failed one is skipped and says so. Nothing is changed: credentials of
//! tested roles are dropped, and what is written to the store is removed.

mod credentials;
mod dependencies;
mod endpoints;
mod finding;
mod identity;
mod roles;
mod sts_errors;

use std::sync::Arc;

use tokio::time::Instant;

use crate::config::{IdentitySource, Problem, Settings, UpstreamSettings};
use crate::outbound::{Egress, EgressByTarget};
use crate::store::StoreSettings;
use crate::sts::{Endpoint, Endpoints, StsClient, StsSettings};
use crate::telemetry::Metrics;
use crate::upstream::UpstreamIdentity;
use appserver_domain::clock::Clock;
use appserver_domain::{AccountId, SigningCredentials, UpstreamName, Upstreams};
use endpoints::Reached;
use roles::GrantsOf;

pub(crate) use finding::{Finding, Outcome};

/// A complete configuration, and what testing it needs.
pub(crate) struct Input {
    pub(crate) settings: Settings,
    /// Those that `appserver check` prints beside the settings' own.
    pub(crate) warnings: Vec<Problem>,
    pub(crate) identities: Upstreams<UpstreamIdentity>,
    pub(crate) egress: EgressByTarget,
    pub(crate) store: StoreSettings,
    pub(crate) clock: Clock,
    /// When all checks end.
    pub(crate) deadline: Instant,
}

/// Runs all checks and reports each finding as it is made.
pub(crate) async fn run_checks(input: Input, mut report: impl FnMut(Finding)) {
    let Input { settings, warnings, identities, egress, store, clock, deadline } = input;
    let grants = &settings.rules.grants;
    for (name, identity) in identities.into_values() {
        let settings = match settings.upstreams.get(&name) {
            Some(UpstreamSettings { sts, identity, accounts, .. }) => {
                (sts, identity, accounts.as_slice())
            }
            None => (&settings.sts, &settings.identity, settings.accounts.as_slice()),
        };
        let upstream = Upstream { name: &name, settings, egress: &egress.sts, clock: &clock };
        let grants = GrantsOf(grants, &name);
        let report = |finding: Finding| report(finding.of_upstream(&name));
        upstream.check(identity, grants, deadline, report).await;
    }
    report(dependencies::store_finding(&store, deadline).await);
    dependencies::check_issuers(&settings.rules.issuers, &egress.issuers, &mut report).await;
    dependencies::audit_finding(&settings).into_iter().for_each(&mut report);
    dependencies::hook_finding(&settings, &egress.sts, deadline)
        .await
        .into_iter()
        .for_each(&mut report);
    dependencies::revoked_findings(&settings, clock.now()).into_iter().for_each(&mut report);
    let warnings = settings.warnings.iter().chain(&warnings);
    dependencies::warning_findings(warnings).into_iter().for_each(&mut report);
}

/// One upstream, and how its STS is reached.
struct Upstream<'a> {
    name: &'a UpstreamName,
    settings: (&'a StsSettings, &'a IdentitySource, &'a [AccountId]),
    egress: &'a Egress,
    clock: &'a Clock,
}

impl Upstream<'_> {
    async fn check(
        &self,
        identity: UpstreamIdentity,
        grants: GrantsOf<'_>,
        deadline: Instant,
        mut report: impl FnMut(Finding),
    ) {
        let Self { name, settings: (sts, source, accounts), egress, clock } = *self;
        if let UpstreamIdentity::AccessKey(key) = &identity {
            report(identity::key_finding(source, key));
        }
        let reached = endpoints::check(sts, egress, clock, deadline, &mut report).await;
        endpoints::clock_findings(&reached).into_iter().for_each(&mut report);
        let client = |at: &Reached, key| client_of(name, sts, egress, &at.endpoint, key, clock);
        let key = match identity {
            UpstreamIdentity::AccessKey(key) => Some(key),
            UpstreamIdentity::Renewed(identity) => {
                let sts = reached.first().map(|reached| client(reached, None));
                credentials::obtain(source, identity, sts, clock, deadline, &mut report).await
            }
        };
        let client = |reached: &Reached| (reached.host.clone(), client(reached, key.clone()));
        let clients: Vec<_> = reached.iter().map(client).collect();
        match identity::check(&clients, key.as_ref(), accounts, deadline, &mut report).await {
            Some(client) => {
                let attempts = sts.max_attempts;
                roles::check(client, &grants, attempts, deadline, &mut report).await;
            }
            None => roles::skipped(&grants).into_iter().for_each(&mut report),
        }
    }
}

/// A client of only this endpoint, which has just answered: no other endpoint can answer in its place.
fn client_of(
    upstream: &UpstreamName,
    settings: &StsSettings,
    egress: &Egress,
    endpoint: &Endpoint,
    key: Option<SigningCredentials>,
    clock: &Clock,
) -> StsClient {
    let settings = StsSettings {
        upstream: upstream.clone(),
        endpoints: Endpoints::from(endpoint.clone()),
        connect_timeout: settings.connect_timeout,
        attempt_timeout: settings.attempt_timeout,
        max_attempts: settings.max_attempts,
    };
    let (egress, metrics) = (egress.clone(), Arc::new(Metrics::new()));
    let client = StsClient::new(settings, egress, key, clock.clone(), metrics);
    client.expect("the endpoint was just reached with the same certificates")
}
