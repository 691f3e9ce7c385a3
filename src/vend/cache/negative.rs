//! The negative cache: refusals that STS would repeat.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::key::{Key, Prehashed};
use crate::sts::StsError;
use appserver_domain::clock::Moment;

/// An entry is valid for at most a minute, in which the budget allows some thousands of calls.
const MAX_ENTRIES: usize = 10_000;

/// The refusal of each session that STS refused, and how long it is returned without a call.
#[derive(Debug)]
pub(in crate::vend) struct NegativeCache {
    lifetime: Duration,
    by_key: Cache<Arc<Key>, Entry, UnitWeighter, Prehashed>,
}

#[derive(Clone, Debug)]
struct Entry {
    error: Arc<StsError>,
    since: Moment,
    valid_for: Duration,
}

impl NegativeCache {
    pub(in crate::vend) fn new(lifetime: Duration) -> Self {
        let lifecycle = DefaultLifecycle::default();
        let by_key = Cache::with(
            MAX_ENTRIES,
            MAX_ENTRIES as u64,
            UnitWeighter,
            Prehashed::default(),
            lifecycle,
        );
        Self { lifetime, by_key }
    }

    pub(in crate::vend) fn get(&self, key: &Arc<Key>, now: Moment) -> Option<Arc<StsError>> {
        let Entry { error, since, valid_for } = self.by_key.get(key)?;
        if now.since(since) < valid_for {
            return Some(error);
        }
        self.by_key.remove(key);
        None
    }

    /// Records the error if STS would repeat it.
    pub(in crate::vend) fn record(&self, key: &Arc<Key>, error: &Arc<StsError>, now: Moment) {
        if error.is_worth_remembering() {
            self.insert(key, error, now, self.lifetime);
        }
    }

    /// Records a refusal of another replica, for the time that was left of it at `requested_at`.
    pub(in crate::vend) fn adopt(
        &self,
        key: &Arc<Key>,
        error: &Arc<StsError>,
        requested_at: Moment,
        left: Duration,
    ) {
        self.insert(key, error, requested_at, left.min(self.lifetime));
    }

    /// Forgets everything: STS may answer differently from now on.
    pub(in crate::vend) fn clear(&self) {
        self.by_key.clear();
    }

    pub(in crate::vend) fn lifetime(&self) -> Duration {
        self.lifetime
    }

    fn insert(&self, key: &Arc<Key>, error: &Arc<StsError>, since: Moment, valid_for: Duration) {
        let entry = Entry { error: Arc::clone(error), since, valid_for };
        self.by_key.insert(Arc::clone(key), entry);
    }
}
