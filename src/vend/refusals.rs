//! Refusals that STS would only repeat.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::time::Instant;

use super::key::{Key, Prehashed};
use crate::sts::StsError;

/// More are not worth remembering: each is good for a minute, in which the budget makes some thousands of calls.
const MOST: usize = 10_000;

/// For each session that STS refused for its own sake: the refusal, and until when it is taken for the answer.
#[derive(Debug)]
pub(super) struct Refusals {
    remember_for: Duration,
    by_key: Cache<Arc<Key>, (Instant, Arc<StsError>), UnitWeighter, Prehashed>,
}

impl Refusals {
    pub(super) fn new(remember_for: Duration) -> Self {
        let lifecycle = DefaultLifecycle::default();
        let by_key = Cache::with(MOST, MOST as u64, UnitWeighter, Prehashed::default(), lifecycle);
        Self { remember_for, by_key }
    }

    pub(super) fn of(&self, key: &Arc<Key>) -> Option<Arc<StsError>> {
        let (until, error) = self.by_key.get(key)?;
        if Instant::now() < until {
            return Some(error);
        }
        self.by_key.remove(key);
        None
    }

    /// Remembers the error if STS would repeat it.
    pub(super) fn note(&self, key: &Arc<Key>, error: &Arc<StsError>) {
        if error.is_worth_remembering() {
            self.keep(key, error, self.remember_for);
        }
    }

    /// Remembers what another replica was refused, for what is left of that.
    pub(super) fn adopt(&self, key: &Arc<Key>, error: &Arc<StsError>, left: Duration) {
        self.keep(key, error, left.min(self.remember_for));
    }

    /// STS may say something else from now on.
    pub(super) fn forget(&self) {
        self.by_key.clear();
    }

    pub(super) fn remember_for(&self) -> Duration {
        self.remember_for
    }

    fn keep(&self, key: &Arc<Key>, error: &Arc<StsError>, left: Duration) {
        self.by_key.insert(Arc::clone(key), (Instant::now() + left, Arc::clone(error)));
    }
}
