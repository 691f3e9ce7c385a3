//! An issuer at work: its description, and the keys that it has now.

use std::fmt;
use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::demand::Demand;
use super::fetch::{Fetcher, UnverifiableIssuers};
use super::issuer::Issuer;
use super::keeper::Keeper;
use super::key_ring::KeyRing;
use super::key_source::KeySource;
use super::keys::Keys;
use crate::telemetry::IssuerMetrics;
use appserver_domain::clock::Clock;

/// One issuer. A reload that leaves its description as it is leaves this as it is.
pub(super) struct LiveIssuer {
    pub(super) issuer: Issuer,
    supply: Arc<Supply>,
}

/// An issuer's keys, and the task that fetches them, if one does; it ends with this.
struct Supply {
    ring: Arc<KeyRing>,
    fetching: Option<Fetching>,
}

struct Fetching {
    demand: Arc<Demand>,
    _ends: DropGuard,
}

impl LiveIssuer {
    /// Begins to fetch, if that is where keys come from; then it needs a runtime. What was described otherwise before, but
    /// for its keys, hands these on: a new audience must not wait for an issuer that is down.
    pub(super) fn start(
        issuer: Issuer,
        before: Option<&Self>,
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, UnverifiableIssuers> {
        let supply = match before.filter(|before| before.issuer.has_keys_of(&issuer)) {
            Some(before) => Arc::clone(&before.supply),
            None => Arc::new(Supply::start(&issuer, clock, metrics)?),
        };
        Ok(Self { issuer, supply })
    }

    pub(super) fn ring(&self) -> &KeyRing {
        &self.supply.ring
    }

    /// Waits a moment for newer keys, if there may be any; whether the issuer has been asked.
    pub(super) async fn refetched(&self) -> bool {
        match &self.supply.fetching {
            Some(fetching) => fetching.demand.fetched().await,
            None => false,
        }
    }

    /// The fetches that have ended.
    #[cfg(test)]
    pub(super) fn fetches(&self) -> tokio::sync::watch::Receiver<u64> {
        self.supply.fetching.as_ref().expect("its keys are fetched").demand.fetches()
    }

    #[cfg(test)]
    pub(super) fn is_fetching(&self) -> bool {
        self.supply.fetching.as_ref().is_some_and(|fetching| fetching.demand.is_under_way())
    }
}

impl Supply {
    fn start(
        issuer: &Issuer,
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, UnverifiableIssuers> {
        let (from, cadence) = match &issuer.keys {
            KeySource::Given(keys) => {
                let ring = Arc::new(KeyRing::holding(keys.clone()));
                return Ok(Self { ring, fetching: None });
            }
            KeySource::Fetched(from, cadence) => (from.clone(), *cadence),
        };
        let ring = Arc::new(KeyRing::holding(Keys::default()));
        let demand = Arc::new(Demand::default());
        let keeper = Keeper {
            id: issuer.id.to_string(),
            fetcher: Fetcher::new(from, issuer.name.clone(), issuer.algorithms.clone())?,
            cadence,
            ring: Arc::clone(&ring),
            demand: Arc::clone(&demand),
            clock: clock.clone(),
            metrics: metrics.clone(),
            shown: metrics.issuer(issuer.id.as_str()),
        };
        // Known from the first moment, so that a request that comes before the task has run waits for its fetch.
        demand.begins();
        let ends = CancellationToken::new();
        let ended = ends.clone();
        tokio::spawn(async move { ended.run_until_cancelled(keeper.keep()).await });
        Ok(Self { ring, fetching: Some(Fetching { demand, _ends: ends.drop_guard() }) })
    }
}

impl fmt::Debug for LiveIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveIssuer")
            .field("issuer", &self.issuer)
            .field("ring", self.ring())
            .finish_non_exhaustive()
    }
}
