//! What each user of a client has left, of a bounded number of users.
//!
//! A user whose bucket is dropped for others' gets a full one when they come again. That is rare and harmless: who asks
//! often is kept before who does not, and who has not asked for a while has a full bucket in any case. Nobody can make
//! users to push others out: each is proven by the client's identity provider. A table of fixed size that users share
//! was left out: there a user could be refused for another's requests.

use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::sync::Arc;

use foldhash::quality::RandomState;
use quick_cache::sync::Cache;

use super::LimitTerms;
use super::bucket::Bucket;
use appserver_domain::{ClientId, IssuerName, Subject};

/// Users of all clients together, some 200 bytes each.
const MOST: usize = 100_000;

/// The buckets by a keyed hash of whose they are and of their terms: with other terms a user begins anew.
#[derive(Debug)]
pub(super) struct Subjects {
    buckets: Cache<u64, Arc<Bucket>>,
    hashing: RandomState,
}

impl Default for Subjects {
    fn default() -> Self {
        Self { buckets: Cache::new(MOST), hashing: RandomState::default() }
    }
}

impl Subjects {
    pub(super) fn bucket(
        &self,
        client: &ClientId,
        user: (&IssuerName, &Subject),
        terms: LimitTerms,
        parts: NonZeroU32,
    ) -> Arc<Bucket> {
        let key = self.hashing.hash_one((client, user, terms));
        let full = || Ok::<_, std::convert::Infallible>(Arc::new(Bucket::new(terms, parts)));
        let Ok(bucket) = self.buckets.get_or_insert_with(&key, full);
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Per;

    /// T26.
    #[tokio::test(start_paused = true)]
    async fn a_million_users_are_bounded_and_the_greedy_one_stays_limited() {
        let count = |n| NonZeroU32::new(n).unwrap();
        let terms = LimitTerms { requests: count(10), per: Per::Minute, burst: count(5) };
        let subjects = Subjects::default();
        let client = "photo-app".parse().unwrap();
        let greedy = "greedy".parse().unwrap();
        let issuer = "company".parse().unwrap();
        let asks = |subject: &Subject| {
            subjects.bucket(&client, (&issuer, subject), terms, NonZeroU32::MIN)
        };
        let mut admitted = 0;
        for n in 0..1_000_000 {
            let other = format!("user-{n}").parse().unwrap();
            assert!(asks(&other).decide_alone().is_zero(), "their first request");
            if n % 1_000 == 0 {
                admitted += usize::from(asks(&greedy).decide_alone().is_zero());
            }
        }
        assert_eq!(admitted, 5, "of 1000");
        assert!(subjects.buckets.len() <= MOST, "{}", subjects.buckets.len());
    }
}
