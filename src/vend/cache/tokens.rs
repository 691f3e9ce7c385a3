//! The cached tokens, with the grant holders that they are kept for and the schedule of their refreshes.
//!
//! Once `retain_holders` has returned, there is no token of another grant holder, and none is inserted.

use std::cell::RefCell;
use std::sync::Arc;

use quick_cache::{Lifecycle, UnitWeighter};
use tokio::time::Instant;

use super::grant_holder::GrantHolders;
use super::key::{Key, LookupKey, Prehashed};
use super::refresh_schedule::RefreshSchedule;
use super::sync::{Cache, Mutex};
use super::token::Token;
use appserver_domain::clock::Moment;

/// A bounded number of tokens by key, and when to refresh those that are in use.
///
/// Expired tokens are not removed: they are never handed out, and the next token of their key replaces them.
#[derive(Debug)]
pub(super) struct Tokens {
    kept: Cache<Arc<Key>, Arc<Token>, UnitWeighter, Prehashed, CancelRefresh>,
    refresh_schedule: Arc<RefreshSchedule>,
    /// Replaced as a whole by a reload. Locked while a token is inserted, so that none is inserted by what was true before
    /// a reload, and while a refresh is scheduled, so that no other token takes the key meanwhile. Hits do not lock it.
    holders: Mutex<Arc<GrantHolders>>,
}

/// Cancels the refresh of evicted and replaced tokens. (The cache does not report what `retain` removes.)
#[derive(Clone, Debug)]
struct CancelRefresh(Arc<RefreshSchedule>);

impl Lifecycle<Arc<Key>, Arc<Token>> for CancelRefresh {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), key: Arc<Key>, _: Arc<Token>) {
        self.0.cancel(&key);
    }
}

impl Tokens {
    pub(super) fn new(max_cached_tokens: usize) -> Self {
        let refresh_schedule = Arc::<RefreshSchedule>::default();
        let (weight, cancel_refresh) =
            (max_cached_tokens as u64, CancelRefresh(Arc::clone(&refresh_schedule)));
        let kept = Cache::with(
            max_cached_tokens,
            weight,
            UnitWeighter,
            Prehashed::default(),
            cancel_refresh,
        );
        Self { kept, refresh_schedule, holders: Mutex::new(Arc::new(GrantHolders::All)) }
    }

    pub(super) fn get(&self, lookup_key: &LookupKey<'_>) -> Option<Arc<Token>> {
        self.kept.get(lookup_key)
    }

    /// The same, without counting as a use that keeps the token from eviction.
    pub(super) fn peek(&self, key: &Arc<Key>) -> Option<Arc<Token>> {
        self.kept.peek(key)
    }

    /// Keeps the token for later callers, unless its grant holder was removed or the kept one lives longer, and returns the
    /// one to hand out.
    pub(super) fn insert(&self, token: Arc<Token>, now: Moment) -> Arc<Token> {
        let holders = self.holders.lock();
        let may_keep = |token: &Arc<Token>| holders.contains(token.key().holder());
        match self.peek(token.key()).filter(may_keep) {
            Some(held) if held.remaining(now) > token.remaining(now) => held,
            Some(_) | None => {
                if may_keep(&token) {
                    self.kept.insert(Arc::clone(token.key()), Arc::clone(&token));
                }
                token
            }
        }
    }

    /// Whether tokens may be kept for the key's grant holder.
    pub(super) fn may_keep(&self, key: &Key) -> bool {
        self.holders.lock().contains(key.holder())
    }

    /// Removes the tokens of all other grant holders and returns their keys.
    pub(super) fn retain_holders(&self, holders: GrantHolders) -> Vec<Arc<Key>> {
        let holders = Arc::new(holders);
        // Replaced first: what was inserted before is removed below.
        *self.holders.lock() = Arc::clone(&holders);
        self.remove_unless(|key| holders.contains(key.holder()))
    }

    /// Schedules the refresh of the token, if it is the one kept for its key.
    pub(super) fn schedule_refresh(&self, token: &Arc<Token>, due: Instant) {
        let _no_insertion = self.holders.lock();
        if self.contains(token) {
            self.refresh_schedule.schedule(token.key(), due);
            // It may have been removed before; a removal after this line cancels the schedule itself.
            if !self.contains(token) {
                self.refresh_schedule.cancel(token.key());
            }
        }
    }

    /// Whether this very token is the one kept for its key.
    fn contains(&self, token: &Arc<Token>) -> bool {
        self.peek(token.key()).is_some_and(|kept| Arc::ptr_eq(&kept, token))
    }

    pub(super) fn refresh_schedule(&self) -> &Arc<RefreshSchedule> {
        &self.refresh_schedule
    }

    /// Removes the tokens whose keys do not satisfy `stays` and returns these keys. None of them is refreshed.
    pub(super) fn remove_unless(&self, stays: impl Fn(&Key) -> bool) -> Vec<Arc<Key>> {
        let removed = RefCell::new(Vec::new());
        self.kept.retain(|key, _| {
            let stays = stays(key);
            if !stays {
                // Here, where no other token can take the key before.
                self.refresh_schedule.cancel(key);
                removed.borrow_mut().push(Arc::clone(key));
            }
            stays
        });
        removed.into_inner()
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}
