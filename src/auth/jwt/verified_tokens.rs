//! The cache of verified tokens: the second request with a token costs a hash instead of a signature check.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::active_issuer::ActiveIssuer;
use super::{JwtProblem, JwtRefusal, SharedVerifiedToken, VerifiedToken};
use appserver_domain::clock::Moment;

/// Tokens, some 500 bytes each. Beyond it the least used are evicted and verified again.
const MOST: usize = 50_000;

/// Verified tokens by their SHA-256. The tokens themselves are not stored.
#[derive(Debug)]
pub(super) struct VerifiedTokenCache(Cache<[u8; 32], SharedVerifiedToken>);

impl Default for VerifiedTokenCache {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl VerifiedTokenCache {
    /// Whether the token is cached and still valid.
    pub(super) fn contains(&self, token: &str, now: DateTime<Utc>) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.0.get(&hash).is_some_and(|verified| verified.is_valid(Moment::at(now)))
    }

    /// The cached token while it and the key that verified it are valid, or else the result of `verify`. A token that
    /// has expired in the cache is not verified again: a wall clock that was set back would accept it.
    pub(super) fn get_or_verify(
        &self,
        token: &str,
        now: DateTime<Utc>,
        verify: impl FnOnce() -> Result<VerifiedToken, JwtRefusal>,
    ) -> Result<SharedVerifiedToken, JwtRefusal> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(verified) = self.0.get(&hash) {
            let now = Moment::at(now);
            if verified.has_expired(now) {
                return Err(JwtProblem::Expired.into());
            }
            if verified.is_valid(now) {
                return Ok(verified);
            }
            self.0.remove(&hash);
        }
        let verified = Arc::new(verify()?);
        self.0.insert(hash, Arc::clone(&verified));
        Ok(verified)
    }

    /// A cache with the tokens of these issuers only.
    pub(super) fn retain_issuers(&self, is_unchanged: impl Fn(&Arc<ActiveIssuer>) -> bool) -> Self {
        let kept = Self::default();
        for (hash, verified) in self.0.iter().filter(|(_, verified)| is_unchanged(&verified.issuer))
        {
            kept.0.insert(hash, verified);
        }
        kept
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
