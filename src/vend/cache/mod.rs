//! The results of earlier calls: tokens, refusals that STS would repeat, and the grant holders that tokens are kept for.
//!
//! A token whose grant holder was removed does not stay here, not even one that arrives after the removal.

mod attachments;
mod grant_holder;
mod key;
mod negative;
mod refresh_schedule;
mod token;
mod tokens;

/// What threads share. `tests::token_schedules` compiles the tokens with others.
mod sync {
    pub(super) use parking_lot::{Mutex, MutexGuard};
    pub(super) use quick_cache::sync::Cache;
}

use std::sync::Arc;

use super::settings::{Freshness, VendSettings};
use crate::sts::RoleSession;
use appserver_domain::clock::{Clock, Moment};
use tokens::Tokens;

pub(crate) use grant_holder::{GrantHolder, GrantHolders};
pub(crate) use key::KeyHashing;
pub(super) use key::{Key, LookupKey, Prehashed};
pub(super) use negative::NegativeCache;
pub(super) use refresh_schedule::RefreshSchedule;
pub(super) use token::TokenOrigin;
pub(crate) use token::{Token, TokenSource};

/// The tokens and refusals of this replica.
#[derive(Debug)]
pub(super) struct TokenCache {
    tokens: Tokens,
    negative: NegativeCache,
    hashing: KeyHashing,
    freshness: Freshness,
    /// Entries expire by this clock.
    clock: Clock,
}

/// The result of a lookup.
pub(super) enum CacheLookup<'a> {
    Fresh(Arc<Token>),
    /// There is no fresh token under this key.
    Miss(LookupKey<'a>),
}

impl TokenCache {
    pub(super) fn new(settings: &VendSettings, clock: Clock) -> Self {
        Self {
            tokens: Tokens::new(settings.max_cached_tokens),
            negative: NegativeCache::new(settings.negative_cache_lifetime),
            hashing: KeyHashing::default(),
            freshness: settings.freshness,
            clock,
        }
    }

    /// Looks for a fresh token of the session.
    pub(super) fn lookup<'a>(
        &self,
        session: &'a RoleSession,
        holder: &'a GrantHolder,
        now: Moment,
    ) -> CacheLookup<'a> {
        let key = self.hashing.key_of(session, holder);
        match self.tokens.get(&key) {
            Some(token) if token.is_fresh(now, &self.freshness) => CacheLookup::Fresh(token),
            Some(_) | None => CacheLookup::Miss(key),
        }
    }

    /// The token under this key, fresh or not.
    pub(super) fn get(&self, key: &LookupKey<'_>) -> Option<Arc<Token>> {
        self.tokens.get(key)
    }

    /// The same, without counting as a use that keeps the token from eviction.
    pub(super) fn peek(&self, key: &Arc<Key>) -> Option<Arc<Token>> {
        self.tokens.peek(key)
    }

    /// [`peek`](Self::peek) for a token that is fresh.
    pub(super) fn peek_fresh(&self, key: &Arc<Key>) -> Option<Arc<Token>> {
        self.peek(key).filter(|token| self.is_fresh(token))
    }

    pub(super) fn has_usable(&self, key: &Arc<Key>) -> bool {
        self.peek(key).is_some_and(|token| self.is_usable(&token))
    }

    pub(super) fn is_fresh(&self, token: &Token) -> bool {
        token.is_fresh(self.now(), &self.freshness)
    }

    pub(super) fn is_usable(&self, token: &Token) -> bool {
        token.is_usable(self.now(), &self.freshness)
    }

    /// Keeps the token for later callers, unless its grant holder was removed, and returns the one to hand out: the
    /// token that was kept for its key if that lives longer.
    pub(super) fn insert(&self, token: Arc<Token>) -> Arc<Token> {
        self.tokens.insert(token, self.now())
    }

    /// Whether tokens may be kept for the key's grant holder.
    pub(super) fn may_keep(&self, key: &Arc<Key>) -> bool {
        self.tokens.may_keep(key)
    }

    /// Removes the tokens of all other grant holders and returns their keys. None of them is refreshed, and none is inserted
    /// any more.
    pub(super) fn retain_holders(&self, holders: GrantHolders) -> Vec<Arc<Key>> {
        self.tokens.retain_holders(holders)
    }

    /// Removes the tokens of these holders and returns their keys. None of them is refreshed.
    ///
    /// A token that is on its way meanwhile is kept afterwards, which the caller must allow for.
    pub(super) fn remove_holders(
        &self,
        is_removed: impl Fn(&GrantHolder) -> bool,
    ) -> Vec<Arc<Key>> {
        self.tokens.remove_unless(|key| !is_removed(key.holder()))
    }

    /// Schedules the refresh of the token, if it is the one kept for its key.
    pub(super) fn schedule_refresh(&self, token: &Arc<Token>, at: tokio::time::Instant) {
        self.tokens.schedule_refresh(token, at);
    }

    pub(super) fn refresh_schedule(&self) -> &Arc<RefreshSchedule> {
        self.tokens.refresh_schedule()
    }

    /// Refusals that STS would repeat.
    pub(super) fn negative(&self) -> &NegativeCache {
        &self.negative
    }

    pub(super) fn freshness(&self) -> &Freshness {
        &self.freshness
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.moment()
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }
}

#[cfg(test)]
mod tests;
