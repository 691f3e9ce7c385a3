//! The tokens that are kept.

use std::cell::RefCell;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Lifecycle, UnitWeighter};
use tokio::time::Instant;

use super::key::{Key, LookupKey, Prehashed};
use super::refresh_schedule::RefreshSchedule;
use super::token::Token;
use appserver_domain::clock::Moment;

/// Tokens by what STS saw, at most so many; and when to renew those that are in use.
///
/// They are not thrown out when they end: an ended token is never handed out, and the next that is needed for its
/// key takes its place.
#[derive(Debug)]
pub(super) struct Tokens {
    kept: Cache<Arc<Key>, Arc<Token>, UnitWeighter, Prehashed, Forgetting>,
    refresh_schedule: Arc<RefreshSchedule>,
}

/// What is evicted or replaced is not renewed. (The cache says nothing of what is removed by its key.)
#[derive(Clone, Debug)]
struct Forgetting(Arc<RefreshSchedule>);

impl Lifecycle<Arc<Key>, Arc<Token>> for Forgetting {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), key: Arc<Key>, _: Arc<Token>) {
        self.0.forget(&key);
    }
}

impl Tokens {
    pub(super) fn new(max_cached_tokens: usize) -> Self {
        let refresh_schedule = Arc::<RefreshSchedule>::default();
        let (weight, forgetting) =
            (max_cached_tokens as u64, Forgetting(Arc::clone(&refresh_schedule)));
        let kept =
            Cache::with(max_cached_tokens, weight, UnitWeighter, Prehashed::default(), forgetting);
        Self { kept, refresh_schedule }
    }

    pub(super) fn of(&self, lookup_key: &LookupKey<'_>) -> Option<Arc<Token>> {
        self.kept.get(lookup_key)
    }

    /// The same, without counting as a use that keeps the token from eviction.
    pub(super) fn peek(&self, key: &Arc<Key>) -> Option<Arc<Token>> {
        self.kept.peek(key)
    }

    /// Whether it is this token that is kept for its key.
    pub(super) fn keeps(&self, token: &Arc<Token>) -> bool {
        self.peek(token.key()).is_some_and(|kept| Arc::ptr_eq(&kept, token))
    }

    /// Keeps the token, or the one that is kept for its key if that lives longer; whichever it is.
    pub(super) fn keep(&self, token: Arc<Token>, now: Moment) -> Arc<Token> {
        match self.peek(token.key()) {
            Some(held) if held.remaining(now) > token.remaining(now) => held,
            Some(_) | None => {
                self.kept.insert(Arc::clone(token.key()), Arc::clone(&token));
                token
            }
        }
    }

    /// Has the token of the key renewed then, if there still is one.
    pub(super) fn renew_at(&self, key: &Arc<Key>, due: Instant) {
        self.refresh_schedule.schedule(key, due);
        // It may have been evicted meanwhile; what is evicted from here on finds what it has to forget.
        if self.peek(key).is_none() {
            self.refresh_schedule.forget(key);
        }
    }

    /// What is to be renewed, and when.
    pub(super) fn refresh_schedule(&self) -> &Arc<RefreshSchedule> {
        &self.refresh_schedule
    }

    pub(super) fn drop(&self, key: &Arc<Key>) {
        self.kept.remove(key);
        self.refresh_schedule.forget(key);
    }

    /// Drops all but what is to stay; the keys of what went.
    pub(super) fn drop_unless(&self, stays: impl Fn(&Key) -> bool) -> Vec<Arc<Key>> {
        let dropped = RefCell::new(Vec::new());
        self.kept.retain(|key, _| {
            let stays = stays(key);
            if !stays {
                dropped.borrow_mut().push(Arc::clone(key));
            }
            stays
        });
        let dropped = dropped.into_inner();
        dropped.iter().for_each(|key| self.refresh_schedule.forget(key));
        dropped
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vend::key::KeyHashing;
    use crate::vend::token::tests::{a_token, now};

    /// T57.
    #[tokio::test(start_paused = true)]
    async fn a_stream_of_keys_asked_twice_leaves_no_more_timers_than_kept_tokens() {
        let (tokens, hashing) = (Tokens::new(1000), KeyHashing::default());
        for n in 0..200_000_u64 {
            let token = tokens.keep(a_token(&hashing, &format!("device-{n}")), now());
            tokens.renew_at(token.key(), Instant::now() + Duration::from_secs(n % 40_000));
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
    async fn what_is_dropped_or_replaced_or_not_there_has_no_timer() {
        let (tokens, hashing) = (Tokens::new(10), KeyHashing::default());
        let a_token = |name| a_token(&hashing, name);
        let kept = ["dropped", "retained", "swept", "replaced"].map(|name| {
            let token = tokens.keep(a_token(name), now());
            tokens.renew_at(token.key(), Instant::now());
            token
        });
        assert_eq!(tokens.refresh_schedule.len(), 4);
        tokens.drop(kept[0].key());
        assert_eq!(tokens.refresh_schedule.len(), 3);
        let dropped = tokens.drop_unless(|key| key.session().name.as_str() != "swept");
        assert_eq!((dropped.len(), tokens.refresh_schedule.len()), (1, 2));
        tokio::time::advance(Duration::from_secs(1)).await;
        tokens.keep(a_token("replaced"), now());
        assert_eq!(tokens.refresh_schedule.len(), 1, "the next one has not been used");
        tokens.renew_at(a_token("never-kept").key(), Instant::now());
        assert_eq!(tokens.refresh_schedule.len(), 1);
        assert!(Arc::ptr_eq(&tokens.refresh_schedule.next().await, kept[1].key()));
        assert_eq!(tokens.refresh_schedule.len(), 0);
    }
}
