//! One flight: its turn, its attempts at STS, and what is learnt from them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::budget::Turn;
use super::engine::Engine;
use super::error::VendError;
use super::single_flight::{InFlightCall, Outcome};
use super::token::{Origin, Token};
use crate::store::Lease;
use crate::sts::{AssumeRole, RoleSession, StsError, retrying};
use crate::telemetry::current_trace_id;
use appserver_domain::ClientId;
use appserver_domain::clock::Stamp;

/// Who pays for a flight.
#[derive(Debug)]
pub(super) enum Payer {
    /// A caller who waits, out of the budget, with its place in the queue.
    Client(ClientId, Turn),
    /// The share for refreshing ahead: one attempt, and it is paid.
    RefreshShare,
}

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    /// Flies, keeps what it brings, and tells everyone who waits.
    pub(super) async fn run(
        self: Arc<Self>,
        flight: InFlightCall<Outcome>,
        mut payer: Payer,
    ) -> Outcome {
        let turn = async {
            match &mut payer {
                Payer::Client(_, turn) => turn.wait().await,
                Payer::RefreshShare => {}
            }
        };
        // In the queue a flight costs nothing yet, so one that nobody waits for ends there.
        tokio::select! {
            biased;
            () = turn => {}
            () = flight.turn_signal().woken() => {}
            () = flight.abandoned() => return Err(VendError::TimedOut),
        }
        flight.turn_signal().done();
        if let Payer::Client(_, turn) = &mut payer {
            turn.release();
        }
        let deadline = Instant::now() + self.settings.call_timeout;
        let lease = match self.lease(&flight, &payer, deadline).await {
            Ok(lease) => lease,
            Err(needless) => {
                flight.complete(needless.clone());
                return needless;
            }
        };
        let called = Instant::now();
        let call = self.call(&flight, &payer, deadline);
        let outcome = match self.while_held(lease.as_ref(), call).await {
            Ok(token) => {
                log_minted(flight.key().session(), &payer, &token, called.elapsed());
                Ok(self.keep(token))
            }
            Err(error) => {
                if let VendError::Sts(error) = &error {
                    self.negative_cache.note(flight.key(), error, self.clock.moment());
                }
                Err(error)
            }
        };
        let key = Arc::clone(flight.key());
        flight.complete(outcome.clone());
        // Those who wait here have it by now; a slow Redis delays nobody.
        if let Some(lease) = lease {
            self.share(&key, lease, &outcome).await;
        }
        outcome
    }

    /// Does what the lease was taken for, and prolongs it meanwhile.
    async fn while_held<T>(&self, lease: Option<&Lease>, work: impl Future<Output = T>) -> T {
        match (lease, self.store.shared()) {
            (Some(lease), Some(redis)) => tokio::select! {
                biased;
                done = work => done,
                never = redis.hold(lease) => match never {},
            },
            _ => work.await,
        }
    }

    /// Calls STS, as often as it is worth it and the budget allows.
    async fn call(
        &self,
        flight: &InFlightCall<Outcome>,
        payer: &Payer,
        deadline: Instant,
    ) -> Outcome {
        let attempt = |number| self.attempt(flight, payer, number, deadline);
        let most = match payer {
            Payer::Client(..) => self.settings.max_attempts,
            Payer::RefreshShare => NonZeroU32::MIN,
        };
        match retrying(deadline, most, attempt).await {
            Ok(outcome) => outcome,
            Err(error) => Err(VendError::Sts(Arc::new(error))),
        }
    }

    /// One attempt, paid and learnt from. The inner error ends the call: nothing was sent.
    async fn attempt(
        &self,
        flight: &InFlightCall<Outcome>,
        payer: &Payer,
        number: u32,
        deadline: Instant,
    ) -> Result<Outcome, StsError> {
        if number > 1
            && let Payer::Client(client, _) = payer
        {
            // Another attempt is another call, with another place in the queue; and not for nobody.
            if flight.is_abandoned() {
                return Ok(Err(VendError::TimedOut));
            }
            match self.budget.enter(client, deadline) {
                Ok(mut turn) => {
                    // It comes when it was said, unless the budget has shrunk since.
                    if timeout_at(deadline, turn.wait()).await.is_err() {
                        return Ok(Err(VendError::TimedOut));
                    }
                }
                Err(overloaded) => return Ok(Err(overloaded)),
            }
        }
        if let Err(open) = self.breaker.admit() {
            return Ok(Err(open));
        }
        // Before the call: what comes back may have lain on the way, and be older than it seems.
        let asked = self.clock.moment();
        let call = self.sts.assume_role(flight.key().session(), number, deadline);
        // Boxed: what goes on around it would otherwise be moved with room for it.
        let outcome = Box::pin(call).await;
        self.breaker.learn(!outcome.as_ref().is_err_and(StsError::is_an_outage));
        if outcome.as_ref().is_err_and(StsError::is_throttling) {
            self.budget.cut().await;
        }
        let origin = match payer {
            Payer::Client(..) => Origin::Need,
            Payer::RefreshShare => Origin::Renewal,
        };
        let key = Arc::clone(flight.key());
        outcome.map(|credentials| Ok(Arc::new(Token::new(key, credentials, asked, origin))))
    }
}

/// The one line of a token, when it comes from STS; it is handed out many times after that. ActionTrail names sessions
/// by the same key id.
fn log_minted(session: &RoleSession, payer: &Payer, token: &Token, took: Duration) {
    let credentials = token.credentials();
    let (client, message) = match payer {
        Payer::Client(client, _) => (Some(client.as_str()), "minted a token"),
        Payer::RefreshShare => (None, "renewed a token"),
    };
    tracing::info!(
        client.id = client,
        role.arn = session.role.as_str(),
        session.name = session.name.as_str(),
        trace.id = current_trace_id(),
        token.access_key_id = credentials.access_key_id(),
        token.expires_at = Stamp::of(credentials.expiration()).as_str(),
        sts.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "{message}",
    );
}
