//! Runs a call in flight: it waits for a turn and the lease, calls STS, and gives all waiters the one result.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::cache::{Key, Prehashed, Token, TokenCache, TokenOrigin};
use super::error::{Outcome, VendError};
use super::replicas::{LeaseAnswer, Replicas};
use super::sts_calls::{Payer, StsCalls};
use super::turn_signal::TurnSignal;
use crate::single_flight::InFlightCall;
use crate::store::Lease;
use crate::sts::{AssumeRole, RoleSession};
use crate::telemetry::current_trace_id;
use appserver_domain::clock::Stamp;

type Call = InFlightCall<Arc<Key>, Outcome, TurnSignal, Prehashed>;

/// The parts that a call needs from its turn to its result.
#[derive(Debug)]
pub(super) struct CallRunner<S> {
    cache: Arc<TokenCache>,
    replicas: Arc<Replicas>,
    sts_calls: Arc<StsCalls<S>>,
    call_timeout: Duration,
}

impl<S: AssumeRole + Sync> CallRunner<S> {
    pub(super) fn new(
        cache: Arc<TokenCache>,
        replicas: Arc<Replicas>,
        sts_calls: Arc<StsCalls<S>>,
        call_timeout: Duration,
    ) -> Self {
        Self { cache, replicas, sts_calls, call_timeout }
    }

    /// Runs a call: waits for a turn, asks the replicas for the lease, calls STS, caches the result and hands it to all
    /// waiters.
    pub(super) async fn run(self: Arc<Self>, call: Call, mut payer: Payer) -> Outcome {
        let turn = async {
            match &mut payer {
                Payer::Client(_, turn) => turn.wait().await,
                Payer::RefreshShare => {}
            }
        };
        // A call in the queue has cost nothing yet, so it ends there if it is abandoned.
        tokio::select! {
            biased;
            () = turn => {}
            () = call.context().woken() => {}
            () = call.abandoned() => return Err(VendError::TimedOut),
        }
        call.context().close();
        if let Payer::Client(_, turn) = &mut payer {
            turn.release();
        }
        let deadline = Instant::now() + self.call_timeout;
        let lease = match self.lease(&call, &payer, deadline).await {
            Ok(lease) => lease,
            Err(outcome) => {
                call.complete(outcome.clone());
                return outcome;
            }
        };
        let outcome = self.call_sts(&call, &payer, lease.as_ref(), deadline).await;
        let key = Arc::clone(call.key());
        call.complete(outcome.clone());
        // The callers here have the outcome by now; a slow Redis delays none of them.
        if let Some(lease) = lease {
            self.replicas.share(&key, lease, &outcome).await;
        }
        outcome
    }

    /// The lease to call STS for all replicas, or the outcome that makes the call needless.
    async fn lease(
        &self,
        call: &Call,
        payer: &Payer,
        deadline: Instant,
    ) -> Result<Option<Lease>, Outcome> {
        let budget = self.sts_calls.budget();
        let beyond = match payer {
            Payer::Client(..) => Duration::ZERO,
            Payer::RefreshShare => self.replicas.beyond_ours(call.key()),
        };
        loop {
            match self.replicas.take_lease(call.key(), beyond).await {
                LeaseAnswer::Call(lease) => return Ok(lease),
                LeaseAnswer::Found(outcome, lease) => {
                    budget.refund();
                    if let Some(lease) = lease {
                        self.replicas.release(lease).await;
                    }
                    return Err(outcome);
                }
                LeaseAnswer::OtherReplicaCalls => budget.refund(),
            }
            // The other replica's result is shared. If it has none, this replica asks for the lease again.
            let Payer::Client(client, _) = payer else { return Err(Err(VendError::TimedOut)) };
            let found = tokio::select! {
                found = timeout_at(deadline, self.replicas.wait_for_other(call.key())) => found,
                () = call.abandoned() => return Err(Err(VendError::TimedOut)),
            };
            match found {
                Ok(Some(outcome)) => return Err(outcome),
                Ok(None) => {
                    let mut turn = budget.enter(client, deadline).map_err(Err)?;
                    let waited = timeout_at(deadline, turn.wait()).await;
                    waited.map_err(|_| Err(VendError::TimedOut))?;
                }
                Err(_) => return Err(Err(VendError::TimedOut)),
            }
        }
    }

    /// Calls STS while the lease is held, and caches the token or the refusal.
    async fn call_sts(
        &self,
        call: &Call,
        payer: &Payer,
        lease: Option<&Lease>,
        deadline: Instant,
    ) -> Outcome {
        let (key, started) = (call.key(), Instant::now());
        let calling = self.sts_calls.call(key.session(), payer, || call.is_abandoned(), deadline);
        match self.replicas.while_held(lease, calling).await {
            Ok(issued) => {
                let origin = match payer {
                    Payer::Client(..) => TokenOrigin::Miss,
                    Payer::RefreshShare => TokenOrigin::Refresh,
                };
                let (credentials, at) = (issued.credentials, issued.requested_at);
                let token = Token::new(Arc::clone(key), credentials, at, origin);
                log_issued(key.session(), payer, &token, started.elapsed());
                Ok(self.cache.insert(Arc::new(token)))
            }
            Err(error) => {
                if let VendError::Sts(error) = &error {
                    self.cache.negative().record(key, error, self.cache.now());
                }
                Err(error)
            }
        }
    }
}

/// The one log line of a token, written when STS issues it; it is handed out many times after that. At `debug`, because
/// the audit has a line of each that is handed out. ActionTrail shows sessions under the same key id.
fn log_issued(session: &RoleSession, payer: &Payer, token: &Token, took: Duration) {
    let credentials = token.credentials();
    let (client, message) = match payer {
        Payer::Client(client, _) => (Some(client.as_str()), "issued a token"),
        Payer::RefreshShare => (None, "renewed a token"),
    };
    tracing::debug!(
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
