//! The cached tokens, with the schedule of their refreshes.

use std::cell::RefCell;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, UnitWeighter};
use tokio::time::Instant;

use super::key::{Key, LookupKey, Prehashed};
use super::refresh_schedule::RefreshSchedule;
use super::token::Token;
use appserver_domain::clock::Moment;

/// A bounded number of tokens by key, and when to refresh those that are in use.
///
/// Expired tokens are not removed: they are never handed out, and the next token of their key replaces them.
#[derive(Debug)]
pub(super) struct Tokens {
    kept: Cache<Arc<Key>, Arc<Token>, UnitWeighter, Prehashed, CancelRefresh>,
    refresh_schedule: Arc<RefreshSchedule>,
}

/// Cancels the refresh of evicted and replaced tokens. (The cache does not report what is removed by its key.)
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
        Self { kept, refresh_schedule }
    }

    pub(super) fn get(&self, lookup_key: &LookupKey<'_>) -> Option<Arc<Token>> {
        self.kept.get(lookup_key)
    }

    /// The same, without counting as a use that keeps the token from eviction.
    pub(super) fn peek(&self, key: &Arc<Key>) -> Option<Arc<Token>> {
        self.kept.peek(key)
    }

    /// Whether this very token is the one kept for its key.
    pub(super) fn contains(&self, token: &Arc<Token>) -> bool {
        self.peek(token.key()).is_some_and(|kept| Arc::ptr_eq(&kept, token))
    }

    /// Keeps the token, unless the one kept for its key lives longer, and returns the kept one.
    pub(super) fn insert(&self, token: Arc<Token>, now: Moment) -> Arc<Token> {
        match self.peek(token.key()) {
            Some(held) if held.remaining(now) > token.remaining(now) => held,
            Some(_) | None => {
                self.kept.insert(Arc::clone(token.key()), Arc::clone(&token));
                token
            }
        }
    }

    /// Schedules the refresh of the key's token, if there still is one.
    pub(super) fn schedule_refresh(&self, key: &Arc<Key>, due: Instant) {
        self.refresh_schedule.schedule(key, due);
        // The token may have been evicted before; an eviction after this line cancels the schedule itself.
        if self.peek(key).is_none() {
            self.refresh_schedule.cancel(key);
        }
    }

    pub(super) fn refresh_schedule(&self) -> &Arc<RefreshSchedule> {
        &self.refresh_schedule
    }

    pub(super) fn remove(&self, key: &Arc<Key>) {
        self.kept.remove(key);
        self.refresh_schedule.cancel(key);
    }

    /// Removes the tokens whose keys do not satisfy `stays` and returns these keys.
    pub(super) fn remove_unless(&self, stays: impl Fn(&Key) -> bool) -> Vec<Arc<Key>> {
        let removed = RefCell::new(Vec::new());
        self.kept.retain(|key, _| {
            let stays = stays(key);
            if !stays {
                removed.borrow_mut().push(Arc::clone(key));
            }
            stays
        });
        let removed = removed.into_inner();
        for key in &removed {
            self.refresh_schedule.cancel(key);
        }
        removed
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vend::cache::key::KeyHashing;
    use crate::vend::cache::token::tests::{a_token, now};

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_keys_used_twice_leaves_no_more_timers_than_tokens() {
        let (tokens, hashing) = (Tokens::new(1000), KeyHashing::default());
        for n in 0..200_000_u64 {
            let token = tokens.insert(a_token(&hashing, &format!("device-{n}")), now());
            tokens.schedule_refresh(token.key(), Instant::now() + Duration::from_secs(n % 40_000));
            if n % 1000 == 0 {
                assert!(
                    tokens.refresh_schedule.len() <= tokens.len() && tokens.len() <= 1000,
                    "{n}"
                );
            }
        }
        assert!(tokens.refresh_schedule.len() > 900, "{}", tokens.refresh_schedule.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_removed_replaced_or_missing_token_has_no_timer() {
        let (tokens, hashing) = (Tokens::new(10), KeyHashing::default());
        let a_token = |name| a_token(&hashing, name);
        let kept = ["removed", "retained", "swept", "replaced"].map(|name| {
            let token = tokens.insert(a_token(name), now());
            tokens.schedule_refresh(token.key(), Instant::now());
            token
        });
        assert_eq!(tokens.refresh_schedule.len(), 4);
        tokens.remove(kept[0].key());
        assert_eq!(tokens.refresh_schedule.len(), 3);
        let removed = tokens.remove_unless(|key| key.session().name.as_str() != "swept");
        assert_eq!((removed.len(), tokens.refresh_schedule.len()), (1, 2));
        tokio::time::advance(Duration::from_secs(1)).await;
        tokens.insert(a_token("replaced"), now());
        assert_eq!(tokens.refresh_schedule.len(), 1, "the next one has not been used");
        tokens.schedule_refresh(a_token("never-kept").key(), Instant::now());
        assert_eq!(tokens.refresh_schedule.len(), 1);
        assert!(Arc::ptr_eq(&tokens.refresh_schedule.next().await, kept[1].key()));
        assert_eq!(tokens.refresh_schedule.len(), 0);
    }
}
