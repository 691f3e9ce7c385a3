//! The configuration of one identity provider.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::claim_path::ClaimPath;
use super::claims::{self, ClaimRule, NamedClaim};
use super::configured_keys::ConfiguredKeys;
use super::json::{Claims, Json};
use super::parsed::Parsed;
use super::problem::{quoted_claim, shown};
use super::signature_algorithm::SignatureAlgorithm;
use super::token_kind::TokenKind;
use super::{JwtProblem, JwtRefusal};
use crate::auth::{Caller, JwtId};
use appserver_domain::{ClientId, Fingerprint, Invalid, IssuerName, Subject, ValueName};

/// A trusted issuer, and which of its tokens are accepted. An equal value after a reload is the same issuer.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Issuer {
    /// The operator's name for it: `${issuer}`, and in the log, the audit and metrics.
    pub(crate) id: IssuerName,
    /// Of its whole configuration, without the content of its key files.
    pub(crate) configured: Fingerprint,
    /// `iss`, to the letter.
    pub(crate) name: String,
    pub(crate) algorithms: Vec<SignatureAlgorithm>,
    pub(crate) keys: ConfiguredKeys,
    /// Which kinds of its tokens are accepted.
    pub(crate) token_kind: TokenKind,
    /// The claim with a token's audience, usually `aud`.
    pub(crate) audience_claim: ClaimPath,
    /// The clients of each accepted audience.
    pub(crate) audiences: BTreeMap<String, Vec<ClientId>>,
    /// The claim that names the client, where an audience has several.
    pub(crate) client_claim: Option<ClaimPath>,
    /// The clients by the values of that claim, where these are not client ids. If not empty, it lists all.
    pub(crate) client_ids: BTreeMap<String, ClientId>,
    /// The claim with the user's id, usually `sub`.
    pub(crate) subject_claim: ClaimPath,
    /// The JSON type of the user's id. The other type is rejected, so that 42 and "42" are never one user.
    pub(crate) subject_type: SubjectType,
    /// The claims that become `${claims.NAME}`, by NAME.
    pub(crate) claims: BTreeMap<ValueName, NamedClaim>,
    /// Rules for other claims.
    pub(crate) required: BTreeMap<ClaimPath, ClaimRule>,
    /// The accepted difference between the issuer's clock and ours.
    pub(crate) leeway: TimeDelta,
    /// Whether issued credentials must expire no later than the token.
    pub(crate) expire_with_token: bool,
}

/// The JSON type of an issuer's subjects.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SubjectType {
    #[default]
    Text,
    Integer,
}

impl Issuer {
    /// The fingerprint that its users' tickets depend on: that of its configuration. Public keys are not included,
    /// because their rotation must not end sessions; a shared secret is, because anyone who knows it can impersonate
    /// any user.
    pub(super) fn parent(&self) -> Fingerprint {
        let secret = match &self.keys {
            ConfiguredKeys::Static(keys) => keys.shared_secret().unwrap_or_default(),
            ConfiguredKeys::Fetched(..) => &[],
        };
        Fingerprint::of([b"issuer".as_slice(), &self.configured.to_bytes(), secret])
    }

    /// Whether its tokens may be for this client.
    pub(crate) fn serves(&self, client: &ClientId) -> bool {
        self.audiences.values().flatten().any(|one| one == client)
    }

    /// Whether the source of the keys is the same.
    pub(super) fn has_keys_of(&self, other: &Self) -> bool {
        (&self.id, &self.name, &self.algorithms, &self.keys)
            == (&other.id, &other.name, &other.algorithms, &other.keys)
    }

    /// The algorithm that a token names, if the issuer is configured with it.
    pub(super) fn algorithm(&self, name: &str) -> Result<Algorithm, JwtRefusal> {
        let named = SignatureAlgorithm::named(name);
        let taken =
            named.filter(|named| self.algorithms.contains(&SignatureAlgorithm::from(*named)));
        taken.ok_or_else(|| {
            let own: Vec<_> = self.algorithms.iter().map(ToString::to_string).collect();
            let detail = format!("`alg` is {}; `algorithms` has {}", shown(name), own.join(", "));
            JwtRefusal::new(JwtProblem::Algorithm, detail)
        })
    }

    /// The caller of a token whose signature is verified, and the end of the token's validity.
    pub(super) fn proven(
        &self,
        token: &Parsed<'_>,
        now: DateTime<Utc>,
    ) -> Result<(Caller, DateTime<Utc>), JwtRefusal> {
        let claims = &token.claims;
        let (expires, until) = self.valid_until(claims, now)?;
        let is_required = |name: &str| self.required.contains_key(&ClaimPath::named(name));
        self.token_kind.check(token.header.media_type().as_deref(), claims, is_required)?;
        let client = self.client(claims)?;
        let subject = self.checked_subject(claims).map_err(|refusal| refusal.of_client(client))?;
        let named = self.claims.iter().filter_map(|(name, claim)| {
            Some((name.as_str().to_owned(), claim.text(claims)?.to_owned()))
        });
        // Without leeway, which is for clocks that differ and must not prolong credentials.
        let bound = self.expire_with_token.then_some(expires);
        let user = (self.id.clone(), subject);
        let caller = Caller::by_jwt(client.clone(), user, named.collect(), bound, self.parent());
        let jwt = claims.get("jti").and_then(claims::text).map(JwtId::of);
        Ok((caller.with_jwt(jwt), until))
    }

    /// `exp` without and with leeway, if the token is valid now.
    fn valid_until(
        &self,
        claims: &Claims,
        now: DateTime<Utc>,
    ) -> Result<(DateTime<Utc>, DateTime<Utc>), JwtRefusal> {
        let at = |problem, claim: &str, moment: DateTime<Utc>| {
            let (leeway, now) = (self.leeway.num_seconds(), now.timestamp());
            let detail = format!(
                "`{claim}` is {}, now is {now}, `leeway_secs` is {leeway}",
                moment.timestamp()
            );
            Err(JwtRefusal::new(problem, detail))
        };
        let expires = claims::moment(claims, "exp")?.ok_or(JwtProblem::Lacks("exp"))?;
        // A token may contain any time of the calendar, even the first and the last.
        let until = expires.checked_add_signed(self.leeway).unwrap_or(expires);
        if until <= now {
            return at(JwtProblem::Expired, "exp", expires);
        }
        let latest = now.checked_add_signed(self.leeway).unwrap_or(now);
        for claim in ["nbf", "iat"] {
            if let Some(begins) = claims::moment(claims, claim)?
                && begins > latest
            {
                return at(JwtProblem::NotYetValid, claim, begins);
            }
        }
        Ok((expires, until))
    }

    /// The one client that the token is for. All audiences count, in any order.
    fn client(&self, claims: &Claims) -> Result<&ClientId, JwtRefusal> {
        let path = &self.audience_claim;
        let audiences = claims::audiences(path, claims)?;
        let ours = |named: &str| self.audiences.get(named);
        let no_audience = |path: &ClaimPath| {
            let own: Vec<_> = self.audiences.keys().map(String::as_str).collect();
            let found = quoted_claim(path.find(claims));
            let detail = format!("`{path}` is {found}; `audiences` has {}", own.join(", "));
            JwtRefusal::new(JwtProblem::Audience, detail)
        };
        if !audiences.clone().any(|named| ours(named).is_some()) {
            return Err(no_audience(path));
        }
        // RFC 7519 §4.1.3: a token with an `aud` must name one of ours, even if another claim is the configured
        // audience.
        let aud = ClaimPath::named("aud");
        if *path != aud
            && claims.get("aud").is_some()
            && !claims::audiences(&aud, claims)?.any(|named| ours(named).is_some())
        {
            return Err(no_audience(&aud));
        }
        let candidates = audiences.filter_map(ours).flatten();
        let Some(claim) = &self.client_claim else {
            let clients: BTreeSet<_> = candidates.collect();
            return only(&clients);
        };
        let named = claim.find(claims).and_then(Json::as_str);
        let is_named = |client: &&ClientId| {
            if self.client_ids.is_empty() {
                named == Some(client.as_str())
            } else {
                named.and_then(|named| self.client_ids.get(named)) == Some(*client)
            }
        };
        let clients: BTreeSet<_> = candidates.clone().filter(is_named).collect();
        if clients.is_empty() {
            let expected: BTreeSet<_> = candidates.map(ClientId::as_str).collect();
            let expected: Vec<_> = expected.into_iter().collect();
            let of = if self.client_ids.is_empty() { "" } else { "the name in `client_ids` of " };
            let found = quoted_claim(claim.find(claims));
            let detail = format!("`{claim}` is {found}; expected {of}{}", expected.join(" or "));
            return Err(JwtRefusal::new(JwtProblem::Client, detail));
        }
        only(&clients)
    }

    /// The user, if the token satisfies the `required` rules.
    fn checked_subject(&self, claims: &Claims) -> Result<Subject, JwtRefusal> {
        if let Some((claim, rule)) =
            self.required.iter().find(|(claim, rule)| !rule.admits(claim, claims))
        {
            let state = if claim.find(claims).is_some() { "different" } else { "missing" };
            let detail = format!("`{claim}` is {state}; expected {rule}");
            return Err(JwtRefusal::new(JwtProblem::Required, detail));
        }
        let claim = self.subject_claim.find(claims);
        let (text, expected) = match self.subject_type {
            SubjectType::Text => (claim.and_then(Json::as_str), "a text"),
            SubjectType::Integer => (claim.and_then(Json::as_integer), "an integer"),
        };
        let subject = text.ok_or_else(|| match claim {
            None => "missing".to_owned(),
            Some(_) => format!("not {expected}, as `subject_type` says"),
        });
        let subject =
            subject.and_then(|text| text.parse().map_err(|rule: Invalid| rule.to_string()));
        subject.map_err(|rule| {
            JwtRefusal::new(JwtProblem::Subject, format!("`{}`: {rule}", self.subject_claim))
        })
    }
}

/// The only client of the set; an error if there are several.
fn only<'a>(clients: &BTreeSet<&'a ClientId>) -> Result<&'a ClientId, JwtRefusal> {
    match clients.iter().copied().collect::<Vec<_>>().as_slice() {
        [only] => Ok(*only),
        several => {
            let several: Vec<_> = several.iter().map(|client| client.as_str()).collect();
            let detail = format!("its audiences are of {}", several.join(" and "));
            Err(JwtRefusal::new(JwtProblem::SeveralClients, detail))
        }
    }
}
