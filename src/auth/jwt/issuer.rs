//! One identity provider, as the operator has described it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::JwtProblem;
use super::claims::{self, ClaimRule, NamedClaim};
use super::json::{Claims, Json};
use super::key_source::KeySource;
use crate::auth::Caller;
use crate::domain::{ClientId, Fingerprint, Invalid, IssuerName, Subject, ValueName};

/// Whose tokens are believed, and what of them. What compares equal is the same issuer after a reload.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Issuer {
    /// The operator's name for it: `${issuer}`, and in the log, the audit and metrics.
    pub(crate) id: IssuerName,
    /// Of all that the configuration says of it, but for what is in its key files.
    pub(crate) configured: Fingerprint,
    /// `iss`, to the letter.
    pub(crate) name: String,
    pub(crate) algorithms: Vec<SignatureAlgorithm>,
    pub(crate) keys: KeySource,
    /// For each `aud` that is ours: the clients that its tokens may be for.
    pub(crate) audiences: BTreeMap<String, Vec<ClientId>>,
    /// Names the client, where an audience has several.
    pub(crate) client_claim: Option<String>,
    /// What that claim calls our clients, where these are not called by their ids. If it names one, it names all.
    pub(crate) client_ids: BTreeMap<String, ClientId>,
    /// Names the user, `sub` mostly.
    pub(crate) subject_claim: String,
    /// What becomes `${claims.NAME}`, by NAME.
    pub(crate) claims: BTreeMap<ValueName, NamedClaim>,
    /// What a token must say besides.
    pub(crate) required: BTreeMap<String, ClaimRule>,
    /// By how much the issuer's clock and ours may differ.
    pub(crate) leeway: TimeDelta,
    /// Whether credentials must end when the token that they were given for does.
    pub(crate) bound_by_token: bool,
}

/// How tokens may be signed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub(crate) struct SignatureAlgorithm(Algorithm);

impl SignatureAlgorithm {
    pub(crate) fn is_symmetric(self) -> bool {
        matches!(self.0, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512)
    }
}

impl From<Algorithm> for SignatureAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        Self(algorithm)
    }
}

impl TryFrom<String> for SignatureAlgorithm {
    type Error = Invalid;

    fn try_from(name: String) -> Result<Self, Invalid> {
        // `none` is not among them; HS384 and HS512 add nothing to HS256.
        let known = match name.as_str() {
            "ES256" => Algorithm::ES256,
            "ES384" => Algorithm::ES384,
            "EdDSA" => Algorithm::EdDSA,
            "RS256" => Algorithm::RS256,
            "RS384" => Algorithm::RS384,
            "RS512" => Algorithm::RS512,
            "PS256" => Algorithm::PS256,
            "PS384" => Algorithm::PS384,
            "PS512" => Algorithm::PS512,
            "HS256" => Algorithm::HS256,
            _ => {
                return Err(Invalid(
                    "an algorithm is ES256, ES384, EdDSA, RS256, RS384, RS512, PS256, PS384, PS512 or, with a shared \
                     secret, HS256",
                ));
            }
        };
        Ok(Self(known))
    }
}

impl Issuer {
    /// Stands for what a ticket of its users depends on: its configuration. Public keys are no part of it, for their
    /// ordinary rotation ends nobody's session; a shared secret is, as whoever knows it can be any user.
    pub(super) fn parent(&self) -> Fingerprint {
        let secret = match &self.keys {
            KeySource::Given(keys) => keys.shared_secret().unwrap_or_default(),
            KeySource::Fetched(..) => &[],
        };
        Fingerprint::of([b"issuer".as_slice(), &self.configured.to_bytes(), secret])
    }

    /// Whether its tokens may be for this client.
    pub(crate) fn serves(&self, client: &ClientId) -> bool {
        self.audiences.values().flatten().any(|one| one == client)
    }

    /// Whether the same keys would be had in the same way, whatever else differs.
    pub(super) fn has_keys_of(&self, other: &Self) -> bool {
        (&self.id, &self.name, &self.algorithms, &self.keys)
            == (&other.id, &other.name, &other.algorithms, &other.keys)
    }

    pub(super) fn takes(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&SignatureAlgorithm(algorithm))
    }

    /// Whom verified claims prove at this moment, and until when.
    pub(super) fn proven(
        &self,
        claims: &Claims,
        now: DateTime<Utc>,
    ) -> Result<(Caller, DateTime<Utc>), JwtProblem> {
        let (expires, until) = self.valid_until(claims, now)?;
        let clients = claims::audiences(claims)?
            .find_map(|audience| self.audiences.get(audience))
            .ok_or(JwtProblem::Audience)?;
        let client = self.client(claims, clients)?;
        if !self.required.iter().all(|(claim, rule)| rule.admits(claims.get(claim))) {
            return Err(JwtProblem::Required);
        }
        let subject = claims.get(&self.subject_claim).and_then(Json::as_str);
        let subject: Subject =
            subject.and_then(|text| text.parse().ok()).ok_or(JwtProblem::Subject)?;
        let named = self.claims.iter().filter_map(|(name, claim)| {
            Some((name.as_str().to_owned(), claim.text(claims)?.to_owned()))
        });
        // To the letter: leeway is for clocks that differ, not a longer life.
        let bound = self.bound_by_token.then_some(expires);
        let user = (self.id.clone(), subject);
        let caller = Caller::by_jwt(client.clone(), user, named.collect(), bound, self.parent());
        Ok((caller, until))
    }

    /// The end of the token's time, without leeway and with it, if this moment lies in it.
    fn valid_until(
        &self,
        claims: &Claims,
        now: DateTime<Utc>,
    ) -> Result<(DateTime<Utc>, DateTime<Utc>), JwtProblem> {
        let expires = claims::moment(claims, "exp")?.ok_or(JwtProblem::Lacks("exp"))?;
        let until = expires.checked_add_signed(self.leeway).unwrap_or(expires);
        if until <= now {
            return Err(JwtProblem::Expired);
        }
        for claim in ["nbf", "iat"] {
            let begins = claims::moment(claims, claim)?;
            if begins.is_some_and(|begins| begins - self.leeway > now) {
                return Err(JwtProblem::NotYetValid);
            }
        }
        Ok((expires, until))
    }

    /// Which of the audience's clients the token is for.
    fn client<'a>(
        &self,
        claims: &Claims,
        clients: &'a [ClientId],
    ) -> Result<&'a ClientId, JwtProblem> {
        match (&self.client_claim, clients) {
            (None, [only]) => Ok(only),
            (None, _) => Err(JwtProblem::Client),
            (Some(claim), _) => {
                let named = claims.get(claim).and_then(Json::as_str).ok_or(JwtProblem::Client)?;
                let names = |client: &&ClientId| match self.client_ids.is_empty() {
                    true => named == client.as_str(),
                    false => self.client_ids.get(named) == Some(*client),
                };
                clients.iter().find(names).ok_or(JwtProblem::Client)
            }
        }
    }
}
