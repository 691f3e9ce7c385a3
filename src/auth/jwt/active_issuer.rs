//! An active issuer: its configuration and its present keys.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::active_jwks::ActiveJwks;
use super::configured_keys::ConfiguredKeys;
use super::fetch::{Fetcher, IssuerTlsError};
use super::issuer::Issuer;
use super::jwks::Jwks;
use super::jwks_refresher::JwksRefresher;
use super::refresh_trigger::RefreshTrigger;
use crate::outbound::Egress;
use crate::telemetry::IssuerMetrics;
use appserver_domain::clock::Clock;

/// One issuer. A reload that does not change its configuration keeps it.
pub(super) struct ActiveIssuer {
    pub(super) issuer: Issuer,
    supply: Arc<JwksSource>,
}

/// An issuer's keys and the task that fetches them, if any; the task ends when this is dropped.
struct JwksSource {
    ring: Arc<ActiveJwks>,
    fetching: Option<Fetching>,
}

struct Fetching {
    trigger: Arc<RefreshTrigger>,
    _cancels: DropGuard,
}

impl ActiveIssuer {
    /// Starts to fetch, if keys are fetched; then it needs a runtime. If only other settings changed, the keys of
    /// `before` are kept: a new audience must not depend on an issuer that is down.
    pub(super) fn start(
        issuer: Issuer,
        before: Option<&Self>,
        egress: &Egress,
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, IssuerTlsError> {
        let supply = match before.filter(|before| before.issuer.has_keys_of(&issuer)) {
            Some(before) => Arc::clone(&before.supply),
            None => Arc::new(JwksSource::start(&issuer, egress, clock, metrics)?),
        };
        Ok(Self { issuer, supply })
    }

    pub(super) fn ring(&self) -> &ActiveJwks {
        &self.supply.ring
    }

    /// Waits for newer keys, up to a limit; returns whether a fetch has ended.
    pub(super) async fn refetched(&self) -> bool {
        match &self.supply.fetching {
            Some(fetching) => fetching.trigger.fetched().await,
            None => false,
        }
    }

    /// Counts the fetches that have ended.
    #[cfg(test)]
    pub(super) fn fetches(&self) -> tokio::sync::watch::Receiver<u64> {
        self.supply.fetching.as_ref().expect("its keys are fetched").trigger.fetches()
    }

    #[cfg(test)]
    pub(super) fn is_fetching(&self) -> bool {
        self.supply.fetching.as_ref().is_some_and(|fetching| fetching.trigger.is_under_way())
    }
}

impl JwksSource {
    fn start(
        issuer: &Issuer,
        egress: &Egress,
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, IssuerTlsError> {
        let (from, refresh_policy) = match &issuer.keys {
            ConfiguredKeys::Static(keys) => {
                let ring = Arc::new(ActiveJwks::new(keys.clone()));
                return Ok(Self { ring, fetching: None });
            }
            ConfiguredKeys::Fetched(from, refresh_policy) => (from.clone(), *refresh_policy),
        };
        let ring = Arc::new(ActiveJwks::new(Jwks::default()));
        let trigger = Arc::new(RefreshTrigger::default());
        let refresher = JwksRefresher {
            id: issuer.id.to_string(),
            fetcher: Fetcher::new(
                from,
                issuer.name.clone(),
                issuer.algorithms.clone(),
                egress.clone(),
            )?,
            refresh_policy,
            ring: Arc::clone(&ring),
            trigger: Arc::clone(&trigger),
            clock: clock.clone(),
            metrics: metrics.clone(),
            shown: metrics.issuer(issuer.id.as_str()),
        };
        // Set before the task runs, so that an early request waits for its fetch.
        trigger.begins();
        let ends = CancellationToken::new();
        let ended = ends.clone();
        tokio::spawn(async move { ended.run_until_cancelled(refresher.run()).await });
        Ok(Self { ring, fetching: Some(Fetching { trigger, _cancels: ends.drop_guard() }) })
    }
}

impl fmt::Debug for ActiveIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveIssuer")
            .field("issuer", &self.issuer)
            .field("ring", self.ring())
            .finish_non_exhaustive()
    }
}
