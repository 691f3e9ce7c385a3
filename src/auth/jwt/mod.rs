//! JWTs: a token of an issuer that the operator has named, and of no other.
//!
//! Nothing that is decided is taken from the token before its signature is verified. Of what it says before that, three things are
//! looked up: the issuer, the key and the algorithm; each must be one that the configuration has named.

mod address;
mod claims;
mod demand;
mod fetch;
mod issuer;
mod json;
mod keeper;
mod key_ring;
mod key_source;
mod keys;
mod live;
mod remembered;
#[cfg(test)]
mod tests;
mod unverified;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use secrecy::{ExposeSecret, SecretString};

use super::Caller;
use crate::clock::{Clock, Moment};
use crate::domain::{Fingerprint, IssuerName};
use crate::telemetry::IssuerMetrics;
use json::Claims;
use keys::Key;
use live::LiveIssuer;
use remembered::Remembered;
use unverified::{check, named_issuer};

pub(crate) use address::KeyAddress;
pub(crate) use claims::{ClaimKind, ClaimRule, NamedClaim};
pub(crate) use fetch::UnverifiableIssuers;
pub(crate) use issuer::{Issuer, SignatureAlgorithm};
pub(crate) use key_source::{Cadence, KeySource, KeysFrom};
pub(crate) use keys::Keys;

/// A longer token is not looked at. Those of the big identity providers have 1 to 2 KB.
const LONGEST: usize = 8 * 1024;

/// The issuers by what their tokens say in `iss`.
#[derive(Default)]
pub(crate) struct Issuers {
    by_name: HashMap<String, Arc<LiveIssuer>>,
    remembered: Remembered,
}

/// Why a token proves nothing. None of it is told to the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum JwtProblem {
    #[error("the token is no JWT, or longer than {LONGEST} bytes")]
    Malformed,
    #[error("the token is of another type")]
    Type,
    #[error("the token's header asks for something that is not understood")]
    Critical,
    #[error("the token's issuer is not configured")]
    UnknownIssuer,
    #[error("the token's algorithm is not one of its issuer's")]
    Algorithm,
    #[error("the issuer has no such key")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has no `{0}`, or it is of another kind")]
    Lacks(&'static str),
    #[error("the token is for another audience")]
    Audience,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token's subject cannot be used")]
    Subject,
    #[error("the token does not say for which client it is")]
    Client,
    #[error("a claim that is required is not there or different")]
    Required,
}

/// A caller, for how long its token proves it, and what verified the token.
struct Proven {
    caller: Caller,
    verified: Moment,
    good_for: Duration,
    key: Arc<Key>,
    issuer: Arc<LiveIssuer>,
}

impl Proven {
    /// Whether the token has ended, by the clock that says so first.
    fn is_over(&self, now: Moment) -> bool {
        now.since(self.verified) >= self.good_for
    }

    /// Whether it is still believed.
    fn holds(&self, now: Moment) -> bool {
        !self.is_over(now) && self.key.is_believed(now)
    }
}

/// What is remembered and handed out: a copy costs a count, not a caller.
type Proof = Arc<Proven>;

/// What a token says before anything of it is verified.
struct Unverified {
    header: Header,
    issuer: Arc<LiveIssuer>,
}

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
    ) -> Result<Self, UnverifiableIssuers> {
        let before = |name: &str| previous.and_then(|previous| previous.by_name.get(name));
        let live = issuers.into_iter().map(|issuer| {
            let live = match before(&issuer.name) {
                Some(live) if live.issuer == issuer => Arc::clone(live),
                before => {
                    let before = before.map(|before| &**before);
                    Arc::new(LiveIssuer::start(issuer, before, clock, metrics)?)
                }
            };
            Ok((live.issuer.name.clone(), live))
        });
        let by_name: HashMap<_, _> = live.collect::<Result<_, _>>()?;
        let stays = |issuer: &Arc<LiveIssuer>| {
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
    ) -> Result<Caller, JwtProblem> {
        let token = token.expose_secret();
        if token.len() > LONGEST {
            return Err(JwtProblem::Malformed);
        }
        self.remembered.or_verify(token, now, || self.proven(token, now)).map(|proven| {
            let Proven { caller, .. } = &*proven;
            caller.clone()
        })
    }

    /// The same for a token whose key is not there: its issuer may just have begun to use a new one, so it is asked, if it
    /// may be asked so soon again, and this waits a moment for its answer.
    pub(crate) async fn verify_by_newer_keys(
        &self,
        token: &SecretString,
        now: DateTime<Utc>,
    ) -> Result<Caller, JwtProblem> {
        let issuer = self.unverified(token.expose_secret())?.issuer;
        if issuer.refetched().await { self.verify(token, now) } else { Err(JwtProblem::UnknownKey) }
    }

    /// Whether it takes a signature to say what the token proves: it was not verified before, and nothing that is
    /// wrong with it shows without one.
    pub(crate) fn would_verify(&self, token: &SecretString, now: DateTime<Utc>) -> bool {
        let token = token.expose_secret();
        token.len() <= LONGEST
            && !self.remembered.holds(token, now)
            && self.unverified(token).is_ok()
    }

    fn proven(&self, token: &str, now: DateTime<Utc>) -> Result<Proven, JwtProblem> {
        let Unverified { header, issuer } = self.unverified(token)?;
        let verified_at = Moment::at(now);
        let key = issuer.ring().find(header.kid.as_deref(), header.alg, verified_at);
        let key = key.ok_or(JwtProblem::UnknownKey)?;
        let verified = jsonwebtoken::decode(token, key.verifying(), &signature_only(header.alg));
        let claims: Claims = verified.map_err(|error| problem(error.kind()))?.claims;
        let (caller, until) = issuer.issuer.proven(&claims, now)?;
        let good_for = (until - now).to_std().unwrap_or_default();
        Ok(Proven { caller, verified: verified_at, good_for, key, issuer })
    }

    /// Looks up whose token it says that it is, if its header asks for nothing that we do not grant.
    fn unverified(&self, token: &str) -> Result<Unverified, JwtProblem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| JwtProblem::Malformed)?;
        check(&header)?;
        let issuer = self.by_name.get(&named_issuer(token)?).ok_or(JwtProblem::UnknownIssuer)?;
        if !issuer.issuer.takes(header.alg) {
            return Err(JwtProblem::Algorithm);
        }
        Ok(Unverified { header, issuer: Arc::clone(issuer) })
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.by_name).finish()
    }
}

/// Times and audiences are checked by us: by our clock, and once.
fn signature_only(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

fn problem(kind: &ErrorKind) -> JwtProblem {
    match kind {
        ErrorKind::InvalidSignature => JwtProblem::Signature,
        ErrorKind::InvalidAlgorithm => JwtProblem::Algorithm,
        _ => JwtProblem::Malformed,
    }
}
