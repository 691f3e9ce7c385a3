//! Rate limits: requests of each client and of each of its users across all replicas, and failed authentications on
//! each replica. A refused request spends nothing of a later limit.

mod bucket;
mod failures;
mod sketch;
mod subjects;
mod terms;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use failures::{FailureSettings, Failures, Network, network};
pub(crate) use terms::{Limit, LimitKind, LimitMode, LimitTerms, Per};

use crate::store::Store;
use crate::telemetry::ThrottleMetrics;
use appserver_domain::{ClientId, IssuerName, Subject};
use bucket::Bucket;
use subjects::Subjects;

/// The clients' request limits. A client without one is not limited here; the budget still shares STS's quota fairly.
#[derive(Debug)]
pub(crate) struct Limits {
    clients: foldhash::HashMap<ClientId, LimitedClient>,
    subjects: Arc<Subjects>,
    store: Arc<Store>,
}

/// A client's configured limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientLimits {
    /// Of the client as a whole.
    pub(crate) whole: Option<Limit>,
    /// Of each of its users.
    pub(crate) subject: Option<Limit>,
}

/// A limit is exceeded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {terms} (limit `{}`)", .limit.as_str())]
pub(crate) struct Throttled {
    pub(crate) limit: LimitKind,
    pub(crate) terms: LimitTerms,
    pub(crate) retry_after: Duration,
}

#[derive(Debug)]
struct LimitedClient {
    limits: ClientLimits,
    /// `None` if the client as a whole has no limit.
    bucket: Option<Arc<Bucket>>,
}

impl Limits {
    /// Builds the limits. Counts of `previous` continue where the terms are the same.
    pub(crate) fn new(
        limits: HashMap<ClientId, ClientLimits>,
        store: Arc<Store>,
        previous: Option<&Self>,
    ) -> Self {
        let parts = store.expected_replicas();
        let client_limits = |(client, limits): (ClientId, ClientLimits)| {
            let same = previous.and_then(|previous| previous.clients.get(&client)?.bucket.as_ref());
            let bucket = limits.whole.map(|Limit { terms, .. }| {
                let same = same.filter(|bucket| bucket.terms() == terms).map(Arc::clone);
                same.unwrap_or_else(|| Arc::new(Bucket::new(terms, parts)))
            });
            (client, LimitedClient { limits, bucket })
        };
        let subjects = previous.map(|previous| Arc::clone(&previous.subjects)).unwrap_or_default();
        Self { clients: limits.into_iter().map(client_limits).collect(), subjects, store }
    }

    /// Creates each limit's metric, so that it is exported as 0 before the first request beyond the limit.
    pub(crate) fn start_metrics(&self, counts: &ThrottleMetrics) {
        for (client, LimitedClient { limits: ClientLimits { whole, subject }, .. }) in &self.clients
        {
            for (kind, limit) in [(LimitKind::Client, whole), (LimitKind::Subject, subject)] {
                if let Some(limit) = limit {
                    counts.create_series(Some(client), kind.as_str(), limit.mode.as_str());
                }
            }
        }
    }

    pub(crate) fn of(&self, client: &ClientId) -> ClientLimits {
        self.clients.get(client).map(|client_limits| client_limits.limits).unwrap_or_default()
    }

    /// Admits a request of the client, or of one of its users, or returns the exceeded limit.
    ///
    /// The user's limit is checked first, so that a request that it refuses does not spend the client's.
    pub(crate) async fn admit(
        &self,
        client: &ClientId,
        user: Option<(&IssuerName, &Subject)>,
        counts: &ThrottleMetrics,
    ) -> Result<(), Throttled> {
        let Some(LimitedClient { limits, bucket }) = self.clients.get(client) else {
            return Ok(());
        };
        if let (Some(limit), Some((issuer, subject))) = (limits.subject, user) {
            let parts = self.store.expected_replicas();
            let bucket = self.subjects.bucket(client, (issuer, subject), limit.terms, parts);
            let name = [client.as_str(), issuer.as_str(), subject.as_str()];
            let wait = self.wait(&bucket, &name).await;
            limit.admits(LimitKind::Subject, wait, client, counts)?;
        }
        if let (Some(limit), Some(bucket)) = (limits.whole, bucket) {
            let wait = self.wait(bucket, &[client.as_str()]).await;
            limit.admits(LimitKind::Client, wait, client, counts)?;
        }
        Ok(())
    }

    /// Zero if a request is admitted, otherwise the time until the next one is.
    async fn wait(&self, bucket: &Bucket, name: &[&str]) -> Duration {
        let decided = match self.store.shared() {
            // Boxed, so that the future of a client without a limit stays small.
            Some(redis) => Box::pin(bucket.decide_shared(redis, name)).await,
            None => None,
        };
        decided.unwrap_or_else(|| bucket.decide_locally())
    }
}

impl Limit {
    fn admits(
        self,
        limit: LimitKind,
        retry_after: Duration,
        client: &ClientId,
        counts: &ThrottleMetrics,
    ) -> Result<(), Throttled> {
        if retry_after.is_zero() {
            return Ok(());
        }
        counts.beyond(Some(client), limit.as_str(), self.mode.as_str());
        match self.mode {
            LimitMode::Enforce => Err(Throttled { limit, terms: self.terms, retry_after }),
            LimitMode::Shadow => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
