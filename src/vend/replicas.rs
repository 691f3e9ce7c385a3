//! What other replicas have for a key: a token, a refusal, or a flight under way.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::engine::Engine;
use super::error::VendError;
use super::key::Key;
use super::single_flight::{Entry, InFlightCall, Outcome};
use super::sts_calls::Payer;
use super::token::Token;
use crate::store::{CallResult, Lease, LeaseState, Shared, SharedState};
use crate::sts::{AssumeRole, StsError};
use crate::telemetry::Refresh;
use appserver_domain::Credentials;
use appserver_domain::clock::Moment;

/// Between two looks at another replica's flight. STS answers within 50 to 200 ms; what takes longer is looked for less
/// often.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A token that lives longer than ours by less was not renewed: it is the same one, and clocks are not that good.
const SAME: Duration = Duration::from_secs(5);

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    /// What the replicas have, looked for once for all callers here who need it.
    ///
    /// It costs no budget, so it comes before the queue: a replica that has just started finds what others have kept.
    pub(super) async fn check_replicas(self: &Arc<Self>, key: &Arc<Key>) -> Option<Outcome> {
        // A flight of our own will have looked already.
        if self.store.shared().is_none() || self.in_flight.is_under_way(key) {
            return None;
        }
        let Ok(entry) = self.lookups.join_or_start(key, None, || Ok::<_, Infallible>(()));
        let waiter = match entry {
            Entry::Joined(waiter, _) => waiter,
            Entry::Started(waiter, look, ()) => {
                let engine = Arc::clone(self);
                tokio::spawn(async move {
                    tokio::select! {
                        found = engine.found(look.key()) => look.complete(found),
                        () = look.abandoned() => {}
                    }
                });
                waiter
            }
        };
        waiter.outcome().await?
    }

    /// What the replicas have, after another's flight if there is one; nothing if somebody has to fetch it.
    async fn found(&self, key: &Arc<Key>) -> Option<Outcome> {
        let name = self.store.shared()?.name(&key.parts());
        let mut pause = FIRST_PAUSE;
        loop {
            let asked = self.clock.moment();
            let SharedState { token, refusal, lease } = self.store.shared()?.look(&name).await?;
            if let Some(outcome) = self.adopt(key, asked, token, refusal, Duration::ZERO) {
                return Some(outcome);
            }
            let LeaseState::OtherReplica(left) = lease else { return None };
            let wait = pause.min(left).max(FIRST_PAUSE / 4);
            sleep(wait.mul_f64(0.75 + 0.5 * rand::random::<f64>())).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes over what replicas share, if it answers the need: a fresh token with more than `beyond`
    /// left, or a refusal. What is left of it was so when it was `asked` for.
    pub(super) fn adopt(
        &self,
        key: &Arc<Key>,
        asked: Moment,
        token: Option<Shared<Credentials>>,
        refusal: Option<Shared<String>>,
        beyond: Duration,
    ) -> Option<Outcome> {
        let (now, freshness) = (self.clock.moment(), &self.settings.freshness);
        if let Some(Shared { value, left }) = token {
            let token = Arc::new(Token::of_replica(Arc::clone(key), value, asked, left));
            // Also one that is only usable: it is there when STS fails.
            if token.is_usable(now, freshness) && left > beyond {
                let token = self.keep(token);
                if token.is_fresh(now, freshness) {
                    return Some(Ok(token));
                }
            }
        }
        let Shared { value: code, left } = refusal?;
        // Also where this replica is not to remember any.
        if left.min(self.negative_cache.remember_for()).is_zero() {
            return None;
        }
        let error = Arc::new(StsError::remembered(&code)?);
        self.negative_cache.adopt(key, &error, asked, left);
        Some(Err(VendError::Sts(error)))
    }

    /// The lease to call STS for all replicas, before the call and after its turn came; or what makes the call needless.
    /// There is none where nothing is shared.
    pub(super) async fn lease(
        &self,
        flight: &InFlightCall<Outcome>,
        payer: &Payer,
        deadline: Instant,
    ) -> Result<Option<Lease>, Outcome> {
        let key = flight.key();
        let beyond = match payer {
            Payer::Client(..) => Duration::ZERO,
            Payer::RefreshShare => self.beyond_ours(key),
        };
        loop {
            let Some(redis) = self.store.shared() else { return Ok(None) };
            let asked = self.clock.moment();
            let Some(view) = redis.take_lease(&redis.name(&key.parts())).await else {
                return Ok(None);
            };
            let SharedState { token, refusal, lease } = view;
            match (self.adopt(key, asked, token, refusal, beyond), lease) {
                (None, LeaseState::Ours(lease)) => return Ok(Some(lease)),
                (Some(outcome), lease) => {
                    self.budget.refund();
                    if let LeaseState::Ours(lease) = lease {
                        redis.complete(lease, CallResult::Nothing).await;
                    }
                    return Err(outcome);
                }
                (None, LeaseState::OtherReplica(_) | LeaseState::Free) => self.budget.refund(),
            }
            // Another replica was faster: what it brings is for us too. If it brings nothing, it is our turn again.
            let Payer::Client(client, _) = payer else { return Err(Err(VendError::TimedOut)) };
            let found = tokio::select! {
                found = timeout_at(deadline, self.found(key)) => found,
                () = flight.abandoned() => return Err(Err(VendError::TimedOut)),
            };
            match found {
                Ok(Some(outcome)) => return Err(outcome),
                Ok(None) => {
                    let mut turn = self.budget.enter(client, deadline).map_err(Err)?;
                    let turn = timeout_at(deadline, turn.wait()).await;
                    turn.map_err(|_| Err(VendError::TimedOut))?;
                }
                Err(_) => return Err(Err(VendError::TimedOut)),
            }
        }
    }

    /// Tells the other replicas what a flight brought.
    pub(super) async fn share(&self, key: &Arc<Key>, lease: Lease, outcome: &Outcome) {
        let Some(redis) = self.store.shared() else { return };
        let landed = match outcome {
            Ok(token) => {
                CallResult::Token(token.credentials(), token.remaining(self.clock.moment()))
            }
            Err(VendError::Sts(error)) => {
                error.code_to_remember().map_or(CallResult::Nothing, |code| {
                    CallResult::Refusal(code, self.negative_cache.remember_for())
                })
            }
            Err(_) => CallResult::Nothing,
        };
        redis.complete(lease, landed).await;
        // After it was put there: see `retain_holders`.
        if !self.may_keep(key) {
            self.forget_shared(key).await;
        }
    }

    /// Whether another replica has renewed the key's token, or is about to.
    pub(super) async fn renewed_elsewhere(&self, key: &Arc<Key>) -> Option<Refresh> {
        let redis = self.store.shared()?;
        let asked = self.clock.moment();
        let SharedState { token, refusal, lease } = redis.look(&redis.name(&key.parts())).await?;
        match (self.adopt(key, asked, token, refusal, self.beyond_ours(key)), lease) {
            (Some(Ok(_)), _) => Some(Refresh::Shared),
            (Some(Err(_)), _) => Some(Refresh::Failed),
            (None, LeaseState::OtherReplica(_)) => Some(Refresh::UnderWay),
            (None, LeaseState::Ours(_) | LeaseState::Free) => None,
        }
    }

    fn beyond_ours(&self, key: &Arc<Key>) -> Duration {
        let ours = self.tokens.peek(key);
        ours.map_or(Duration::ZERO, |token| token.remaining(self.clock.moment()) + SAME)
    }
}
