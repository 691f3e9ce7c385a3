//! JWTs: a token of an issuer that the operator has named, and of no other.
//!
//! Nothing that is decided is taken from the token before its signature is verified. Of what it says before that, three things are
//! looked up: the issuer, the key and the algorithm; each must be one that the configuration has named.

mod active_issuer;
mod active_jwks;
mod address;
mod claim_path;
mod claims;
mod configured_keys;
mod fetch;
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
pub(crate) use fetch::IssuerTlsError;
pub(crate) use issuer::{Issuer, SubjectType};
pub(crate) use jwks::Jwks;
use problem::JwtProblem;
pub(crate) use problem::JwtRefusal;
pub(crate) use signature_algorithm::SignatureAlgorithm;
pub(crate) use token_kind::TokenKind;

/// A longer token is not looked at: as much as the head of a request may have, so that what arrives is read. Most have 1 to
/// 2 KB, those of users with many groups more.
pub(crate) const LONGEST_TOKEN: usize = 16 * 1024;
/// So many keys are tried for one token, if so many fit. Issuers have one to ten; what a forged token costs stays some ten
/// times what it costs with one.
const MOST_TRIED: usize = 16;

/// The issuers by what their tokens say in `iss`.
#[derive(Default)]
pub(crate) struct Issuers {
    by_name: HashMap<String, Arc<ActiveIssuer>>,
    remembered: VerifiedTokenCache,
}

/// A caller, for how long its token proves it, and what verified the token.
struct VerifiedToken {
    caller: Caller,
    verified: Moment,
    good_for: Duration,
    key: Arc<Key>,
    issuer: Arc<ActiveIssuer>,
}

impl VerifiedToken {
    /// Whether the token has ended, by the clock that says so first.
    fn is_over(&self, now: Moment) -> bool {
        now.since(self.verified) >= self.good_for
    }

    /// Whether it is still believed.
    fn holds(&self, now: Moment) -> bool {
        !self.is_over(now) && self.key.is_valid(now)
    }
}

/// What is remembered and handed out: a copy costs a count, not a caller.
type Proof = Arc<VerifiedToken>;

impl Issuers {
    /// The issuers as they are configured now. Where keys are fetched, this begins it, and needs a runtime.
    ///
    /// Of the issuers before, those that are described just as they were stay what they are: their keys, the tasks that
    /// fetch these, and what was remembered of their tokens. One that was changed keeps its keys, if these would be had in the
    /// same way, and nothing that was remembered. Of one that is gone nothing stays; its task ends when `previous` is dropped.
    pub(crate) fn new(
        issuers: Vec<Issuer>,
        previous: Option<&Self>,
        clock: &Clock,
        metrics: &IssuerMetrics,
    ) -> Result<Self, IssuerTlsError> {
        let before = |name: &str| previous.and_then(|previous| previous.by_name.get(name));
        let live = issuers.into_iter().map(|issuer| {
            let live = match before(&issuer.name) {
                Some(live) if live.issuer == issuer => Arc::clone(live),
                before => {
                    let before = before.map(|before| &**before);
                    Arc::new(ActiveIssuer::start(issuer, before, clock, metrics)?)
                }
            };
            Ok((live.issuer.name.clone(), live))
        });
        let by_name: HashMap<_, _> = live.collect::<Result<_, _>>()?;
        let stays = |issuer: &Arc<ActiveIssuer>| {
            by_name.get(&issuer.issuer.name).is_some_and(|live| Arc::ptr_eq(live, issuer))
        };
        let remembered = previous.map(|previous| previous.remembered.of(stays));
        Ok(Self { remembered: remembered.unwrap_or_default(), by_name })
    }

    /// What tickets of the issuer's users depend on now; nothing if there is no such issuer any more.
    pub(super) fn parent(&self, issuer: &IssuerName) -> Option<Fingerprint> {
        let mut issuers = self.by_name.values().map(|live| &live.issuer);
        issuers.find(|live| live.id == *issuer).map(Issuer::parent)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whoever the token proves, by the keys that are there.
    pub(crate) fn verify(
        &self,
        token: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<Caller, JwtRefusal> {
        let token = token.expose_secret();
        if token.len() > LONGEST_TOKEN {
            return Err(JwtProblem::Malformed.into());
        }
        self.remembered.or_verify(token, now, || self.proven(token, now)).map(|proven| {
            let VerifiedToken { caller, .. } = &*proven;
            caller.clone()
        })
    }

    /// The same for a token that was refused because its key is not there, or does not verify it: its issuer may just have
    /// begun to use a new one, perhaps under the old name. It is asked, if it may be asked so soon again, and this waits a
    /// moment for its answer.
    pub(crate) async fn verify_by_newer_keys(
        &self,
        token: &SecretString,
        now: DateTime<Utc>,
        refusal: JwtRefusal,
    ) -> Result<Caller, JwtRefusal> {
        let issuer = Arc::clone(self.named_by(&Parsed::read(token.expose_secret())?)?);
        if issuer.refetched().await { self.verify(token, now) } else { Err(refusal) }
    }

    /// Whether it takes a signature to say what the token proves: it was not verified before, and nothing that is
    /// wrong with it shows without one.
    pub(crate) fn would_verify(&self, token: &SecretString, now: DateTime<Utc>) -> bool {
        let token = token.expose_secret();
        token.len() <= LONGEST_TOKEN
            && !self.remembered.holds(token, now)
            && self.needs_a_signature(token).is_ok()
    }

    fn needs_a_signature(&self, token: &str) -> Result<(), JwtRefusal> {
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
        let good_for = (until - now).to_std().unwrap_or_default();
        Ok(VerifiedToken { caller, verified, good_for, key, issuer: Arc::clone(live) })
    }

    /// Whose token it says that it is.
    fn named_by(&self, token: &Parsed<'_>) -> Result<&Arc<ActiveIssuer>, JwtRefusal> {
        let name = token.issuer()?;
        self.by_name.get(name).ok_or_else(|| {
            // The commonest mistake: to the letter means also the slash at its end.
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

/// The key of the issuer's that verifies the token's signature. RFC 7515 §4.1.4 leaves open that several fit, so each is
/// tried.
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
    if keys.len() > MOST_TRIED {
        let detail = format!("{} of them; at most {MOST_TRIED} are tried", keys.len());
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
