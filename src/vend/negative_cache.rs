//! Refusals that STS would only repeat.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::key::{Key, Prehashed};
use crate::sts::StsError;
use appserver_domain::clock::Moment;

/// More are not worth remembering: each is good for a minute, in which the budget makes some thousands of calls.
const MOST: usize = 10_000;

/// For each session that STS refused for its own sake: the refusal, and how long it is taken for the answer.
#[derive(Debug)]
pub(super) struct NegativeCache {
    remember_for: Duration,
    by_key: Cache<Arc<Key>, Remembered, UnitWeighter, Prehashed>,
}

#[derive(Clone, Debug)]
struct Remembered {
    error: Arc<StsError>,
    since: Moment,
    good_for: Duration,
}

impl NegativeCache {
    pub(super) fn new(remember_for: Duration) -> Self {
        let lifecycle = DefaultLifecycle::default();
        let by_key = Cache::with(MOST, MOST as u64, UnitWeighter, Prehashed::default(), lifecycle);
        Self { remember_for, by_key }
    }

    pub(super) fn of(&self, key: &Arc<Key>, now: Moment) -> Option<Arc<StsError>> {
        let Remembered { error, since, good_for } = self.by_key.get(key)?;
        if now.since(since) < good_for {
            return Some(error);
        }
        self.by_key.remove(key);
        None
    }

    /// Remembers the error if STS would repeat it.
    pub(super) fn note(&self, key: &Arc<Key>, error: &Arc<StsError>, now: Moment) {
        if error.is_worth_remembering() {
            self.keep(key, error, now, self.remember_for);
        }
    }

    /// Remembers what another replica was refused, for what was left of that when it was `asked` for.
    pub(super) fn adopt(
        &self,
        key: &Arc<Key>,
        error: &Arc<StsError>,
        asked: Moment,
        left: Duration,
    ) {
        self.keep(key, error, asked, left.min(self.remember_for));
    }

    /// STS may say something else from now on.
    pub(super) fn forget(&self) {
        self.by_key.clear();
    }

    pub(super) fn remember_for(&self) -> Duration {
        self.remember_for
    }

    fn keep(&self, key: &Arc<Key>, error: &Arc<StsError>, since: Moment, good_for: Duration) {
        let remembered = Remembered { error: Arc::clone(error), since, good_for };
        self.by_key.insert(Arc::clone(key), remembered);
    }
}
