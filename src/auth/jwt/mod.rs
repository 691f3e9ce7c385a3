//! JWTs: a token of an issuer that the operator has named, and of no other.
//!
//! Nothing that is decided is taken from the token before its signature is verified. Of what it says before that, three things are
//! looked up: the issuer, the key and the algorithm; each must be one that the configuration has named.

mod claims;
mod issuer;
mod keys;
mod remembered;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::Caller;
use remembered::Remembered;

pub(crate) use claims::ClaimRule;
pub(crate) use issuer::{Issuer, SignatureAlgorithm};
pub(crate) use keys::Keys;

/// A longer token is not looked at. Those of the big identity providers have 1 to 2 KB.
const LONGEST: usize = 8 * 1024;

/// The issuers by what their tokens say in `iss`.
#[derive(Debug)]
pub(crate) struct Issuers {
    by_name: HashMap<String, Issuer>,
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

/// A caller, and until when its token proves it.
#[derive(Clone, Debug)]
struct Proven {
    caller: Caller,
    until: DateTime<Utc>,
}

impl Issuers {
    pub(crate) fn new(issuers: impl IntoIterator<Item = Issuer>) -> Self {
        let by_name = issuers.into_iter().map(|issuer| (issuer.name().to_owned(), issuer));
        Self { by_name: by_name.collect(), remembered: Remembered::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whoever the token proves.
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

    fn proven(&self, token: &str, now: DateTime<Utc>) -> Result<Proven, JwtProblem> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| JwtProblem::Malformed)?;
        check(&header)?;
        let issuer = self.by_name.get(&named_issuer(token)?).ok_or(JwtProblem::UnknownIssuer)?;
        if !issuer.takes(header.alg) {
            return Err(JwtProblem::Algorithm);
        }
        let key = issuer.keys().find(header.kid.as_deref(), header.alg);
        let key = key.ok_or(JwtProblem::UnknownKey)?;
        let verified = jsonwebtoken::decode(token, &key, &signature_only(header.alg));
        let claims: Map<String, Value> = verified.map_err(|error| problem(error.kind()))?.claims;
        issuer.proven(&claims, now)
    }
}

/// What the header may say besides algorithm and key: that it is a JWT, and nothing that changes how it is read.
fn check(header: &Header) -> Result<(), JwtProblem> {
    if let Some(kind) = &header.typ {
        let kind = kind.to_ascii_lowercase();
        // RFC 7519 §5.1 and RFC 9068 §2.1. A logout token, for one, is signed by the same key.
        let known = ["jwt", "at+jwt"].contains(&kind.strip_prefix("application/").unwrap_or(&kind));
        if !known {
            return Err(JwtProblem::Type);
        }
    }
    let plain = header.crit.is_none() && header.zip.is_none() && header.enc.is_none();
    if plain { Ok(()) } else { Err(JwtProblem::Critical) }
}

/// Whose token it says that it is: only looked up, among those that are configured.
fn named_issuer(token: &str) -> Result<String, JwtProblem> {
    #[derive(serde::Deserialize)]
    struct Named {
        iss: Option<String>,
    }
    let named: Named = jsonwebtoken::dangerous::insecure_decode_claims(token)
        .map_err(|_| JwtProblem::Malformed)?;
    named.iss.ok_or(JwtProblem::Lacks("iss"))
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

/// What is remembered and handed out: a copy costs a count, not a caller.
type Proof = Arc<Proven>;
