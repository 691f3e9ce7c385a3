//! Calls to STS, each attempt paid from the budget and admitted by the breaker.
//!
//! This is the only place of the service that asks STS for credentials.

use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::time::{Instant, timeout_at};

use super::breaker::StsBreaker;
use super::budget::{Budget, Turn};
use super::error::VendError;
use super::settings::VendSettings;
use crate::sts::{AssumeRole, RoleSession, StsError, retrying};
use appserver_domain::clock::{Clock, Moment};
use appserver_domain::{ClientId, Credentials, UpstreamName};

/// STS, with the limits on calling it.
#[derive(Debug)]
pub(super) struct StsCalls<S> {
    sts: S,
    /// Of the account that the credentials belong to; replaced when they are verified.
    budget: ArcSwap<Budget>,
    breaker: StsBreaker,
    max_attempts: NonZeroU32,
    clock: Clock,
}

/// What pays for a call.
#[derive(Debug)]
pub(super) enum Payer {
    /// A client whose caller waits, with its turn in the budget.
    Client(ClientId, Turn),
    /// The budget's share for refreshes: one attempt, which is paid already.
    RefreshShare,
}

/// What STS issued.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) credentials: Credentials,
    pub(super) requested_at: Moment,
}

impl<S: AssumeRole + Sync> StsCalls<S> {
    pub(super) fn new(
        sts: S,
        upstream: UpstreamName,
        budget: Arc<Budget>,
        settings: &VendSettings,
        clock: Clock,
    ) -> Self {
        Self {
            sts,
            budget: ArcSwap::new(budget),
            breaker: StsBreaker::new(settings.breaker, upstream),
            max_attempts: settings.max_attempts,
            clock,
        }
    }

    pub(super) fn sts(&self) -> &S {
        &self.sts
    }

    pub(super) fn budget(&self) -> Arc<Budget> {
        self.budget.load_full()
    }

    /// Spends this budget from now on. Calls that queue for another one keep their turns in it.
    pub(super) fn spend(&self, budget: Arc<Budget>) {
        self.budget.store(budget);
    }

    pub(super) fn breaker(&self) -> &StsBreaker {
        &self.breaker
    }

    /// Whether a call makes sense now: there are credentials to sign it with, and the breaker would admit it.
    pub(super) fn check(&self) -> Result<(), VendError> {
        self.can_sign()?;
        self.breaker.check()
    }

    fn can_sign(&self) -> Result<(), VendError> {
        if self.sts.can_sign() { Ok(()) } else { Err(VendError::NoCredentials) }
    }

    /// Calls STS until it answers, fails for good, or no attempt, budget or time is left. A call that is abandoned is
    /// not attempted again.
    pub(super) async fn call(
        &self,
        session: &RoleSession,
        payer: &Payer,
        is_abandoned: impl Fn() -> bool + Sync,
        deadline: Instant,
    ) -> Result<Issued, VendError> {
        let is_abandoned = &is_abandoned;
        let attempt = |number| async move {
            if number > 1
                && let Err(error) = self.pay_again(payer, is_abandoned, deadline).await
            {
                return Ok(Err(error));
            }
            self.attempt(session, number, deadline).await
        };
        let max_attempts = match payer {
            Payer::Client(..) => self.max_attempts,
            Payer::RefreshShare => NonZeroU32::MIN,
        };
        match retrying(deadline, max_attempts, attempt).await {
            Ok(result) => result,
            Err(error) => Err(VendError::Sts(Arc::new(error))),
        }
    }

    /// Waits for another turn: a second attempt is another call.
    async fn pay_again(
        &self,
        payer: &Payer,
        is_abandoned: impl Fn() -> bool,
        deadline: Instant,
    ) -> Result<(), VendError> {
        let Payer::Client(client, _) = payer else { return Ok(()) };
        if is_abandoned() {
            return Err(VendError::TimedOut);
        }
        let mut turn = self.budget().enter(client, deadline)?;
        // The turn comes in time, unless the budget shrinks meanwhile.
        timeout_at(deadline, turn.wait()).await.map_err(|_| VendError::TimedOut)
    }

    /// One attempt, whose result is recorded in the breaker and the budget. The inner error ends the call: nothing was sent.
    async fn attempt(
        &self,
        session: &RoleSession,
        number: u32,
        deadline: Instant,
    ) -> Result<Result<Issued, VendError>, StsError> {
        // Before the breaker, which would wait for the outcome of an attempt that it admits.
        if let Err(reason) = self.can_sign().and_then(|()| self.breaker.admit()) {
            return Ok(Err(reason));
        }
        // Taken before the call: the answer may be delayed on its way, and is older than it seems.
        let requested_at = self.clock.moment();
        // Boxed, because the futures around it are moved and would contain it.
        let result = Box::pin(self.sts.assume_role(session, number, deadline)).await;
        self.breaker.record(!result.as_ref().is_err_and(StsError::is_an_outage));
        if result.as_ref().is_err_and(StsError::is_throttling) {
            self.budget().cut().await;
        }
        result.map(|credentials| Ok(Issued { credentials, requested_at }))
    }
}
