//! Gets credentials for a role session, once the server has proven whose AccessKey it signs with.
//!
//! A request goes one way: a kept token that is fresh, or one that another replica has, or else the key's one flight;
//! a flight waits for its turn in the budget, takes the replicas' lease, passes the breaker and calls STS; what it
//! brings is kept, and everyone who waits gets it.
//!
//! What decides is pure or a few instructions under a lock (`token`, `bucket`, `queue`, `returns`, `breaker`, `waiters`);
//! only `engine`, `flight`, `replicas` and `refresh` wait.

mod breaker;
mod budget;
mod departure;
mod engine;
mod error;
mod flight;
mod flights;
mod gate;
mod holder;
mod key;
mod lapse;
mod refresh;
mod refusals;
mod replicas;
mod settings;
mod token;
mod tokens;
mod waiters;

use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::store::Store;
use crate::sts::{AssumeRole, RoleSession};
use crate::telemetry::VendMetrics;
use engine::{Engine, Kept};

pub(crate) use error::VendError;
pub(crate) use gate::{KeyRefused, ProvenKey};
pub(crate) use holder::{Holder, Holders};
#[cfg(feature = "bench")]
pub(crate) use key::KeyHashing;
pub(crate) use settings::{BreakerSettings, BudgetSettings, Freshness, VendSettings};
pub(crate) use token::Token;

/// Vends credentials: kept ones where they are fresh, and otherwise one STS call for all who need the same.
#[derive(Debug)]
pub(crate) struct Vendor<S> {
    engine: Arc<Engine<S>>,
    /// Set once GetCallerIdentity has answered for the key; before that nothing is vended.
    key: OnceLock<ProvenKey>,
}

/// A token, and when its holder should come back.
#[derive(Clone, Debug)]
pub(crate) struct Vended {
    pub(crate) token: Arc<Token>,
    /// By STS's clock, and another for each answer: see [`Token`].
    pub(crate) refresh_after: DateTime<Utc>,
}

impl<S: AssumeRole + Send + Sync + 'static> Vendor<S> {
    pub(crate) fn new(
        sts: S,
        store: Arc<Store>,
        settings: VendSettings,
        metrics: VendMetrics,
    ) -> Self {
        Self { engine: Arc::new(Engine::new(sts, store, settings, metrics)), key: OnceLock::new() }
    }

    /// Opens the vendor: from now on it vends.
    pub(crate) fn open(&self, key: ProvenKey) {
        // A second proof of the same key changes nothing.
        let _ = self.key.set(key);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.key.get().is_some()
    }

    /// Credentials for exactly this role session, or an error at the deadline at the latest.
    ///
    /// `holder` is whose turn in the budget it takes; it is no part of what tokens are kept by.
    pub(crate) async fn vend(
        &self,
        holder: &Holder,
        session: &RoleSession,
        deadline: Instant,
    ) -> Result<Vended, VendError> {
        if !self.is_open() {
            return Err(VendError::NotReady);
        }
        let now = Instant::now();
        let (token, now) = match self.engine.kept(session, holder, now) {
            Kept::Fresh(token) => (token, now),
            // Boxed: requests that need not wait have no room for it.
            Kept::No(sought) => {
                let token = Box::pin(self.engine.fetched(sought, deadline)).await?;
                (token, Instant::now())
            }
        };
        let refresh_after =
            token.refresh_after(now, &self.engine.settings.freshness, rand::random());
        Ok(Vended { token, refresh_after })
    }

    /// From now on tokens are kept for these alone; what is kept for others is dropped, here and where replicas share
    /// it, and not renewed.
    pub(crate) fn keep_for(&self, holders: Holders) {
        self.engine.keep_for(holders);
    }

    /// Brings the gauges up to date, for who reads the metrics.
    pub(crate) fn measure(&self) {
        self.engine.measure();
    }

    /// Whether replicas share nothing at the moment though they should.
    pub(crate) fn is_alone(&self) -> bool {
        self.engine.store.is_degraded()
    }

    /// STS itself, for the identity check.
    pub(crate) fn sts(&self) -> &S {
        &self.engine.sts
    }
}

#[cfg(test)]
mod tests;
