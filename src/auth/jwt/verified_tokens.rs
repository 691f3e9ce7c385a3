//! Tokens that were verified before: a phone's second call costs a hash.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::active_issuer::ActiveIssuer;
use super::{JwtProblem, JwtRefusal, Proof, VerifiedToken};
use appserver_domain::clock::Moment;

/// Tokens, some 500 bytes each; beyond it those that are used least are verified again.
const MOST: usize = 50_000;

/// What tokens prove, by their SHA-256: the tokens themselves are kept nowhere.
#[derive(Debug)]
pub(super) struct VerifiedTokenCache(Cache<[u8; 32], Proof>);

impl Default for VerifiedTokenCache {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl VerifiedTokenCache {
    /// Whether it is known what the token proves.
    pub(super) fn holds(&self, token: &str, now: DateTime<Utc>) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        self.0.get(&hash).is_some_and(|proof| proof.holds(Moment::at(now)))
    }

    /// What the token was found to prove, as long as it does and the key that verified it is believed; or what `verify`
    /// finds. One that has ended since is not verified anew: a wall clock that was set back would take it again.
    pub(super) fn or_verify(
        &self,
        token: &str,
        now: DateTime<Utc>,
        verify: impl FnOnce() -> Result<VerifiedToken, JwtRefusal>,
    ) -> Result<Proof, JwtRefusal> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(proof) = self.0.get(&hash) {
            let now = Moment::at(now);
            if proof.is_over(now) {
                return Err(JwtProblem::Expired.into());
            }
            if proof.holds(now) {
                return Ok(proof);
            }
            self.0.remove(&hash);
        }
        let proof = Arc::new(verify()?);
        self.0.insert(hash, Arc::clone(&proof));
        Ok(proof)
    }

    /// What was remembered of these issuers' tokens, and of no others.
    pub(super) fn of(&self, still_believed: impl Fn(&Arc<ActiveIssuer>) -> bool) -> Self {
        let kept = Self::default();
        for (hash, proof) in self.0.iter().filter(|(_, proof)| still_believed(&proof.issuer)) {
            kept.0.insert(hash, proof);
        }
        kept
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
