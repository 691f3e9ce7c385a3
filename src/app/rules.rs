//! Builds the rules that requests are decided by from the configuration.

use std::sync::Arc;

use secrecy::SecretString;

use crate::auth::{Authenticator, IssuerTlsError, Issuers};
use crate::callback::CallbackConfig;
use crate::config::{DecisionSource, RuleSettings};
use crate::decision::{DecisionHook, HookTlsError};
use crate::http::{Rules, TicketRules};
use crate::limit::{Failures, LimitKind, Limits};
use crate::outbound::Egress;
use crate::store::Store;
use crate::telemetry::Metrics;
use crate::vend::{GrantHolder, GrantHolders};
use appserver_domain::clock::Clock;

/// The rules of a configuration. Counters and fetched keys of the rules `before` are kept where their settings are the
/// same.
#[expect(
    clippy::too_many_arguments,
    reason = "a struct of them would be built twice, and read here"
)]
pub(super) fn rules(
    settings: RuleSettings,
    tickets: Option<TicketRules>,
    callbacks: Option<Arc<CallbackConfig>>,
    decision: Option<Arc<DecisionHook>>,
    before: Option<&Rules>,
    to_issuers: &Egress,
    store: &Arc<Store>,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Rules, IssuerTlsError> {
    let RuleSettings { grants, clients, issuers, limits, failures, proxies, cors, request_timeout } =
        settings;
    let counted = before.map(|before| &before.limits);
    let failed = before.map(|before| &before.failures);
    let known = before.map(|before| before.authenticator.issuers());
    let issuers = Issuers::new(issuers, known, to_issuers, clock, &metrics.issuers)?;
    let limits = Limits::new(limits, Arc::clone(store), counted);
    limits.start_metrics(&metrics.throttled);
    let failures = Failures::new(failures, failed);
    for kind in [LimitKind::AddressFailures, LimitKind::ClientFailures] {
        metrics.throttled.create_series(None, kind.as_str(), failures.mode().as_str());
    }
    Ok(Rules {
        authenticator: Authenticator::new(clients.into_iter().collect(), issuers),
        limits,
        failures,
        grants,
        tickets,
        callbacks,
        decision,
        proxies,
        cors,
        request_timeout,
    })
}

/// The hook of a configuration, if it has one. It begins without a decision.
pub(super) fn decision(
    source: Option<DecisionSource>,
    secret: Option<SecretString>,
    egress: &Egress,
    clock: &Clock,
    metrics: &Metrics,
) -> Result<Option<Arc<DecisionHook>>, HookTlsError> {
    metrics.decision.breaker_open(false);
    let Some((source, secret)) = source.zip(secret) else { return Ok(None) };
    let (clock, metrics) = (clock.clone(), metrics.decision.clone());
    let hook = DecisionHook::new(source.settings, secret, egress, clock, metrics)?;
    Ok(Some(Arc::new(hook)))
}

/// The holders whose tokens stay cached: enabled clients with their current grants.
pub(super) fn holders(settings: &RuleSettings) -> GrantHolders {
    let enabled = settings.clients.iter().filter(|(_, client)| client.enabled);
    let holders = enabled.flat_map(|(client, _)| {
        let grants = settings.grants.of(client);
        grants.map(|grant| GrantHolder {
            client: client.clone(),
            grant: grant.fingerprint,
            user: None,
        })
    });
    GrantHolders::Only(holders.collect())
}
