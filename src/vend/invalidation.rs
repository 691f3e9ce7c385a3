//! Tokens that nobody may have any more: of clients that were disabled, and of grants that were changed.

use std::sync::Arc;

use super::engine::Engine;
use super::grant_holder::GrantHolders;
use super::key::Key;
use super::token::Token;
use crate::sts::AssumeRole;

impl<S: AssumeRole + Send + Sync + 'static> Engine<S> {
    /// Drops what is kept for others than these. Nothing of it is renewed.
    pub(super) fn retain_holders(self: &Arc<Self>, holders: GrantHolders) {
        let holders = Arc::new(holders);
        // First: a flight that lands from here on sees it, and one that has landed before is swept.
        self.holders.store(Arc::clone(&holders));
        let dropped = self.tokens.drop_unless(|key| holders.contain(key.holder()));
        if dropped.is_empty() {
            return;
        }
        tracing::info!(
            cache.tokens = dropped.len(),
            "dropped the tokens that nobody may have any more"
        );
        let engine = Arc::clone(self);
        tokio::spawn(async move {
            for key in dropped {
                engine.forget_shared(&key).await;
            }
        });
    }

    /// Keeps the token for those who come later, unless it was fetched for somebody who may not have it any more.
    pub(super) fn keep(&self, token: Arc<Token>) -> Arc<Token> {
        let kept = self.tokens.keep(token, self.clock.moment());
        // After it was put there: see `retain_holders`.
        if !self.may_keep(kept.key()) {
            self.tokens.drop(kept.key());
        }
        kept
    }

    pub(super) fn may_keep(&self, key: &Arc<Key>) -> bool {
        self.holders.load().contain(key.holder())
    }

    /// Drops what replicas share of a key. Without Redis there is nothing, and what is there ends by itself.
    pub(super) async fn forget_shared(&self, key: &Arc<Key>) {
        if let Some(redis) = self.store.shared() {
            redis.forget(&redis.name(&key.parts())).await;
        }
    }
}
