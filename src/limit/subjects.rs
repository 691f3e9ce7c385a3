//! The buckets of users, at most `MAX_USERS`.
//!
//! A user whose bucket was evicted gets a full one with the next request. That is rare and harmless: the cache evicts
//! idle users before frequent ones, and an idle user's bucket is full anyway. Nobody can invent users to evict others:
//! the client's identity provider vouches for each. A table of fixed size, as for failures, was left out: users would
//! share its cells, and one could be refused for another's requests.

use std::hash::BuildHasher;
use std::num::NonZeroU32;
use std::sync::Arc;

use foldhash::quality::RandomState;
use quick_cache::sync::Cache;

use super::LimitTerms;
use super::bucket::Bucket;
use appserver_domain::{ClientId, IssuerName, Subject};

/// Users of all clients together, some 200 bytes each.
const MAX_USERS: usize = 100_000;

/// The buckets by a keyed hash of client, user and terms: after a change of the terms a user begins with a full one.
#[derive(Debug)]
pub(super) struct Subjects {
    buckets: Cache<u64, Arc<Bucket>>,
    hashing: RandomState,
}

impl Default for Subjects {
    fn default() -> Self {
        Self { buckets: Cache::new(MAX_USERS), hashing: RandomState::default() }
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

    #[tokio::test(start_paused = true)]
    async fn a_million_users_take_bounded_memory_and_a_greedy_one_stays_limited() {
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
            assert!(asks(&other).decide_locally().is_zero(), "their first request");
            if n % 1_000 == 0 {
                admitted += usize::from(asks(&greedy).decide_locally().is_zero());
            }
        }
        assert_eq!(admitted, 5, "of 1000");
        assert!(subjects.buckets.len() <= MAX_USERS, "{}", subjects.buckets.len());
    }
}
