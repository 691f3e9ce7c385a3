//! Tries what a configuration says on the real cloud, before phones do.
//!
//! Each check makes [`Finding`]s; those that need what an earlier one found wanting are skipped and say so. Nothing
//! is changed anywhere: what a role is assumed for is thrown away, what is written to the store is taken back.

mod advice;
mod clock;
mod endpoints;
mod finding;
mod identity;
mod issuers;
mod key;
mod probe;
mod refusal;
mod roles;
mod store;

use std::sync::Arc;

use tokio::time::Instant;

use crate::config::Settings;
use crate::store::StoreSettings;
use crate::sts::{Endpoint, Endpoints, StsClient, StsSettings};
use crate::telemetry::Metrics;
use appserver_domain::AccessKey;
use appserver_domain::clock::Clock;

pub(crate) use finding::{Finding, Outcome};

/// A configuration that is whole, and what is needed to try it.
pub(crate) struct Patient {
    pub(crate) settings: Settings,
    pub(crate) key: AccessKey,
    pub(crate) store: StoreSettings,
    pub(crate) clock: Clock,
    /// When every question is given up.
    pub(crate) deadline: Instant,
}

/// Goes through all checks, and tells each finding as it is made.
pub(crate) async fn examine(patient: Patient, mut tell: impl FnMut(Finding)) {
    let Patient { settings, key, store, clock, deadline } = patient;
    tell(key::finding(&settings.access_key, &key));
    let seen = endpoints::examine(&settings.sts, &clock, deadline, &mut tell).await;
    clock::findings(&seen).into_iter().for_each(&mut tell);
    let clients: Vec<_> = seen
        .iter()
        .map(|seen| (seen.host.clone(), client_of(&settings.sts, &seen.endpoint, &key, &clock)))
        .collect();
    match identity::examine(&clients, &key, &settings.accounts, deadline, &mut tell).await {
        Some((sts, identity)) => {
            let attempts = settings.sts.max_attempts;
            roles::examine(sts, &identity, &settings.rules.grants, attempts, deadline, &mut tell)
                .await;
        }
        None => roles::skipped(&settings.rules.grants).into_iter().for_each(&mut tell),
    }
    store::findings(&store, deadline).await.into_iter().for_each(&mut tell);
    issuers::examine(&settings.rules.issuers, &mut tell).await;
    advice::findings(&settings.warnings).into_iter().for_each(&mut tell);
}

/// A client of one endpoint alone, which has just answered, so that nobody else's answer is taken for its.
fn client_of(
    settings: &StsSettings,
    endpoint: &Endpoint,
    key: &AccessKey,
    clock: &Clock,
) -> StsClient {
    let settings = StsSettings {
        endpoints: Endpoints::from(endpoint.clone()),
        connect_timeout: settings.connect_timeout,
        attempt_timeout: settings.attempt_timeout,
        max_attempts: settings.max_attempts,
    };
    let client = StsClient::new(settings, key.clone(), clock.clone(), Arc::new(Metrics::new()));
    client.expect("it was just reached with the same certificates")
}
