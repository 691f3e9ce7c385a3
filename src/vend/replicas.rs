//! What the replicas share of a session: a token, a refusal, and the lease to call STS.
//!
//! Where nothing is shared, or while Redis does not answer, each method answers as if this were the only replica.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::cache::{Key, Prehashed, Token, TokenCache};
use super::error::{Outcome, VendError};
use crate::single_flight::{Entry, InFlightCalls};
use crate::store::{CallResult, Lease, LeaseState, Name, Redis, Shared, SharedState, Store};
use crate::sts::StsError;
use crate::telemetry::Refresh;
use appserver_domain::clock::Moment;
use appserver_domain::{Credentials, UpstreamName};

/// Between two polls of another replica's call. STS answers within 50 to 200 ms; a slower call is polled less often.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_millis(250);
/// A shared token that lives longer than ours by less than this is the same one: clocks are not more precise.
const SAME_TOKEN: Duration = Duration::from_secs(5);

/// The other replicas, as seen through the store.
#[derive(Debug)]
pub(super) struct Replicas {
    store: Arc<Store>,
    upstream: UpstreamName,
    cache: Arc<TokenCache>,
    /// Lookups in the store, shared by callers here.
    lookups: Arc<InFlightCalls<Arc<Key>, Option<Outcome>, (), Prehashed>>,
}

/// The answer to a request for the lease.
pub(super) enum LeaseAnswer {
    /// Call STS; there is no lease where nothing is shared.
    Call(Option<Lease>),
    /// The replicas have the result already; the lease, if any, is to be released.
    Found(Outcome, Option<Lease>),
    /// Another replica calls.
    OtherReplicaCalls,
}

impl Replicas {
    pub(super) fn new(store: Arc<Store>, upstream: UpstreamName, cache: Arc<TokenCache>) -> Self {
        Self { store, upstream, cache, lookups: Arc::default() }
    }

    /// The names of the session in Redis. Upstreams share none: STS may refuse to one what it grants to another.
    fn name(&self, redis: &Redis, key: &Key) -> Name {
        let mut parts = key.parts().to_vec();
        parts.extend(self.upstream.name_unless_default().map(Cow::Borrowed));
        redis.name(&parts)
    }

    /// Whether a store is configured but does not answer.
    pub(super) fn is_degraded(&self) -> bool {
        self.store.is_degraded()
    }

    pub(super) fn is_shared(&self) -> bool {
        self.store.shared().is_some()
    }

    /// What the replicas have, looked up once for all callers here. It waits while another replica calls STS, and
    /// returns `None` if a call is needed.
    ///
    /// It costs no budget, so it comes before the queue: a replica that has just started finds what others cached.
    pub(super) async fn check(self: &Arc<Self>, key: &Arc<Key>) -> Option<Outcome> {
        let Ok(entry) = self.lookups.join_or_start(key, || Ok::<_, Infallible>(((), ())));
        let waiter = match entry {
            Entry::Joined(waiter, _) => waiter,
            Entry::Started(waiter, lookup, ()) => {
                let replicas = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::select! {
                        found = replicas.wait_for_other(lookup.key()) => lookup.complete(found),
                        () = lookup.abandoned() => {}
                    }
                });
                waiter
            }
        };
        waiter.result().await?
    }

    /// What the replicas have, after another replica's call if one is in flight; `None` if a call is needed.
    pub(super) async fn wait_for_other(&self, key: &Arc<Key>) -> Option<Outcome> {
        let name = self.name(self.store.shared()?, key);
        let mut pause = FIRST_PAUSE;
        loop {
            let requested_at = self.cache.now();
            let SharedState { token, refusal, lease } = self.store.shared()?.look(&name).await?;
            if let Some(outcome) = self.adopt(key, requested_at, token, refusal, Duration::ZERO) {
                return Some(outcome);
            }
            let LeaseState::OtherReplica(left) = lease else { return None };
            let wait = pause.min(left).max(FIRST_PAUSE / 4);
            sleep(wait.mul_f64(0.75 + 0.5 * rand::random::<f64>())).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Adopts what the replicas share if it is an answer: a fresh token that lives longer than `beyond`, or a refusal.
    /// Its remaining lifetime is that at `requested_at`.
    pub(super) fn adopt(
        &self,
        key: &Arc<Key>,
        requested_at: Moment,
        token: Option<Shared<Credentials>>,
        refusal: Option<Shared<String>>,
        beyond: Duration,
    ) -> Option<Outcome> {
        if let Some(Shared { value, left }) = token {
            let token = Arc::new(Token::of_replica(Arc::clone(key), value, requested_at, left));
            // A token that is only usable is kept too, in case STS fails.
            if self.cache.is_usable(&token) && left > beyond {
                let token = self.cache.insert(token);
                if self.cache.is_fresh(&token) {
                    return Some(Ok(token));
                }
            }
        }
        let Shared { value: code, left } = refusal?;
        let negative = self.cache.negative();
        // Also if this replica is configured to remember none.
        if left.min(negative.lifetime()).is_zero() {
            return None;
        }
        let error = Arc::new(StsError::remembered(&code)?);
        negative.adopt(key, &error, requested_at, left);
        Some(Err(VendError::Sts(error)))
    }

    /// Asks for the lease to call STS for all replicas. A token that expires no later than `beyond` is no reason not to
    /// call.
    pub(super) async fn take_lease(&self, key: &Arc<Key>, beyond: Duration) -> LeaseAnswer {
        let Some(redis) = self.store.shared() else { return LeaseAnswer::Call(None) };
        let requested_at = self.cache.now();
        let Some(state) = redis.take_lease(&self.name(redis, key)).await else {
            return LeaseAnswer::Call(None);
        };
        let SharedState { token, refusal, lease } = state;
        match (self.adopt(key, requested_at, token, refusal, beyond), lease) {
            (None, LeaseState::Ours(lease)) => LeaseAnswer::Call(Some(lease)),
            (None, LeaseState::OtherReplica(_) | LeaseState::Free) => {
                LeaseAnswer::OtherReplicaCalls
            }
            (Some(outcome), LeaseState::Ours(lease)) => LeaseAnswer::Found(outcome, Some(lease)),
            (Some(outcome), LeaseState::OtherReplica(_) | LeaseState::Free) => {
                LeaseAnswer::Found(outcome, None)
            }
        }
    }

    /// Runs `work` and renews the lease meanwhile.
    pub(super) async fn while_held<T>(
        &self,
        lease: Option<&Lease>,
        work: impl Future<Output = T>,
    ) -> T {
        match (lease, self.store.shared()) {
            (Some(lease), Some(redis)) => tokio::select! {
                biased;
                done = work => done,
                never = redis.keep_renewed(lease) => match never {},
            },
            _ => work.await,
        }
    }

    /// Gives the lease back without a result.
    pub(super) async fn release(&self, lease: Lease) {
        if let Some(redis) = self.store.shared() {
            redis.complete(lease, CallResult::NotShared).await;
        }
    }

    /// Shares the outcome of a call, and gives its lease back.
    pub(super) async fn share(&self, key: &Arc<Key>, lease: Lease, outcome: &Outcome) {
        let Some(redis) = self.store.shared() else { return };
        let result = match outcome {
            Ok(token) => CallResult::Token(token.credentials(), token.remaining(self.cache.now())),
            Err(VendError::Sts(error)) => {
                error.code_to_remember().map_or(CallResult::NotShared, |code| {
                    CallResult::Refusal(code, self.cache.negative().lifetime())
                })
            }
            Err(_) => CallResult::NotShared,
        };
        redis.complete(lease, result).await;
        // Checked after it was stored: a reload before had nothing to remove yet.
        if !self.cache.may_keep(key) {
            self.forget(key).await;
        }
    }

    /// Whether another replica has refreshed the key's token, or is about to.
    pub(super) async fn refreshed_elsewhere(&self, key: &Arc<Key>) -> Option<Refresh> {
        let redis = self.store.shared()?;
        let requested_at = self.cache.now();
        let state = redis.look(&self.name(redis, key)).await?;
        let SharedState { token, refusal, lease } = state;
        match (self.adopt(key, requested_at, token, refusal, self.beyond_ours(key)), lease) {
            (Some(Ok(_)), _) => Some(Refresh::Shared),
            (Some(Err(_)), _) => Some(Refresh::Failed),
            (None, LeaseState::OtherReplica(_)) => Some(Refresh::UnderWay),
            (None, LeaseState::Ours(_) | LeaseState::Free) => None,
        }
    }

    /// How long a shared token must live to be newer than the one cached here.
    pub(super) fn beyond_ours(&self, key: &Arc<Key>) -> Duration {
        let ours = self.cache.peek(key);
        ours.map_or(Duration::ZERO, |token| token.remaining(self.cache.now()) + SAME_TOKEN)
    }

    /// Removes what the replicas share of a key. While Redis does not answer nothing is removed; it expires by itself.
    pub(super) async fn forget(&self, key: &Arc<Key>) {
        if let Some(redis) = self.store.shared() {
            redis.forget(&self.name(redis, key)).await;
        }
    }
}
