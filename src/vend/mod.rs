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
mod engine;
mod error;
mod grant_holder;
mod invalidation;
mod key;
mod negative_cache;
mod refresh;
mod refresh_schedule;
mod replicas;
mod settings;
mod single_flight;
mod sts_calls;
mod token;
mod tokens;
mod turn_signal;
mod verified_key;
mod wait_limit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::audit::Source;
use crate::store::Store;
use crate::sts::{AssumeRole, RoleSession};
use crate::telemetry::VendMetrics;
use appserver_domain::AccountId;
use appserver_domain::clock::Clock;
use engine::{CacheLookup, Engine};

pub(crate) use error::VendError;
pub(crate) use grant_holder::{GrantHolder, GrantHolders};
#[cfg(feature = "bench")]
pub(crate) use key::KeyHashing;
pub(crate) use settings::{BreakerSettings, BudgetSettings, Freshness, VendSettings};
pub(crate) use token::Token;
pub(crate) use verified_key::{KeyRefused, VerifiedKey};

/// Vends credentials: kept ones where they are fresh, and otherwise one STS call for all who need the same.
#[derive(Debug)]
pub(crate) struct Vendor<S> {
    engine: Arc<Engine<S>>,
    /// Whose key is signed with; nobody's until GetCallerIdentity has answered, and before that nothing is vended.
    /// Held to look or to set, never across an await.
    key: Mutex<Option<VerifiedKey>>,
    /// Whether there is one: each request asks, and locks nothing for it.
    is_open: AtomicBool,
}

/// A token, and when its holder should come back.
#[derive(Clone, Debug)]
pub(crate) struct Vended {
    pub(crate) token: Arc<Token>,
    /// Where it came from, for the audit.
    pub(crate) source: Source,
    /// By STS's clock, and another for each answer: see [`Token`].
    pub(crate) refresh_after: DateTime<Utc>,
}

impl<S: AssumeRole + Send + Sync + 'static> Vendor<S> {
    pub(crate) fn new(
        sts: S,
        store: Arc<Store>,
        settings: VendSettings,
        metrics: VendMetrics,
        clock: Clock,
    ) -> Self {
        let engine = Arc::new(Engine::new(sts, store, settings, metrics, clock));
        Self { engine, key: Mutex::default(), is_open: AtomicBool::new(false) }
    }

    /// Opens the vendor, if it is not: from now on it vends. What STS refused to another key it may grant to this one.
    pub(crate) fn open(&self, key: VerifiedKey) {
        self.engine.negative_cache.forget();
        *self.key.lock() = Some(key);
        self.is_open.store(true, Ordering::Release);
    }

    /// Whether the key that is signed with may be used where these accounts own the roles. One that is not proven yet
    /// will be asked.
    pub(crate) fn admits(&self, accounts: &[AccountId]) -> Result<(), KeyRefused> {
        let key = self.key.lock();
        key.as_ref().map_or(Ok(()), |key| key.admits(accounts))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Credentials for exactly this role session, or an error at the deadline at the latest.
    ///
    /// `holder` is whose turn in the budget it takes; it is no part of what tokens are kept by.
    pub(crate) async fn vend(
        &self,
        holder: &GrantHolder,
        session: &RoleSession,
        deadline: Instant,
    ) -> Result<Vended, VendError> {
        if !self.is_open() {
            return Err(VendError::NotReady);
        }
        let now = self.engine.clock.moment();
        let (token, source, now) = match self.engine.kept(session, holder, now) {
            CacheLookup::Fresh(token) => (token, Source::Cached, now),
            // Boxed: requests that need not wait have no room for it.
            CacheLookup::Miss(lookup_key) => {
                let fetched = self.engine.fetched(lookup_key, deadline);
                let (token, source) = Box::pin(fetched).await?;
                (token, source, self.engine.clock.moment())
            }
        };
        let refresh_after =
            token.refresh_after(now, &self.engine.settings.freshness, rand::random());
        Ok(Vended { token, source, refresh_after })
    }

    /// From now on tokens are kept for these alone; what is kept for others is dropped, here and where replicas share
    /// it, and not renewed.
    pub(crate) fn retain_holders(&self, holders: GrantHolders) {
        self.engine.retain_holders(holders);
    }

    /// Brings the gauges up to date, for who reads the metrics.
    pub(crate) fn measure(&self) {
        self.engine.measure();
    }

    /// Whether replicas share nothing at the moment though they should.
    pub(crate) fn is_degraded(&self) -> bool {
        self.engine.store.is_degraded()
    }

    /// STS itself, for the identity check.
    pub(crate) fn sts(&self) -> &S {
        &self.engine.sts
    }
}

#[cfg(test)]
mod tests;
