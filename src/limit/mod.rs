//! How many requests each client and each of its users may make, of all replicas together; and how often who is not
//! known may fail to prove itself, of each replica.

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

/// The clients' limits. A client without one is not limited here; its part of STS's quota is fair in any case.
#[derive(Debug)]
pub(crate) struct Limits {
    of_clients: HashMap<ClientId, OfClient>,
    subjects: Arc<Subjects>,
    store: Arc<Store>,
}

/// A client's limits, as they are configured.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientLimits {
    /// Of the client as a whole.
    pub(crate) whole: Option<Limit>,
    /// Of each of its users.
    pub(crate) subject: Option<Limit>,
}

/// Somebody has made more requests than they may.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("more than {terms} (limit `{}`)", .limit.as_str())]
pub(crate) struct Throttled {
    pub(crate) limit: LimitKind,
    pub(crate) terms: LimitTerms,
    pub(crate) retry_after: Duration,
}

#[derive(Debug)]
struct OfClient {
    limits: ClientLimits,
    /// Where the client as a whole has a limit.
    bucket: Option<Arc<Bucket>>,
}

impl Limits {
    /// The limits by these terms. What `before` has counted goes on where the terms are the same.
    pub(crate) fn new(
        limits: HashMap<ClientId, ClientLimits>,
        store: Arc<Store>,
        before: Option<&Self>,
    ) -> Self {
        let parts = store.expected_replicas();
        let of_client = |(client, limits): (ClientId, ClientLimits)| {
            let same = before.and_then(|before| before.of_clients.get(&client)?.bucket.as_ref());
            let bucket = limits.whole.map(|Limit { terms, .. }| {
                let same = same.filter(|bucket| bucket.terms() == terms).map(Arc::clone);
                same.unwrap_or_else(|| Arc::new(Bucket::new(terms, parts)))
            });
            (client, OfClient { limits, bucket })
        };
        let subjects = before.map(|before| Arc::clone(&before.subjects)).unwrap_or_default();
        Self { of_clients: limits.into_iter().map(of_client).collect(), subjects, store }
    }

    /// Shows each limit before the first request beyond it.
    pub(crate) fn show(&self, counts: &ThrottleMetrics) {
        for (client, OfClient { limits: ClientLimits { whole, subject }, .. }) in &self.of_clients {
            for (kind, limit) in [(LimitKind::Client, whole), (LimitKind::Subject, subject)] {
                if let Some(limit) = limit {
                    counts.begin(Some(client), kind.as_str(), limit.mode.as_str());
                }
            }
        }
    }

    pub(crate) fn of(&self, client: &ClientId) -> ClientLimits {
        self.of_clients.get(client).map(|of_client| of_client.limits).unwrap_or_default()
    }

    /// Lets a request of the client, or of a user of its, through, or says when one will be.
    ///
    /// The user's limit comes first: what it refuses does not spend the client's.
    pub(crate) async fn admit(
        &self,
        client: &ClientId,
        user: Option<(&IssuerName, &Subject)>,
        counts: &ThrottleMetrics,
    ) -> Result<(), Throttled> {
        let Some(OfClient { limits, bucket }) = self.of_clients.get(client) else { return Ok(()) };
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

    /// Zero if a request may go, or else how long it takes until one may.
    async fn wait(&self, bucket: &Bucket, name: &[&str]) -> Duration {
        let decided = match self.store.shared() {
            // Boxed: requests of clients without a limit have no room for it.
            Some(redis) => Box::pin(bucket.decide_with(redis, name)).await,
            None => None,
        };
        decided.unwrap_or_else(|| bucket.decide_alone())
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
