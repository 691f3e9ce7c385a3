//! An issuer at work: its description, and the keys that it has now.

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
use crate::telemetry::IssuerMetrics;
use appserver_domain::clock::Clock;

/// One issuer. A reload that leaves its description as it is leaves this as it is.
pub(super) struct ActiveIssuer {
    pub(super) issuer: Issuer,
    supply: Arc<JwksSource>,
}

/// An issuer's keys, and the task that fetches them, if one does; it ends with this.
struct JwksSource {
    ring: Arc<ActiveJwks>,
    fetching: Option<Fetching>,
}

struct Fetching {
    trigger: Arc<RefreshTrigger>,
    _ends: DropGuard,
}

impl ActiveIssuer {
    /// Begins to fetch, if that is where keys come from; then it needs a runtime. What was described otherwise before, but
    /// for its keys, hands these on: a new audience must not wait for an issuer that is down.
    pub(super) fn start(
        issuer: Issuer,
        before: Option<&Self>,
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, IssuerTlsError> {
        let supply = match before.filter(|before| before.issuer.has_keys_of(&issuer)) {
            Some(before) => Arc::clone(&before.supply),
            None => Arc::new(JwksSource::start(&issuer, clock, metrics)?),
        };
        Ok(Self { issuer, supply })
    }

    pub(super) fn ring(&self) -> &ActiveJwks {
        &self.supply.ring
    }

    /// Waits a moment for newer keys, if there may be any; whether the issuer has been asked.
    pub(super) async fn refetched(&self) -> bool {
        match &self.supply.fetching {
            Some(fetching) => fetching.trigger.fetched().await,
            None => false,
        }
    }

    /// The fetches that have ended.
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
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, IssuerTlsError> {
        let (from, refresh_policy) = match &issuer.keys {
            ConfiguredKeys::Static(keys) => {
                let ring = Arc::new(ActiveJwks::holding(keys.clone()));
                return Ok(Self { ring, fetching: None });
            }
            ConfiguredKeys::Fetched(from, refresh_policy) => (from.clone(), *refresh_policy),
        };
        let ring = Arc::new(ActiveJwks::holding(Jwks::default()));
        let trigger = Arc::new(RefreshTrigger::default());
        let refresher = JwksRefresher {
            id: issuer.id.to_string(),
            fetcher: Fetcher::new(from, issuer.name.clone(), issuer.algorithms.clone())?,
            refresh_policy,
            ring: Arc::clone(&ring),
            trigger: Arc::clone(&trigger),
            clock: clock.clone(),
            metrics: metrics.clone(),
            shown: metrics.issuer(issuer.id.as_str()),
        };
        // Known from the first moment, so that a request that comes before the task has run waits for its fetch.
        trigger.begins();
        let ends = CancellationToken::new();
        let ended = ends.clone();
        tokio::spawn(async move { ended.run_until_cancelled(refresher.keep()).await });
        Ok(Self { ring, fetching: Some(Fetching { trigger, _ends: ends.drop_guard() }) })
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
