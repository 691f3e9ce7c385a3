//! Which replicas have read a change of the list in Redis: a revocation that nobody reads refuses nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep};

use crate::revocation::{CurrentState, Revoked, SharedRevocations};
use crate::store::Redis;

/// How long replicas are waited for: they read twice a second, and one that is gone is forgotten within three seconds.
const MAX_WAIT: Duration = Duration::from_secs(4);
/// In this time each replica looks twice, and has put back what a Redis without a list has lost.
const TWO_LOOKS: Duration = Duration::from_millis(1_200);
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

pub(super) const NOBODY_READS: &str = "no replica reads this list. If replicas run, they use another `store.redis.url` or \
                                       `store.redis.key_prefix`, or do not reach Redis";

/// The replicas that read the list, from before a change of it.
#[derive(Debug)]
pub(super) struct Readers {
    /// All that were seen, and whether each cannot decrypt what this program encrypts.
    seen: BTreeMap<String, bool>,
}

/// Which of them have read the change.
#[derive(Debug)]
pub(super) struct ReadBy {
    pub(super) all: usize,
    pub(super) with_other_keys: usize,
    /// How many read the list, and have not read the change.
    pub(super) behind: usize,
    /// The ids of those that had not read it when they stopped reading.
    pub(super) gone: Vec<String>,
}

/// How a wait for the replicas ended.
#[derive(Debug)]
pub(super) enum Waited {
    Known(ReadBy),
    /// Redis has a state that is not what was meant.
    Overruled,
}

impl Readers {
    /// Those that read the list before a change. A change that they do not read is not enforced, also if they are gone then.
    pub(super) async fn before_change(redis: &Redis) -> Option<Self> {
        let replicas = redis.revocation_readers().await?.replicas;
        let seen = replicas.into_iter().map(|(id, reader)| (id, reader.has_other_keys)).collect();
        Some(Self { seen })
    }

    /// Whether replicas read the list, and none of them can decrypt what this program encrypts.
    pub(super) fn all_have_other_keys(&self) -> bool {
        !self.seen.is_empty() && self.seen.values().all(|has_other| *has_other)
    }

    /// Waits until all that can decrypt it have proven that they know a state that is what was meant; `None` if Redis does not
    /// answer. Everything else in Redis can be written by others: that a replica has read the list is no proof.
    pub(super) async fn until_known(
        &mut self,
        redis: &Redis,
        what: &Revoked,
        now: DateTime<Utc>,
        is_meant: impl Fn(&CurrentState) -> bool,
    ) -> Option<Waited> {
        let began = Instant::now();
        // Others change the same name, too: each state that is meant is as good.
        let (mut states, mut done) = (Vec::new(), BTreeSet::new());
        loop {
            let state = SharedRevocations::current(redis, what, now).await?;
            if !is_meant(&state) {
                return Some(Waited::Overruled);
            }
            if states.last() != Some(&state) {
                states.push(state);
            }
            let readers = redis.revocation_readers().await?;
            for (id, reader) in &readers.replicas {
                self.seen.insert(id.clone(), reader.has_other_keys);
                if states.iter().any(|state| state.is_known_to(redis, id, reader)) {
                    done.insert(id.clone());
                }
            }
            let waits = began.elapsed();
            let missing =
                self.seen.iter().filter(|(id, has_other)| !**has_other && !done.contains(*id));
            let missing: Vec<_> = missing.map(|(id, _)| id.clone()).collect();
            if (!self.seen.is_empty() && missing.is_empty()) || waits >= MAX_WAIT {
                let (behind, gone): (Vec<_>, Vec<_>) =
                    missing.into_iter().partition(|id| readers.replicas.contains_key(id));
                return Some(Waited::Known(ReadBy {
                    all: self.seen.len(),
                    with_other_keys: self.seen.values().filter(|has_other| **has_other).count(),
                    behind: behind.len(),
                    gone,
                }));
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }

    /// Waits until the replicas have put back what Redis has lost.
    pub(super) async fn until_put_back(redis: &Redis) -> Option<()> {
        let began = Instant::now();
        loop {
            let readers = redis.revocation_readers().await?;
            let version = &readers.version;
            let is_read = readers.replicas.values().all(|one| one.version == *version);
            let waits = began.elapsed();
            let is_settled = if version.is_empty() { waits >= TWO_LOOKS } else { is_read };
            if readers.replicas.is_empty() || is_settled || waits >= MAX_WAIT {
                return Some(());
            }
            sleep(BETWEEN_LOOKS).await;
        }
    }
}

impl ReadBy {
    /// Which replicas have not read the change, and the way out; `None` if all have.
    pub(super) fn missing(&self) -> Option<String> {
        let Self { all, behind, gone, .. } = self;
        if !gone.is_empty() {
            let (count, ids) = (gone.len(), gone.join(", "));
            return Some(format!(
                "{count} of {all} replicas read this list when the command began and stopped without having read it: {ids} \
                 (`store.replica` in their logs). One that runs is cut off from Redis: stop it, or let it reach Redis. If they \
                 were stopped, run the command again"
            ));
        }
        let text = format!(
            "{behind} of {all} replicas have not read it yet: see their log, and run the command again"
        );
        (*behind > 0).then_some(text)
    }
}
