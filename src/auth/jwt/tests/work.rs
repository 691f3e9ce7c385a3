//! A running issuer, with access to its state.

use std::time::Duration;

use tokio::time::advance;

use super::*;

/// A single issuer and its clock.
pub(super) struct Work {
    pub(super) issuers: Arc<Issuers>,
    pub(super) clock: Clock,
    pub(super) metrics: IssuerMetrics,
    pub(super) name: String,
}

impl Work {
    pub(super) fn begin(issuer: Issuer) -> Self {
        let (clock, metrics) = (Clock::manual(now()), IssuerMetrics::default());
        let name = issuer.name.clone();
        let issuers =
            Issuers::new(vec![issuer], None, &Egress::default(), &clock, &metrics).unwrap();
        Self { issuers: Arc::new(issuers), clock, metrics, name }
    }

    /// After the first fetch.
    pub(super) async fn begun(issuer: Issuer) -> Self {
        let work = Self::begin(issuer);
        work.fetched(1).await;
        work
    }

    pub(super) fn live(&self) -> &ActiveIssuer {
        &self.issuers.by_name[&self.name]
    }

    /// Waits until this number of fetches has ended.
    pub(super) async fn fetched(&self, times: u64) {
        self.live().fetches().wait_for(|count| *count >= times).await.unwrap();
        settle().await;
    }

    /// The number of fetches that have ended.
    pub(super) fn fetches(&self) -> u64 {
        *self.live().fetches().borrow()
    }

    pub(super) fn at_once(&self, token: &SecretString) -> Result<Caller, JwtRefusal> {
        self.issuers.verify(token, self.clock.now())
    }

    /// Verifies the token as a request does.
    pub(super) async fn verify(&self, token: &SecretString) -> Result<Caller, JwtRefusal> {
        match self.at_once(token) {
            Err(refusal) if refusal.may_end_with_newer_keys() => {
                self.issuers.verify_by_newer_keys(token, self.clock.now(), refusal).await
            }
            outcome => outcome,
        }
    }
}

/// Lets every task run until it waits for a timer or a socket.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Advances the timers and then the wall clock.
pub(super) async fn pass(work: &Work, secs: u64) {
    work.clock.advance(TimeDelta::seconds(secs.try_into().unwrap()));
    advance(Duration::from_secs(secs)).await;
    settle().await;
}
