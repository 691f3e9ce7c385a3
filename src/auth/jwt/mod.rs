//! JWT authentication: tokens of configured issuers only.
//!
//! No decision uses the content of a token before its signature is verified. Before that, three values are looked up:
//! issuer, key and algorithm; each must be one that the configuration names.

mod active_issuer;
mod active_jwks;
mod address;
mod claim_path;
mod claims;
mod configured_keys;
mod fetch;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz_jwt;
mod issuer;
mod json;
mod jwk;
mod jwks;
mod jwks_refresher;
mod parsed;
mod problem;
mod refresh_trigger;
mod signature_algorithm;
#[cfg(test)]
mod tests;
mod token_kind;
mod verified_tokens;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::Caller;
use crate::outbound::Egress;
use crate::telemetry::IssuerMetrics;
use active_issuer::ActiveIssuer;
use appserver_domain::clock::{Clock, Moment};
use appserver_domain::{Fingerprint, IssuerName};
use jwks::Key;
use parsed::Parsed;
use problem::shown;
use verified_tokens::VerifiedTokenCache;

pub(crate) use address::KeyAddress;
pub(crate) use claim_path::ClaimPath;
pub(crate) use claims::{ClaimKind, ClaimRule, NamedClaim};
pub(crate) use configured_keys::{ConfiguredKeys, JwksEndpoint, RefreshPolicy};
pub(crate) use fetch::{FetchProblem, IssuerTlsError};
pub(crate) use issuer::{Issuer, SubjectType};
pub(crate) use jwks::Jwks;
use problem::JwtProblem;
pub(crate) use problem::JwtRefusal;
pub(crate) use signature_algorithm::SignatureAlgorithm;
pub(crate) use token_kind::TokenKind;

/// A longer token is rejected unread. The limit is that of a request's head, so every token that arrives whole is
/// read. Most have 1 to 2 KB, those of users with many groups more.
pub(crate) const LONGEST_TOKEN: usize = 16 * 1024;
/// The most keys that are tried for one token. Issuers have one to ten; this bounds the cost of a forged token.
const MAX_KEYS_TRIED: usize = 16;

/// The trusted issuers by the `iss` of their tokens.
#[derive(Default)]
pub(crate) struct Issuers {
    by_name: HashMap<String, Arc<ActiveIssuer>>,
    verified: VerifiedTokenCache,
}

/// A verified token: its caller, its lifetime, and the key that verified it.
struct VerifiedToken {
    caller: Caller,
    verified: Moment,
    lifetime: Duration,
    key: Arc<Key>,
    issuer: Arc<ActiveIssuer>,
}

impl VerifiedToken {
    /// Whether the token has expired by the wall clock or the monotonic clock, whichever is first.
    fn has_expired(&self, now: Moment) -> bool {
        now.since(self.verified) >= self.lifetime
    }

    /// Whether the token has not expired and its key is still valid.
    fn is_valid(&self, now: Moment) -> bool {
        !self.has_expired(now) && self.key.is_valid(now)
    }
}

/// Shared between the cache and its users: a clone copies a pointer, not a caller.
type SharedVerifiedToken = Arc<VerifiedToken>;

impl Issuers {
    /// The configured issuers. Starts a task for each issuer whose keys are fetched, so it needs a runtime.
    ///
    /// An issuer whose configuration did not change keeps its keys, its refresh task and its verified tokens. A
    /// changed issuer keeps its keys if their source is the same, and no verified tokens. A removed issuer keeps
    /// nothing; its task ends when `previous` is dropped.
    pub(crate) fn new(
        issuers: Vec<Issuer>,
        previous: Option<&Self>,
        egress: &Egress,
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, IssuerTlsError> {
        let before = |name: &str| previous.and_then(|previous| previous.by_name.get(name));
        let live = issuers.into_iter().map(|issuer| {
            let live = match before(&issuer.name) {
                Some(live) if live.issuer == issuer => Arc::clone(live),
                before => {
                    let before = before.map(|before| &**before);
                    Arc::new(ActiveIssuer::start(issuer, before, egress, clock, metrics)?)
                }
            };
            Ok((live.issuer.name.clone(), live))
        });
        let by_name: HashMap<_, _> = live.collect::<Result<_, _>>()?;
        let is_unchanged = |issuer: &Arc<ActiveIssuer>| {
            by_name.get(&issuer.issuer.name).is_some_and(|live| Arc::ptr_eq(live, issuer))
        };
        let verified = previous.map(|previous| previous.verified.retain_issuers(is_unchanged));
        Ok(Self { verified: verified.unwrap_or_default(), by_name })
    }

    /// The fingerprint that tickets of the issuer's users depend on; `None` if the issuer was removed.
    pub(super) fn parent(&self, issuer: &IssuerName) -> Option<Fingerprint> {
        let mut issuers = self.by_name.values().map(|live| &live.issuer);
        issuers.find(|live| live.id == *issuer).map(Issuer::parent)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// The caller of the token, by the keys at hand.
    pub(crate) fn verify(
        &self,
        token: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<Caller, JwtRefusal> {
        let token = token.expose_secret();
        if token.len() > LONGEST_TOKEN {
            return Err(JwtProblem::Malformed.into());
        }
        self.verified.get_or_verify(token, now, || self.proven(token, now)).map(|proven| {
            let VerifiedToken { caller, .. } = &*proven;
            caller.clone()
        })
    }

    /// The same for a token that was rejected because its key is unknown or does not verify it: the issuer may have
    /// rotated its keys, perhaps under the old `kid`. Triggers a refresh if one is allowed again, and waits for it up
    /// to a limit.
    pub(crate) async fn verify_by_newer_keys(
        &self,
        token: &SecretString,
        now: DateTime<Utc>,
        refusal: JwtRefusal,
    ) -> Result<Caller, JwtRefusal> {
        let issuer = Arc::clone(self.named_by(&Parsed::read(token.expose_secret())?)?);
        if issuer.refetched().await { self.verify(token, now) } else { Err(refusal) }
    }

    /// Whether verifying the token takes a signature check: it is not cached, and it has no fault that shows before
    /// the check.
    pub(crate) fn needs_signature_check(&self, token: &SecretString, now: DateTime<Utc>) -> bool {
        let token = token.expose_secret();
        token.len() <= LONGEST_TOKEN
            && !self.verified.contains(token, now)
            && self.check_header(token).is_ok()
    }

    fn check_header(&self, token: &str) -> Result<(), JwtRefusal> {
        let token = Parsed::read(token)?;
        token.header.check()?;
        self.named_by(&token)?.issuer.algorithm(&token.header.alg).map(drop)
    }

    fn proven(&self, token: &str, now: DateTime<Utc>) -> Result<VerifiedToken, JwtRefusal> {
        let token = Parsed::read(token)?;
        token.header.check()?;
        let live = self.named_by(&token)?;
        let of_issuer = |refusal: JwtRefusal| refusal.of_issuer(live.issuer.id.as_str());
        let verified = Moment::at(now);
        let key = verifying_key(&token, live, verified).map_err(of_issuer)?;
        let (caller, until) = live.issuer.proven(&token, now).map_err(of_issuer)?;
        let lifetime = (until - now).to_std().unwrap_or_default();
        Ok(VerifiedToken { caller, verified, lifetime, key, issuer: Arc::clone(live) })
    }

    /// The issuer that the token names.
    fn named_by(&self, token: &Parsed<'_>) -> Result<&Arc<ActiveIssuer>, JwtRefusal> {
        let name = token.issuer()?;
        self.by_name.get(name).ok_or_else(|| {
            // The most common mistake is a missing or additional slash at the end.
            let bare = |name: &str| name.trim_end_matches('/').to_ascii_lowercase();
            let near = self.by_name.values().find(|live| bare(&live.issuer.name) == bare(name));
            let near = near.map(|live| {
                let Issuer { id, name, .. } = &live.issuer;
                format!(
                    "; `issuers.{id}.issuer` is {name:?}, and both must be the same to the letter"
                )
            });
            let detail = format!("`iss` is {}{}", shown(name), near.unwrap_or_default());
            JwtRefusal::new(JwtProblem::UnknownIssuer, detail)
        })
    }
}

/// The issuer's key that verifies the token's signature. By RFC 7515 §4.1.4 several may match, so each is tried.
fn verifying_key(
    token: &Parsed<'_>,
    live: &ActiveIssuer,
    now: Moment,
) -> Result<Arc<Key>, JwtRefusal> {
    let algorithm = live.issuer.algorithm(&token.header.alg)?;
    let kid = token.header.kid.as_deref();
    let keys = live.ring().fitting(kid, algorithm, now);
    if keys.is_empty() {
        let named = kid
            .map_or_else(|| "has no `kid`".to_owned(), |kid| format!("has `kid` {}", shown(kid)));
        let detail = format!("it {named}, and `alg` is {algorithm:?}");
        return Err(JwtRefusal::new(JwtProblem::UnknownKey, detail));
    }
    if keys.len() > MAX_KEYS_TRIED {
        let detail = format!("{} of them; at most {MAX_KEYS_TRIED} are tried", keys.len());
        return Err(JwtRefusal::new(JwtProblem::ManyKeys, detail));
    }
    for key in keys {
        if key.verifies(token, algorithm)? {
            return Ok(key);
        }
    }
    Err(JwtProblem::Signature.into())
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.by_name).finish()
    }
}
