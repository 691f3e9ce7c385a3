//! Obtains credentials for a role session, once STS has verified the AccessKey that the server signs with.
//!
//! A request takes a fresh token from the cache, or one of another replica, or else waits for the key's call in flight.
//! A call waits for its turn in the budget, takes the lease of the replicas, passes the breaker and calls STS; its result
//! is cached and handed to all callers that wait.
//!
//! The rules are pure or a few instructions under a lock (`cache`, `budget::bucket`, `budget::queue`, `breaker`,
//! `wait_limit`); only `engine`, `call_runner`, `sts_calls`, `replicas` and `refresh` wait.

mod breaker;
mod budget;
mod budgets;
mod cache;
mod call_runner;
mod engine;
mod error;
mod grant_credentials;
mod refresh;
mod replicas;
mod settings;
mod sts_calls;
mod turn_signal;
mod vendors;
mod verified_key;
mod wait_limit;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::time::Instant;

#[cfg(any(test, feature = "bench"))]
use crate::store::Store;
use crate::sts::{AssumeRole, CallerSession, GrantSession, RoleSession};
use crate::telemetry::VendMetrics;
use appserver_domain::clock::{Clock, Moment};
use appserver_domain::{AccountId, UpstreamName};
use cache::CacheLookup;
use engine::Engine;

pub(crate) use budgets::Budgets;
#[cfg(feature = "bench")]
pub(crate) use cache::KeyHashing;
pub(crate) use cache::{GrantHolder, GrantHolders, Token, TokenSource};
pub(crate) use error::VendError;
pub(crate) use grant_credentials::GrantCredentials;
pub(crate) use settings::{BudgetSettings, Freshness, VendSettings};
pub(crate) use vendors::Vendors;
pub(crate) use verified_key::{KeyRefused, VerifiedKey};

/// Vends credentials: cached ones while they are fresh, and otherwise by one STS call for all callers that need the same.
#[derive(Debug)]
pub(crate) struct Vendor<S> {
    upstream: UpstreamName,
    engine: Arc<Engine<S>>,
    budgets: Arc<Budgets>,
    budget: BudgetSettings,
    /// The AccessKey that signs; none until GetCallerIdentity has answered, and before that nothing is vended. Held to
    /// read or to set it, never across an await.
    key: Mutex<Option<VerifiedKey>>,
    /// Whether there is one, for requests to check without a lock.
    is_open: AtomicBool,
}

/// A token, and when its caller should ask again.
#[derive(Clone, Debug)]
pub(crate) struct Vended {
    pub(crate) token: Arc<Token>,
    pub(crate) source: TokenSource,
    /// By STS's clock, and different for each answer: see [`Token::refresh_after`].
    pub(crate) refresh_after: DateTime<Utc>,
}

impl<S: AssumeRole + Send + Sync + 'static> Vendor<S> {
    /// The vendor of one upstream. It spends from `budgets`, by the account that its key proves to be of.
    pub(crate) fn new(
        upstream: UpstreamName,
        sts: S,
        budgets: Arc<Budgets>,
        settings: VendSettings,
        metrics: &VendMetrics,
        clock: Clock,
    ) -> Self {
        let metrics = metrics.of(&upstream);
        let engine = Engine::new(&upstream, sts, &budgets, &settings, metrics, clock);
        Self {
            upstream,
            engine: Arc::new(engine),
            budgets,
            budget: settings.budget,
            key: Mutex::default(),
            is_open: AtomicBool::new(false),
        }
    }

    /// The vendor of the only upstream.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn only(
        sts: S,
        store: Arc<Store>,
        settings: VendSettings,
        metrics: &VendMetrics,
        clock: Clock,
    ) -> Self {
        let budgets = Arc::new(Budgets::new(store, false, metrics.clone()));
        Self::new(UpstreamName::default(), sts, budgets, settings, metrics, clock)
    }

    /// Vends from now on, with this key. STS may grant it what it refused to the key before.
    pub(crate) fn open(&self, key: VerifiedKey) {
        // Before anything is vended: no call may spend a budget that is not its account's.
        let budget = self.budgets.of_account(key.account(), &self.upstream, self.budget);
        self.engine.sts_calls.spend(budget);
        self.engine.cache.negative().clear();
        *self.key.lock() = Some(key);
        self.is_open.store(true, Ordering::Release);
    }

    pub(crate) fn upstream(&self) -> &UpstreamName {
        &self.upstream
    }

    /// Whether the current key may assume roles of these accounts. A key that is not verified yet is checked then.
    pub(crate) fn admits(&self, accounts: &[AccountId]) -> Result<(), KeyRefused> {
        let key = self.key.lock();
        key.as_ref().map_or(Ok(()), |key| key.admits(accounts))
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Whether there are credentials to call STS with. Without them only cached tokens are vended.
    pub(crate) fn can_sign(&self) -> bool {
        self.engine.sts_calls.sts().can_sign()
    }

    /// Credentials for exactly this caller's session, or an error by the deadline.
    ///
    /// The client of `holder` pays from the budget; the holder is no part of the cache key.
    pub(crate) async fn vend(
        &self,
        holder: &GrantHolder,
        session: &CallerSession,
        deadline: Instant,
    ) -> Result<Vended, VendError> {
        let (token, source, now) = self.obtain(holder, session.role_session(), deadline).await?;
        let refresh_after = token.refresh_after(now, self.engine.cache.freshness(), rand::random());
        Ok(Vended { token, source, refresh_after })
    }

    /// Credentials of a grant's own session, to sign with, or an error by the deadline. They are shared and renewed as
    /// tokens are, and no caller gets them.
    pub(crate) async fn grant_credentials(
        &self,
        holder: &GrantHolder,
        session: &GrantSession,
        deadline: Instant,
    ) -> Result<GrantCredentials, VendError> {
        let (token, source, now) = self.obtain(holder, session.role_session(), deadline).await?;
        Ok(GrantCredentials::new(token, source, now))
    }

    /// The session's token and the time at which it was found.
    async fn obtain(
        &self,
        holder: &GrantHolder,
        session: &RoleSession,
        deadline: Instant,
    ) -> Result<(Arc<Token>, TokenSource, Moment), VendError> {
        if !self.is_open() {
            return Err(VendError::NotReady);
        }
        let now = self.engine.cache.now();
        match self.engine.lookup(session, holder, now) {
            CacheLookup::Fresh(token) => Ok((token, TokenSource::Cached, now)),
            // Boxed, so that the future of a hit does not reserve memory for it.
            CacheLookup::Miss(lookup_key) => {
                let fetched = self.engine.fetch(lookup_key, deadline);
                let (token, source) = Box::pin(fetched).await?;
                Ok((token, source, self.engine.cache.now()))
            }
        }
    }

    /// Keeps tokens for these grant holders only. Those of others are removed, here and where replicas share them.
    pub(crate) fn retain_holders(&self, holders: GrantHolders) {
        self.engine.retain_holders(holders);
    }

    /// Removes the tokens of these grant holders, here and where replicas share them. Returns how many.
    pub(crate) fn remove_holders(&self, is_removed: impl Fn(&GrantHolder) -> bool) -> usize {
        self.engine.remove_holders(is_removed)
    }

    /// Updates the gauges of the upstream before the metrics are read. Returns the cached tokens and the waiting callers.
    fn measure(&self) -> (usize, usize) {
        self.engine.measure()
    }

    /// Whether a store is configured for the replicas but does not answer.
    pub(crate) fn is_degraded(&self) -> bool {
        self.engine.replicas.is_degraded()
    }

    /// The STS client, for the identity check.
    pub(crate) fn sts(&self) -> &S {
        self.engine.sts_calls.sts()
    }
}

#[cfg(test)]
mod tests;
