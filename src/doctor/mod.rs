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

use crate::config::{Problem, Settings};
use crate::outbound::{Egress, EgressByTarget};
use crate::store::StoreSettings;
use crate::sts::{Endpoint, Endpoints, StsClient, StsSettings};
use crate::telemetry::Metrics;
use crate::upstream::UpstreamIdentity;
use appserver_domain::SigningCredentials;
use appserver_domain::clock::Clock;
use endpoints::Reached;

pub(crate) use finding::{Finding, Outcome};

/// A complete configuration, and what testing it needs.
pub(crate) struct Input {
    pub(crate) settings: Settings,
    /// Those that `appserver check` prints beside the settings' own.
    pub(crate) warnings: Vec<Problem>,
    pub(crate) identity: UpstreamIdentity,
    pub(crate) egress: EgressByTarget,
    pub(crate) store: StoreSettings,
    pub(crate) clock: Clock,
    /// When all checks end.
    pub(crate) deadline: Instant,
}

/// Runs all checks and reports each finding as it is made.
pub(crate) async fn run_checks(input: Input, mut report: impl FnMut(Finding)) {
    let Input { settings, warnings, identity, egress, store, clock, deadline } = input;
    let source = &settings.identity;
    if let UpstreamIdentity::AccessKey(key) = &identity {
        report(identity::key_finding(source, key));
    }
    let reached = endpoints::check(&settings.sts, &egress.sts, &clock, deadline, &mut report).await;
    endpoints::clock_findings(&reached).into_iter().for_each(&mut report);
    let client =
        |at: &Reached, key| client_of(&settings.sts, &egress.sts, &at.endpoint, key, &clock);
    let key = match identity {
        UpstreamIdentity::AccessKey(key) => Some(key),
        UpstreamIdentity::Renewed(identity) => {
            let sts = reached.first().map(|reached| client(reached, None));
            credentials::obtain(source, identity, sts, &clock, deadline, &mut report).await
        }
    };
    let client = |reached: &Reached| (reached.host.clone(), client(reached, key.clone()));
    let clients: Vec<_> = reached.iter().map(client).collect();
    let grants = &settings.rules.grants;
    let accounts = &settings.accounts;
    match identity::check(&clients, key.as_ref(), accounts, deadline, &mut report).await {
        Some((sts, identity)) => {
            let attempts = settings.sts.max_attempts;
            roles::check(sts, &identity, grants, attempts, deadline, &mut report).await;
        }
        None => roles::skipped(grants).into_iter().for_each(&mut report),
    }
    report(dependencies::store_finding(&store, deadline).await);
    dependencies::check_issuers(&settings.rules.issuers, &egress.issuers, &mut report).await;
    dependencies::audit_finding(&settings).into_iter().for_each(&mut report);
    let warnings = settings.warnings.iter().chain(&warnings);
    dependencies::warning_findings(warnings).into_iter().for_each(&mut report);
}

/// A client of only this endpoint, which has just answered: no other endpoint can answer in its place.
fn client_of(
    settings: &StsSettings,
    egress: &Egress,
    endpoint: &Endpoint,
    key: Option<SigningCredentials>,
    clock: &Clock,
) -> StsClient {
    let settings = StsSettings {
        endpoints: Endpoints::from(endpoint.clone()),
        connect_timeout: settings.connect_timeout,
        attempt_timeout: settings.attempt_timeout,
        max_attempts: settings.max_attempts,
    };
    let (egress, metrics) = (egress.clone(), Arc::new(Metrics::new()));
    let client = StsClient::new(settings, egress, key, clock.clone(), metrics);
    client.expect("the endpoint was just reached with the same certificates")
}
